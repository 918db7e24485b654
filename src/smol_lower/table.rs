//! The table of connections: which inbox a segment belongs to.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use log::debug;
use smoltcp::time::{Duration, Instant};

use super::error::ListenError;
use super::inbox::Arrival;
use super::jar::Jar;
use super::room::{Pool, Room, Waiting};
use crate::smol_channel::Syn;
use crate::tcp::IcmpError;
use crate::tcp::cookie::{Baker, Cookie};
use crate::tcp::segment::Segment;

/// Connections in the table at once, in any state from SYN-RECEIVED to TIME-WAIT; a SYN on top is dropped, and the peer repeats it.
/// Four times what we promise to serve, so that those in TIME-WAIT do not keep new ones out.
const MAX_CONNECTIONS: usize = 4_096;

/// Of those, the ones whose handshake is not complete: a flood of SYNs leaves three quarters of the table to others. A SYN on top is
/// answered by a cookie ([`crate::tcp::cookie`]) and not remembered, so a flood takes no more memory than this, however long.
pub const MAX_HALF_OPEN: usize = MAX_CONNECTIONS / 4;

/// A handshake of this age gives way to a new one: a true client has answered long before, most likely, a made-up one never will. So
/// the time after a flood, and a slow one, have no need of cookies.
const HALF_OPEN_GRACE: Duration = Duration::from_secs(5);

/// Entries of the queue of handshakes, those that are no longer half open included; at more than that it is tidied up.
const HANDSHAKES_REMEMBERED: usize = 2 * MAX_HALF_OPEN;

/// Arrivals that wait for a listening session, for each port. As large as a burst of clients that start at once may be.
pub(super) const BACKLOG: usize = 256;

/// Of those, what begins no connection; stray segments, which are only to be refused, leave room for SYNs.
pub(super) const BACKLOG_STRAYS: usize = BACKLOG / 4;

/// The first dynamic port (RFC 6335 §6).
const FIRST_DYNAMIC_PORT: u16 = 49_152;

/// ICMP errors that wait for one connection's thread; more say nothing new.
const INBOX_ERRORS: usize = 4;

/// What tells one connection from another; our own address is the same in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The peer.
    pub(super) remote: SocketAddrV4,
    /// Our port.
    pub(super) local_port: u16,
}

/// A place in the table. The serial number tells a connection from a later one between the same ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: Key,
    serial: u64,
}

/// What arrives for a connection.
#[derive(Debug)]
pub(super) struct Queues {
    /// Its segments.
    pub(super) segments: Receiver<Waiting>,
    /// The room they may take.
    pub(super) room: Arc<Room>,
    /// ICMP errors about the segments it sent.
    pub(super) errors: Receiver<IcmpError>,
}

/// Which local port a connection that we open is to have.
#[derive(Debug, Clone, Copy)]
pub(super) enum LocalPort {
    /// This one.
    Given(u16),
    /// A dynamic one (RFC 6335 §6), the first free one from here on (RFC 6056 §3.3.2, with a random `first`).
    Any {
        /// Where to begin to look, modulo the number of dynamic ports.
        first: u16,
    },
}

/// What is taken already that a connection which we open would need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The given port, towards this peer.
    Port(u16),
    /// All dynamic ports, towards this peer.
    AllPorts,
    /// All places in the table.
    AllPlaces,
    /// Nothing can arrive any more.
    Closed,
}

