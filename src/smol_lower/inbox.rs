//! What a connection holds of the layer below: its arrivals, its inbox, its place in the table.

use core::net::SocketAddrV4;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::SmolLower;
use super::error::DeviceError;
use super::room::Waiting;
use super::table::{Place, Queues};
use crate::tcp::IcmpError;
use crate::tcp::cookie::{Admission, Baker, Cookie};
use crate::tcp::segment::Segment;
use crate::tcp::seq::SeqNum;

/// What arrives at a port that is listened on, for whichever listening session comes first.
///
/// Clones share the same arrivals. When the last is dropped, the port is closed. When the IP thread ends, the receivers end.
#[derive(Debug, Clone)]
pub struct Backlog {
    // Before `listening`, so that arrivals nobody took are dropped first.
    arrivals: Receiver<Arrival>,
    listening: Arc<Listening>,
}

impl Backlog {
    pub(super) fn new(lower: SmolLower, port: u16, serial: u64, arrivals: Receiver<Arrival>) -> Self {
        let listening = Arc::new(Listening { lower, port, serial });
        Self { arrivals, listening }
    }

    /// Where the arrivals come out; bounded, several threads may wait on it.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<Arrival> {
        &self.arrivals
    }

    /// The port listened on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listening.port
    }
}

/// Keeps a port open.
#[derive(Debug)]
struct Listening {
    lower: SmolLower,
    port: u16,
    serial: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.lower.unlisten(self.port, self.serial);
    }
}

/// A segment for a port that is listened on and for none of its connections.
#[derive(Debug)]
pub struct Arrival {
    /// Who sent it.
    pub remote: SocketAddrV4,
    /// The segment.
    pub segment: Segment,
    /// What is known of it.
    pub standing: Standing,
    /// For a SYN that reopens a connection in TIME-WAIT: its SND.NXT, which our number has to be past (RFC 9293 §3.6.1, MAY-2).
    pub predecessor: Option<SeqNum>,
}

/// What the table knows of a segment for a listener.
#[derive(Debug)]
pub enum Standing {
    /// It begins no connection.
    Stray,
    /// A SYN that may begin a connection: whatever follows it between these two ports arrives here already.
    Begins(Inbox),
    /// A SYN for which there is no place; who bakes the cookie that is to be the ISS of its answer.
    Crowded(Baker),
    /// It brings a cookie back: its connection has a place, as above.
    Returns(Inbox, Cookie),
}

impl Arrival {
    /// The place of its connection, if it has one.
    #[must_use]
    pub fn into_inbox(self) -> Option<Inbox> {
        self.standing.split().0
    }
}

impl Standing {
    /// The place, and what the listener has to know.
    pub(crate) fn split(self) -> (Option<Inbox>, Admission) {
        match self {
            Self::Stray => (None, Admission::Ordinary),
            Self::Begins(inbox) => (Some(inbox), Admission::Ordinary),
            Self::Crowded(baker) => (None, Admission::Crowded(baker)),
            Self::Returns(inbox, cookie) => (Some(inbox), Admission::Returns(cookie)),
        }
    }
}

/// A connection's place in the table and the segments that arrive for it, which end when the IP thread ends.
///
/// Dropping it frees the place; segments that still wait are dropped too.
#[derive(Debug)]
pub struct Inbox {
    queues: Queues,
    place: Place,
    lower: SmolLower,
}

impl Inbox {
    pub(super) fn new(lower: SmolLower, place: Place, queues: Queues) -> Self {
        Self { queues, place, lower }
    }

    /// Where the connection's segments come out; bounded, what does not fit is lost as on the way.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<Waiting> {
        &self.queues.segments
    }

    /// The peer is told that it may send so many octets: from now on there is room for them.
    pub(crate) fn expect(&self, rcv_wnd: u32) {
        self.queues.room.expect(rcv_wnd);
    }

    /// Where ICMP errors about the connection's segments come out; bounded, what does not fit is lost.
    #[must_use]
    pub fn errors(&self) -> &Receiver<IcmpError> {
        &self.queues.errors
    }

    /// The peer.
    #[must_use]
    pub fn remote(&self) -> SocketAddrV4 {
        self.place.key.remote
    }

    /// The handshake is complete: the connection no longer counts as half-open.
    pub(crate) fn established(&self) {
        self.lower.establish(self.place);
    }

    /// Frees the place and treats the segment as if it had just arrived: a SYN that reopens a connection in TIME-WAIT goes to the
    /// next listening session, and with it the SND.NXT of that connection.
    ///
    /// # Errors
    /// The device failed when the CLOSED state's answer was sent.
    pub(crate) fn resubmit(self, segment: Segment, snd_nxt: SeqNum) -> Result<(), DeviceError> {
        let lower = self.lower.clone();
        let remote = self.remote();
        drop(self);
        lower.route_after(remote, segment, Some(snd_nxt))
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.lower.vacate(self.place);
    }
}
