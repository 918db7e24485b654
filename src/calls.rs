//! The user's calls and their answers: RFC 9293 §3.9.1 as messages between a user and its system.

use std::fmt;
use std::net::SocketAddrV4;

use crate::smol_lower::ConnectError;
use crate::st::Message;
pub use crate::tcp::Advice;
use crate::tcp::{IcmpKind, LocalAddr, Setting};

/// The most that one [`Data`] may carry: a user that writes more sends several. It bounds what the queue between the two
/// roles can hold, and is no less than what one `Receive` is worth answering with.
pub const MAX_DATA_BYTES: usize = 64 * 1024;

/// OPEN, passive: listen here (RFC 9293 §3.9.1.1).
#[derive(Debug)]
pub struct Open(pub LocalAddr);

/// OPEN, active: connect to this peer (RFC 9293 §3.9.1.1).
#[derive(Debug)]
pub struct Connect {
    /// Our socket. The IP layer fills in an unspecified address (MUST-44), and any free port for port 0.
    pub local: SocketAddrV4,
    /// The peer's socket.
    pub remote: SocketAddrV4,
}

/// Answers `Connect`: there can be no such connection.
#[derive(Debug)]
pub struct NotOpened(pub ConnectError);

/// Answers `Open` and `Connect`: the transmission control block exists.
#[derive(Debug)]
pub struct TcbCreated(pub ());

/// Tells the user that the connection is ESTABLISHED.
#[derive(Debug)]
pub struct Connected(pub ());

/// Octets of the stream: as a call SEND (RFC 9293 §3.9.1.2), as an answer what a `Receive` was waiting for.
#[derive(PartialEq, Eq, Debug)]
pub struct Data {
    octets: Vec<u8>,
    urgent_octets: u32,
}

/// SEND with the URGENT flag (RFC 9293 §3.9.1.2): this data, and what was sent before it, is urgent.
///
/// Applications that are new should do without (RFC 9293 SHLD-13).
#[derive(PartialEq, Eq, Debug)]
pub struct Urgent(pub Data);

/// RECEIVE (RFC 9293 §3.9.1.3): a credit, answered once.
#[derive(Debug)]
pub struct Receive(pub ());

/// Sets something for the connection (RFC 9293 §3.9.1), before its OPEN or from the next segment on.
#[derive(Debug)]
pub struct Set(pub Setting);

/// As a call CLOSE (RFC 9293 §3.9.1.4); as an answer to `Receive` the peer's: its stream was delivered to the end.
#[derive(Debug)]
pub struct Close(pub ());

/// Answers `Close`: the peer has acknowledged all data and our FIN.
#[derive(Debug)]
pub struct Closed(pub ());

/// ABORT (RFC 9293 §3.9.1.6), and what becomes of a user that ends in the middle of its session.
#[derive(Debug)]
pub struct Abort(pub ());

/// Tells the user that the connection ended by other than a FIN (RFC 9293 §3.6, MUST-12), and why.
#[derive(Debug)]
pub struct Reset(pub ResetCause);

/// Why a connection ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetCause {
    /// The peer sent a RST.
    Peer,
    /// The peer answered our SYN with a RST (RFC 9293 §3.10.7.4, "connection refused").
    Refused,
    /// The network said, before the handshake was complete, that there is no such peer (RFC 9293 §3.9.2.2, SHLD-26).
    Unreachable(IcmpKind),
    /// The peer did not acknowledge for as long as the user timeout (RFC 9293 §3.8.3, R2), or answered no keep-alive.
    UserTimeout,
    /// The user closed before it had read everything (RFC 9293 SHLD-3).
    DataLost,
}

impl fmt::Display for ResetCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResetCause::Peer => "connection reset",
            ResetCause::Refused => "connection refused",
            ResetCause::Unreachable(kind) => return write!(f, "connection refused, {kind}"),
            ResetCause::UserTimeout => "connection timed out, the peer does not answer",
            ResetCause::DataLost => "connection reset, data of the peer was lost",
        })
    }
}

impl Data {
    /// Wraps octets of the stream.
    ///
    /// # Errors
    ///
    /// Gives the octets back when there are more than [`MAX_DATA_BYTES`].
    pub fn new(octets: Vec<u8>) -> Result<Self, Vec<u8>> {
        if octets.len() > MAX_DATA_BYTES {
            return Err(octets);
        }
        Ok(Data { octets, urgent_octets: 0 })
    }

    /// Wraps octets of which the machine has given no more than [`MAX_DATA_BYTES`], so many urgent ones being left.
    pub(crate) fn of_machine(octets: Vec<u8>, urgent_octets: u32) -> Self {
        debug_assert!(octets.len() <= MAX_DATA_BYTES, "{} octets in one Data", octets.len());
        Data { octets, urgent_octets }
    }

    /// Cuts a stream of any length into pieces.
    pub fn pieces(octets: &[u8]) -> impl Iterator<Item = Self> {
        octets.chunks(MAX_DATA_BYTES).map(|piece| Data { octets: piece.to_vec(), urgent_octets: 0 })
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// As an answer: how many octets up to the end of urgent data the user has still to receive after these (RFC 9293 MUST-33).
    pub fn urgent_octets(&self) -> u32 {
        self.urgent_octets
    }
}

impl Message for Open {}
impl Message for Connect {}
impl Message for NotOpened {}
impl Message for TcbCreated {}
impl Message for Connected {}
impl Message for Data {}
impl Message for Urgent {}
impl Message for Advice {}
impl Message for Receive {
    const CREDIT: bool = true;
}
impl Message for Set {}
impl Message for Close {}
impl Message for Closed {}
impl Message for Reset {}
impl Message for Abort {
    fn on_crash() -> Option<Self> {
        Some(Abort(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_the_limit_fits_and_one_more_octet_does_not() {
        assert!(Data::new(vec![0; MAX_DATA_BYTES]).is_ok());
        let given_back = Data::new(vec![0; MAX_DATA_BYTES + 1]).unwrap_err();
        assert_eq!(given_back.len(), MAX_DATA_BYTES + 1);
    }

    #[test]
    fn pieces_are_the_whole_stream() {
        let stream: Vec<u8> = (0..=255).cycle().take(MAX_DATA_BYTES * 2 + 7).collect();
        let joined: Vec<u8> = Data::pieces(&stream).flat_map(|data| data.octets).collect();
        assert_eq!(joined, stream);
    }
}