/// What becomes of an ICMP error.
pub(super) enum Reported {
    /// It waits for its connection.
    Taken,
    /// Nobody is going to look at it.
    Lost(&'static str),
}

/// What becomes of a segment.
pub(super) enum Offered {
    /// It waits in its connection's inbox.
    Taken,
    /// There is no room for it.
    Lost(&'static str),
    /// It is for a port that is listened on.
    Listening {
        /// Where arrivals at this port go.
        backlog: Sender<Arrival>,
        /// The segment.
        segment: Segment,
        /// What it is to the listener.
        admitted: Admitted,
    },
    /// It is for no connection and no listener.
    Unclaimed(Segment),
}

/// A new connection: its place and what arrives for it.
pub(super) type Connection = (Place, Queues);

/// What a segment is to a listener.
pub(super) enum Admitted {
    /// It begins no connection.
    Stray,
    /// It may begin this one.
    Begins(Connection),
    /// It would, but there is no place: its answer is to be a cookie.
    Crowded(Baker),
    /// It brings back a cookie, and so completes the handshake of this one.
    Returns(Connection, Cookie),
}

/// The connections and the ports listened on.
///
/// What a hostile peer can pin here is at most [`INBOX_BYTES`](super::room::INBOX_BYTES) for each of [`MAX_CONNECTIONS`] (512 MiB) and
/// [`INBOX_POOL_BYTES`](super::room::INBOX_POOL_BYTES) (256 MiB) for all together, and that only while none of their threads runs; and
/// [`BACKLOG`] segments of at most 64 KiB a listening port (16 MiB).
#[derive(Debug)]
pub(super) struct Table {
    connections: HashMap<Key, Route>,
    listeners: HashMap<u16, Listener>,
    half_open: usize,
    /// The half-open ones and when they began, oldest first, among others that no longer are.
    handshakes: VecDeque<(Place, Instant)>,
    jar: Jar,
    pool: Arc<Pool>,
    serials: u64,
    life: Life,
}

/// Whether anything can still arrive.
#[derive(Debug, Default, PartialEq, Eq)]
enum Life {
    /// The IP thread runs or is going to.
    #[default]
    Open,
    /// It has ended.
    Closed,
}

/// Where a connection's segments go.
#[derive(Debug)]
pub(super) struct Route {
    serial: u64,
    handshake: Handshake,
    inbox: Sender<Waiting>,
    room: Arc<Room>,
    errors: Sender<IcmpError>,
}

/// How far a connection is.
#[derive(Debug, PartialEq, Eq)]
enum Handshake {
    HalfOpen,
    Complete,
}

/// Where a listening port's arrivals go.
#[derive(Debug)]
pub(super) struct Listener {
    serial: u64,
    backlog: Sender<Arrival>,
}

impl Table {
    /// The empty table of a host with this address.
    pub(super) fn new(address: Ipv4Addr) -> Self {
        Self {
            connections: HashMap::new(),
            listeners: HashMap::new(),
            half_open: 0,
            handshakes: VecDeque::new(),
            jar: Jar::new(address),
            pool: Arc::default(),
            serials: 0,
            life: Life::Open,
        }
    }

    /// Begins to listen; the number is for [`Table::unlisten`].
    pub(super) fn listen(&mut self, port: u16) -> Result<(Receiver<Arrival>, u64), ListenError> {
        if self.life == Life::Closed {
            return Err(ListenError::Stopped);
        }
        if self.listeners.contains_key(&port) {
            return Err(ListenError::InUse { port });
        }
        let serial = self.next_serial();
        let (backlog, arrivals) = bounded(BACKLOG);
        self.listeners.insert(port, Listener { serial, backlog });
        Ok((arrivals, serial))
    }

    /// Ends listening. What is returned must be dropped after the table was unlocked: arrivals in it free their places.
    #[must_use]
    pub(super) fn unlisten(&mut self, port: u16, serial: u64) -> Option<Listener> {
        let listener = self.listeners.get(&port)?;
        if listener.serial != serial {
            return None;
        }
        self.listeners.remove(&port)
    }

    /// Decides what becomes of a segment; a SYN for a listening port gets its place in the table at once, so that what follows it
    /// finds the same inbox.
    pub(super) fn offer(&mut self, remote: SocketAddrV4, segment: Segment, now: Instant) -> Offered {
        let key = Key { remote, local_port: segment.dst_port };
        if let Some(route) = self.connections.get(&key) {
            return route.push(segment);
        }
        let Some(listener) = self.listeners.get(&key.local_port) else {
            return Offered::Unclaimed(segment);
        };
        let backlog = listener.backlog.clone();
        if backlog.is_full() {
            return Offered::Lost("the backlog is full");
        }
        let cookie = self.jar.take(remote, &segment, now);
        if cookie.is_none() && !Syn::fits(&segment) {
            if backlog.len() >= BACKLOG_STRAYS {
                return Offered::Lost("SYNs have the rest of the backlog");
            }
            return Offered::Listening { backlog, segment, admitted: Admitted::Stray };
        }
        if cookie.is_some() && self.connections.len() >= MAX_CONNECTIONS {
            self.evict_half_open();
        }
        if self.connections.len() - self.half_open >= MAX_CONNECTIONS {
            return Offered::Lost("the table of connections is full");
        }
        let admitted = match cookie {
            Some(cookie) => Admitted::Returns(self.insert(key, Handshake::Complete), cookie),
            None if self.has_half_open_place(now) => Admitted::Begins(self.insert_half_open(key, now)),
            // Its return has a place: that of a handshake.
            None => Admitted::Crowded(self.jar.give(now)),
        };
        Offered::Listening { backlog, segment, admitted }
    }

    /// Gives a connection that we open its place. It is not among the half open: a flood of SYNs does not end it.
    pub(super) fn connect(&mut self, remote: SocketAddrV4, wanted: LocalPort) -> Result<Connection, Taken> {
        if self.life == Life::Closed {
            return Err(Taken::Closed);
        }
        if self.connections.len() >= MAX_CONNECTIONS {
            return Err(Taken::AllPlaces);
        }
        let key = |local_port| Key { remote, local_port };
        let local_port = match wanted {
            LocalPort::Given(port) if self.connections.contains_key(&key(port)) => return Err(Taken::Port(port)),
            LocalPort::Given(port) => port,
            LocalPort::Any { first } => dynamic_ports(first)
                .find(|&port| !self.listeners.contains_key(&port) && !self.connections.contains_key(&key(port)))
                .ok_or(Taken::AllPorts)?,
        };
        Ok(self.insert(key(local_port), Handshake::Complete))
    }

    /// Gives a connection its place before its handshake is complete.
    fn insert_half_open(&mut self, key: Key, now: Instant) -> Connection {
        let connection = self.insert(key, Handshake::HalfOpen);
        self.half_open += 1;
        self.forget_handshakes();
        self.handshakes.push_back((connection.0, now));
        connection
    }

    /// Hands on an ICMP error about a segment of a connection.
    pub(super) fn report(&self, key: Key, error: IcmpError) -> Reported {
        let Some(route) = self.connections.get(&key) else {
            return Reported::Lost("no such connection");
        };
        match route.errors.try_send(error) {
            Ok(()) => Reported::Taken,
            Err(_) => Reported::Lost("others wait already"),
        }
    }

    /// Gives a connection its place.
    fn insert(&mut self, key: Key, handshake: Handshake) -> Connection {
        let serial = self.next_serial();
        let (inbox, segments) = unbounded(); // bounded by the room, without memory set aside for each connection
        let (to_errors, errors) = bounded(INBOX_ERRORS);
        let room = Room::new(&self.pool);
        let route = Route { serial, handshake, inbox, room: Arc::clone(&room), errors: to_errors };
        self.connections.insert(key, route);
        (Place { key, serial }, Queues { segments, room, errors })
    }

    /// Forgets the oldest entries of `handshakes` that are no longer half open, and all such when they have become many.
    fn forget_handshakes(&mut self) {
        if self.handshakes.len() > HANDSHAKES_REMEMBERED {
            let mut handshakes = std::mem::take(&mut self.handshakes);
            handshakes.retain(|&(place, _)| self.is_half_open(place));
            self.handshakes = handshakes;
        }
        while self.handshakes.front().is_some_and(|&(place, _)| !self.is_half_open(place)) {
            self.handshakes.pop_front();
        }
    }

    /// Whether there is room for one more handshake, if need be by ending the oldest.
    fn has_half_open_place(&mut self, now: Instant) -> bool {
        let is_overdue = |(_, since): &(Place, Instant)| *since + HALF_OPEN_GRACE <= now;
        if self.has_room() {
            return true;
        }
        self.forget_handshakes();
        if self.handshakes.front().is_some_and(is_overdue) {
            self.evict_half_open();
        }
        self.has_room()
    }

    /// Whether there is room for one more handshake.
    fn has_room(&self) -> bool {
        self.half_open < MAX_HALF_OPEN && self.connections.len() < MAX_CONNECTIONS
    }

    /// Ends the oldest handshake: its inbox ends, and its session with it.
    pub(super) fn evict_half_open(&mut self) {
        self.forget_handshakes();
        if let Some((place, _)) = self.handshakes.pop_front() {
            debug!("{}: its handshake gives way to a newer one", place.key.remote);
            self.remove(place);
        }
    }

    fn is_half_open(&self, place: Place) -> bool {
        let route = self.connections.get(&place.key);
        route.is_some_and(|route| route.serial == place.serial && route.handshake == Handshake::HalfOpen)
    }

    /// Whether nothing can arrive any more.
    pub(super) fn is_closed(&self) -> bool {
        self.life == Life::Closed
    }

    /// Ends an open connection from below: its inbox ends. One that is half open is a newer one between the same ports.
    pub(super) fn evict(&mut self, key: Key) {
        if self.connections.get(&key).is_some_and(|route| route.handshake == Handshake::Complete) {
            self.connections.remove(&key);
        }
    }

    /// The connection's handshake is complete.
    pub(super) fn establish(&mut self, place: Place) {
        let Some(route) = self.connections.get_mut(&place.key) else {
            return;
        };
        if route.serial == place.serial && route.handshake == Handshake::HalfOpen {
            route.handshake = Handshake::Complete;
            self.half_open = self.half_open.saturating_sub(1);
        }
    }

    /// Frees a place.
    pub(super) fn remove(&mut self, place: Place) {
        if !self.holds(place) {
            return;
        }
        let removed = self.connections.remove(&place.key);
        if removed.is_some_and(|route| route.handshake == Handshake::HalfOpen) {
            self.half_open = self.half_open.saturating_sub(1);
        }
    }

    /// Ends everything. What is returned must be dropped after the table was unlocked: arrivals in it free their places.
    #[must_use]
    pub(super) fn close(&mut self) -> (HashMap<Key, Route>, HashMap<u16, Listener>) {
        self.life = Life::Closed;
        self.half_open = 0;
        (std::mem::take(&mut self.connections), std::mem::take(&mut self.listeners))
    }

    fn holds(&self, place: Place) -> bool {
        let route = self.connections.get(&place.key);
        route.is_some_and(|route| route.serial == place.serial)
    }

    fn next_serial(&mut self) -> u64 {
        self.serials += 1;
        self.serials
    }
}

impl Route {
    /// Puts a segment into the inbox if there is room.
    fn push(&self, segment: Segment) -> Offered {
        let Ok(waiting) = self.room.admit(segment) else {
            return Offered::Lost("the connection's inbox is full");
        };
        match self.inbox.send(waiting) {
            Ok(()) => Offered::Taken,
            Err(_) => Offered::Lost("the connection is just ending"),
        }
    }
}

/// All dynamic ports once, beginning with one of them.
fn dynamic_ports(first: u16) -> impl Iterator<Item = u16> {
    let begin = FIRST_DYNAMIC_PORT | first;
    (begin..=u16::MAX).chain(FIRST_DYNAMIC_PORT..begin)
}

#[cfg(test)]
mod tests {
    use super::super::inbox::Standing;
    use super::super::room::{INBOX_BYTES, SEGMENT_OVERHEAD_BYTES};
    use super::*;
    use crate::smol_lower::testing::{ACK, FIN, RST, SYN, US, segment};
    use crate::tcp::seq::SeqNum;

    const START: Instant = Instant::ZERO;

    fn peer(number: usize) -> SocketAddrV4 {
        let [.., third, fourth] = (number / 60_000).to_be_bytes();
        let port = u16::try_from(number % 60_000 + 1).unwrap();
        SocketAddrV4::new(Ipv4Addr::new(198, 51, third, fourth), port)
    }

    fn connection(offered: Offered) -> (Place, Receiver<Waiting>) {
        match offered {
            Offered::Listening { admitted: Admitted::Begins((place, queues)), .. } => (place, queues.segments),
            _ => panic!("no new connection"),
        }
    }

    #[test]
    fn a_syn_gets_a_place_and_what_follows_its_inbox() {
        let mut table = Table::new(US);
        let (_arrivals, _) = table.listen(555).unwrap();
        let (place, inbox) = connection(table.offer(peer(1), segment(1000, 555, SYN, b""), START));
        assert!(matches!(table.offer(peer(1), segment(1000, 555, ACK, b"a"), START), Offered::Taken));
        assert_eq!(inbox.recv().unwrap().payload, b"a");
        table.remove(place);
        assert!(inbox.recv().is_err());
    }

    #[test]
    fn only_a_plain_syn_begins_a_connection() {
        let mut table = Table::new(US);
        let (_arrivals, _) = table.listen(555).unwrap();
        for control in [0, ACK, RST, FIN, SYN | ACK, SYN | FIN, SYN | RST] {
            let offered = table.offer(peer(1), segment(1000, 555, control, b""), START);
            let is_stray = matches!(offered, Offered::Listening { admitted: Admitted::Stray, .. });
            assert!(is_stray, "{control}");
        }
        assert!(matches!(table.offer(peer(1), segment(1000, 556, SYN, b""), START), Offered::Unclaimed(_)));
    }

    #[test]
    fn a_connection_that_we_open_has_its_place_and_outlives_a_flood_of_syns() {
        let (mut table, _arrivals, _held) = crowded();
        let (place, queues) = table.connect(peer(5_000), LocalPort::Given(7)).unwrap();
        assert_eq!(place.key.local_port, 7);
        for number in MAX_HALF_OPEN..2 * MAX_HALF_OPEN {
            let later = START + HALF_OPEN_GRACE;
            assert!(matches!(table.offer(peer(number), segment(1, 555, SYN, b""), later), Offered::Listening { .. }));
        }
        assert!(matches!(table.offer(peer(5_000), segment(1, 7, SYN | ACK, b""), START), Offered::Taken));
        assert_eq!(queues.segments.len(), 1);
        assert_eq!(table.connect(peer(5_000), LocalPort::Given(7)).unwrap_err(), Taken::Port(7));
        table.remove(place);
        assert!(table.connect(peer(5_000), LocalPort::Given(7)).is_ok());
    }

    #[test]
    fn each_dynamic_port_is_found_once_and_none_that_is_listened_on() {
        let mut table = Table::new(US);
        let (_arrivals, _) = table.listen(50_000).unwrap();
        let mut ports = std::collections::BTreeSet::new();
        for number in 0..usize::from(u16::MAX - FIRST_DYNAMIC_PORT) {
            let first = u16::try_from(number * 7 % 65_536).unwrap();
            let (place, _queues) = table.connect(peer(1), LocalPort::Any { first }).unwrap();
            assert!(ports.insert(place.key.local_port));
            // The table is smaller than all ports together.
            if number >= MAX_CONNECTIONS - 1 {
                break;
            }
        }
        assert_eq!(table.connect(peer(1), LocalPort::Any { first: 1 }).unwrap_err(), Taken::AllPlaces);
        assert!(ports.iter().all(|&port| port >= FIRST_DYNAMIC_PORT && port != 50_000));
        assert!(dynamic_ports(40_000).eq(dynamic_ports(40_000 | FIRST_DYNAMIC_PORT)));
        let mut all: Vec<_> = dynamic_ports(7).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(FIRST_DYNAMIC_PORT..=u16::MAX));
    }

    #[test]
    fn an_old_place_does_not_free_a_newer_one() {
        let mut table = Table::new(US);
        let (_arrivals, _) = table.listen(555).unwrap();
        let (old, _old_inbox) = connection(table.offer(peer(1), segment(1000, 555, SYN, b""), START));
        table.remove(old);
        let (_new, new_inbox) = connection(table.offer(peer(1), segment(1000, 555, SYN, b""), START));
        table.remove(old);
        table.establish(old);
        assert_eq!(table.half_open, 1);
        table.offer(peer(1), segment(1000, 555, ACK, b"x"), START);
        assert_eq!(new_inbox.len(), 1);
    }

    /// A half-open connection.
    type Half = (Place, Receiver<Waiting>);

    /// A table in which all half-open places are taken, and those who hold them.
    fn crowded() -> (Table, Receiver<Arrival>, Vec<Half>) {
        let mut table = Table::new(US);
        let (arrivals, _) = table.listen(555).unwrap();
        let mut syn = |number| connection(table.offer(peer(number), segment(1, 555, SYN, b""), START));
        let held: Vec<_> = (0..MAX_HALF_OPEN).map(&mut syn).collect();
        (table, arrivals, held)
    }

    /// What the table makes of this segment of a peer that has no place.
    fn admitted(table: &mut Table, number: usize, control: u8, ack: SeqNum, now: Instant) -> Admitted {
        let segment = Segment { ack, ..segment(1, 555, control, b"") };
        let segment = if control == SYN { segment } else { Segment { seq: segment.seq + 1, ..segment } };
        match table.offer(peer(number), segment, now) {
            Offered::Listening { admitted, .. } => admitted,
            _ => panic!("not for the listener"),
        }
    }

    fn cookie(table: &mut Table, number: usize, now: Instant) -> SeqNum {
        match admitted(table, number, SYN, SeqNum::default(), now) {
            Admitted::Crowded(baker) => {
                baker.bake(SocketAddrV4::new(US, 555), peer(number), &segment(1, 555, SYN, b""), None)
            }
            _ => panic!("there was a place"),
        }
    }

    #[test]
    fn a_handshake_gives_way_to_a_new_one_when_it_is_overdue() {
        let (mut table, _arrivals, held) = crowded();
        table.establish(held[0].0);
        table.establish(held[0].0); // counts once
        assert_eq!(table.half_open, MAX_HALF_OPEN - 1);
        connection(table.offer(peer(MAX_HALF_OPEN), segment(1, 555, SYN, b""), START));
        let just_before = START + HALF_OPEN_GRACE - Duration::from_micros(1);
        cookie(&mut table, MAX_HALF_OPEN + 1, just_before);
        connection(table.offer(peer(MAX_HALF_OPEN + 1), segment(1, 555, SYN, b""), START + HALF_OPEN_GRACE));
        assert_eq!(table.half_open, MAX_HALF_OPEN);
        let ended = |number: usize| !table.connections.contains_key(&held[number].0.key);
        assert_eq!([ended(0), ended(1), ended(2)], [false, true, false]);
        assert!(held[1].1.recv().is_err());
    }

    #[test]
    fn a_cookie_that_comes_back_has_a_place_and_is_no_handshake() {
        let (mut table, _arrivals, _held) = crowded();
        let number = MAX_HALF_OPEN;
        let iss = cookie(&mut table, number, START);
        assert_eq!(table.connections.len(), MAX_HALF_OPEN, "nothing is kept");
        let late = START + Duration::from_secs(60);
        let Admitted::Returns((place, queues), _) = admitted(&mut table, number, ACK, iss + 1, late) else {
            panic!("the cookie is ours");
        };
        assert_eq!(table.half_open, MAX_HALF_OPEN);
        // A replay goes where all of the connection's segments go.
        let replay = Segment { ack: iss + 1, ..segment(1, 555, ACK, b"again") };
        assert!(matches!(table.offer(peer(number), replay, late), Offered::Taken));
        assert_eq!(queues.segments.recv().unwrap().payload, b"again");
        table.remove(place);
        assert_eq!(table.half_open, MAX_HALF_OPEN);
    }

    #[test]
    fn forged_and_old_cookies_and_those_of_others_have_no_place() {
        let (mut table, _arrivals, _held) = crowded();
        let (number, other) = (MAX_HALF_OPEN, MAX_HALF_OPEN + 1);
        // Before any was given none can come back.
        assert!(matches!(admitted(&mut table, number, ACK, SeqNum::new(1), START), Admitted::Stray));
        let iss = cookie(&mut table, number, START);
        let is_stray =
            |table: &mut Table, number, ack, now| matches!(admitted(table, number, ACK, ack, now), Admitted::Stray);
        assert!(is_stray(&mut table, number, iss - 100, START) && is_stray(&mut table, number, iss + 100, START));
        assert!(is_stray(&mut table, other, iss + 1, START));
        assert!(is_stray(&mut table, number, iss + 1, START + Duration::from_secs(129)));
        assert!(!is_stray(&mut table, number, iss + 1, START));
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let mut table = Table::new(US);
        let (_arrivals, _) = table.listen(555).unwrap();
        let mut held = Vec::new();
        for number in 0..MAX_CONNECTIONS {
            let (place, inbox) = connection(table.offer(peer(number), segment(1, 555, SYN, b""), START));
            table.establish(place);
            held.push((place, inbox));
        }
        assert!(table.handshakes.len() <= HANDSHAKES_REMEMBERED + 1);
        let next = table.offer(peer(MAX_CONNECTIONS), segment(1, 555, SYN, b""), START);
        assert!(matches!(next, Offered::Lost("the table of connections is full")));
        for (place, _) in held {
            table.remove(place);
        }
        assert_eq!((table.half_open, table.connections.len()), (0, 0));
    }

    #[test]
    fn in_a_full_table_a_handshake_gives_way_and_an_open_connection_does_not() {
        let mut table = Table::new(US);
        let (_arrivals, _) = table.listen(555).unwrap();
        let mut held = Vec::new();
        for number in 0..MAX_CONNECTIONS {
            let (place, inbox) = connection(table.offer(peer(number), segment(1, 555, SYN, b""), START));
            if number != 7 {
                table.establish(place);
            }
            held.push(inbox);
        }
        cookie(&mut table, MAX_CONNECTIONS, START);
        connection(table.offer(peer(MAX_CONNECTIONS), segment(1, 555, SYN, b""), START + HALF_OPEN_GRACE));
        assert!(held[7].recv().is_err());
        assert_eq!((table.half_open, table.connections.len()), (1, MAX_CONNECTIONS));
        // A cookie that comes back has the place of a handshake, however young.
        let iss = cookie(&mut table, MAX_CONNECTIONS + 1, START);
        let returned = admitted(&mut table, MAX_CONNECTIONS + 1, ACK, iss + 1, START);
        assert!(matches!(returned, Admitted::Returns(..)));
        assert_eq!((table.half_open, table.connections.len()), (0, MAX_CONNECTIONS));
    }

    #[test]
    fn eviction_spares_a_newer_handshake_between_the_same_ports() {
        let mut table = Table::new(US);
        let (_arrivals, _) = table.listen(555).unwrap();
        let (place, inbox) = connection(table.offer(peer(1), segment(1, 555, SYN, b""), START));
        table.evict(place.key);
        assert!(inbox.is_empty() && table.holds(place));
        table.establish(place);
        table.evict(place.key);
        assert!(inbox.recv().is_err());
    }

    #[test]
    fn stray_segments_leave_room_for_syns_in_the_backlog() {
        let mut table = Table::new(US);
        let (arrivals, _) = table.listen(555).unwrap();
        for _ in 0..BACKLOG_STRAYS {
            let Offered::Listening { backlog, segment, .. } = table.offer(peer(1), segment(1, 555, ACK, b""), START)
            else {
                panic!("not for the listener");
            };
            backlog.send(Arrival { remote: peer(1), segment, standing: Standing::Stray, predecessor: None }).unwrap();
        }
        assert!(matches!(table.offer(peer(1), segment(1, 555, ACK, b""), START), Offered::Lost(_)));
        connection(table.offer(peer(2), segment(1, 555, SYN, b""), START));
        assert_eq!(arrivals.len(), BACKLOG_STRAYS);
    }

    #[test]
    fn an_inbox_is_bounded_and_follows_the_window() {
        let mut table = Table::new(US);
        let (_arrivals, _) = table.listen(555).unwrap();
        let offered = table.offer(peer(1), segment(1, 555, SYN, b""), START);
        let Offered::Listening { admitted: Admitted::Begins((_, queues)), .. } = offered else {
            panic!("no new connection");
        };
        let (room, inbox) = (queues.room, queues.segments);
        let mut fill = || {
            let before = inbox.len();
            while matches!(table.offer(peer(1), segment(1, 555, ACK, &[7; 1000]), START), Offered::Taken) {}
            inbox.len() - before
        };
        let own = INBOX_BYTES / (1000 + SEGMENT_OVERHEAD_BYTES);
        assert_eq!(fill(), own);
        inbox.recv().unwrap();
        assert_eq!(fill(), 1);
        room.expect(100_000);
        assert_eq!(fill(), 150_000 / (1000 + SEGMENT_OVERHEAD_BYTES));
        drop(inbox.try_iter().collect::<Vec<_>>());
        room.expect(0);
        assert_eq!(fill(), own);
    }

    #[test]
    fn a_port_is_listened_on_once_and_freed() {
        let mut table = Table::new(US);
        let (_arrivals, serial) = table.listen(555).unwrap();
        assert_eq!(table.listen(555).unwrap_err(), ListenError::InUse { port: 555 });
        assert!(table.unlisten(555, serial + 1).is_none());
        assert!(table.unlisten(555, serial).is_some());
        let (arrivals, _) = table.listen(555).unwrap();
        drop(table.close());
        assert!(arrivals.recv().is_err());
        assert_eq!(table.listen(555).unwrap_err(), ListenError::Stopped);
    }
}
