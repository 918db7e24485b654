//! The whole program over a link inside the process, where a requirement needs the IP layer below TCP or the user above it.
//!
//! The test is the peer, with IP packets made by hand, and it is the user, with the session-typed channel that every user has.

use std::thread;

use session_tcp::calls::{Connect, Connected, Open, Set, TcbCreated};
use session_tcp::cb::{self, CbChannel};
use session_tcp::server::Server;
use session_tcp::smol_channel::NetChannel;
use session_tcp::smol_lower::{LinkEnd, LowerConfig, SmolLower, perfect};
use session_tcp::st::{Participant, Token};
use session_tcp::system::{State, System, Watch};
use session_tcp::tcp::isn::IsnSecret;
use session_tcp::tcp::segment::Segment;
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{Config, LocalAddr, Setting};
use session_tcp::undirected::{Clock, Io};
use session_tcp::{
    ConnectingEvent, RoleClientSystem, RoleClientUser, RoleServerSystem, RoleServerUser, UserOpen, UserUnconnected,
    UserUnopened,
};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Duration;
use smoltcp::wire::{Icmpv4Packet, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr};
use std::net::SocketAddrV4;

use super::driver::{ACK, Craft, FIN, PEER, PEER_WND, SYN, US};
use session_tcp::tcp::segment::Control;

/// What must come comes within this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// What does not come within this time does not come.
const QUIET: Duration = Duration::from_millis(60);

/// The user's end of the channel to its system.
pub(super) type User = CbChannel<RoleServerUser, RoleServerSystem>;
/// The user with the floor.
pub(super) type Floor = Token<RoleServerUser, UserOpen<RoleServerUser>>;

/// The peer's end of a link to the layer below TCP.
pub(super) struct Wire {
    end: LinkEnd,
    /// The layer at the other end.
    pub(super) lower: SmolLower,
}

impl Wire {
    /// Starts the layer below at the other end of a link; it stops when this one is dropped.
    pub(super) fn new(config: &LowerConfig) -> Self {
        let (ours, theirs) = LinkEnd::pair(1500, perfect(), perfect());
        let lower = SmolLower::over_link(theirs, config).unwrap();
        thread::spawn({
            let lower = lower.clone();
            move || lower.run()
        });
        Self { end: ours, lower }
    }

    /// Sends a segment from the peer to us.
    pub(super) fn send(&self, segment: &Segment) {
        self.send_between(*PEER.ip(), *US.ip(), segment);
    }

    /// Sends a segment with these addresses.
    pub(super) fn send_between(&self, src: Ipv4Address, dst: Ipv4Address, segment: &Segment) {
        self.end.transmit(packet(src, dst, segment)).unwrap();
    }

    /// Sends an IP packet.
    pub(super) fn send_packet(&self, packet: Vec<u8>) {
        self.end.transmit(packet).unwrap();
    }

    /// The next packet from us: the octets, and the segment in it.
    pub(super) fn next_packet(&self) -> (Vec<u8>, Segment) {
        let packet = self.end.receive(PATIENCE).unwrap().expect("a packet comes");
        let ip = Ipv4Packet::new_checked(&packet[..]).unwrap();
        assert_eq!(ip.next_header(), IpProtocol::Tcp);
        let segment = Segment::parse(ip.payload(), ip.src_addr(), ip.dst_addr()).unwrap();
        (packet, segment)
    }

    /// The next segment from us.
    pub(super) fn next(&self) -> Segment {
        self.next_packet().1
    }

    /// Nothing comes.
    #[track_caller]
    pub(super) fn is_quiet(&self) {
        assert_eq!(self.end.receive(QUIET).unwrap(), None, "nothing is sent");
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.lower.stop();
    }
}

/// An IPv4 packet with this segment.
pub(super) fn packet(src: Ipv4Address, dst: Ipv4Address, segment: &Segment) -> Vec<u8> {
    let text = segment.emit(src, dst);
    let repr =
        Ipv4Repr { src_addr: src, dst_addr: dst, next_header: IpProtocol::Tcp, payload_len: text.len(), hop_limit: 64 };
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(&mut Ipv4Packet::new_unchecked(&mut bytes[..]), &ChecksumCapabilities::default());
    bytes.extend(text);
    bytes
}

/// An ICMP message of this type and code about a packet of ours, from its destination.
pub(super) fn icmp_about(quoted: &[u8], kind: u8, code: u8) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend(&quoted[..28]);
    Icmpv4Packet::new_unchecked(&mut message[..]).fill_checksum();
    let repr = Ipv4Repr {
        src_addr: *PEER.ip(),
        dst_addr: *US.ip(),
        next_header: IpProtocol::Icmp,
        payload_len: message.len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(&mut Ipv4Packet::new_unchecked(&mut bytes[..]), &ChecksumCapabilities::default());
    bytes.extend(message);
    bytes
}

/// A segment of the peer's with these control bits.
pub(super) fn from_peer(control: Control) -> Segment {
    Segment { src_port: PEER.port(), dst_port: US.port(), control, wnd: PEER_WND, ..Segment::default() }
}

/// A peer that has opened a connection and keeps its own numbers.
pub(super) struct Peer {
    /// The link.
    pub(super) wire: Wire,
    /// An ACK with the numbers that are in order now.
    pub(super) ack: Segment,
}

impl Peer {
    /// Opens a connection from this number on.
    pub(super) fn open(wire: Wire, seq: SeqNum) -> Self {
        let syn = from_peer(SYN).mss(1460).at(seq);
        wire.send(&syn);
        let syn_ack = wire.next();
        let ack = from_peer(ACK).at(syn.end()).acking(syn_ack.end());
        wire.send(&ack);
        Self { wire, ack }
    }

    /// Takes and acknowledges what comes in order, up to a FIN.
    pub(super) fn read_to_fin(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        loop {
            let segment = self.wire.next();
            if segment.seq == self.ack.ack {
                text.extend(&segment.payload);
                self.ack.ack = segment.end();
                self.wire.send(&self.ack);
            }
            if segment.control.fin() && self.ack.ack == segment.end() {
                return text;
            }
        }
    }

    /// Sends text in order.
    pub(super) fn send(&mut self, text: &[u8]) {
        let segment = self.ack.clone().text(text);
        self.wire.send(&segment);
        self.ack.seq = segment.end();
    }

    /// Sends a FIN in order.
    pub(super) fn finish(&mut self) {
        let fin = self.ack.clone().and(FIN);
        self.wire.send(&fin);
        self.ack.seq = fin.end();
    }
}

/// Nobody listens to changes of state.
struct Unwatched;

impl Watch for Unwatched {
    fn changed(&mut self, _remote: Option<SocketAddrV4>, _from: State, _to: State) {}
}

/// Starts the whole server, which reverses lines, at the other end of a link.
pub(super) fn served() -> Wire {
    let wire = Wire::new(&LowerConfig::default());
    let server = Server {
        lower: wire.lower.clone(),
        backlog: wire.lower.listen(US.port()).unwrap(),
        local: LocalAddr { addr: *US.ip(), port: US.port() },
        config: Config::default(),
        settings: Vec::new(),
        isn: IsnSecret([9; 16]),
        clock: Clock::start(),
    };
    thread::spawn(move || server.run());
    wire
}

/// Opens a connection to the program of the server's system, the test being peer and user.
pub(super) fn connected(config: Config) -> (Peer, User, Floor) {
    connected_with(config, &[])
}

/// The same, the user setting this before its OPEN.
pub(super) fn connected_with(config: Config, settings: &[Setting]) -> (Peer, User, Floor) {
    let wire = Wire::new(&LowerConfig::default());
    let backlog = wire.lower.listen(US.port()).unwrap();
    let (mut user, system_end) = cb::pair::<RoleServerUser, RoleServerSystem>();
    let io = Io::new(NetChannel::new(wire.lower.clone(), backlog), system_end, Clock::start());
    let system = System::new(io, config, IsnSecret([9; 16]), Unwatched);
    thread::spawn(move || system.run(RoleServerSystem::start()));
    let open = Open(LocalAddr { addr: *US.ip(), port: US.port() });
    let mut st = RoleServerUser::start();
    for setting in settings {
        st = user.select(st, UserUnopened::Set(Set(*setting))).unwrap();
    }
    let st = user.select(st, UserUnopened::Open(open)).unwrap();
    let (TcbCreated(()), st) = user.offer_one(st).unwrap();
    let peer = Peer::open(wire, SeqNum::new(0));
    let (Connected(()), st) = user.offer_one(st).unwrap();
    (peer, user, st)
}

/// The client user's end of the channel to its system.
pub(super) type ClientUser = CbChannel<RoleClientUser, RoleClientSystem>;

/// Lets a client user open a connection by the program of the client's system; returns what its system says to that first.
pub(super) fn opened(
    wire: &Wire,
    local: SocketAddrV4,
    remote: SocketAddrV4,
) -> (ClientUser, ConnectingEvent<RoleClientUser, RoleClientUser>) {
    let (mut user, system_end) = cb::pair::<RoleClientUser, RoleClientSystem>();
    let io = Io::new(NetChannel::unconnected(wire.lower.clone()), system_end, Clock::start());
    let system = System::new(io, Config::default(), IsnSecret([9; 16]), Unwatched);
    thread::spawn(move || system.run(RoleClientSystem::start()));
    let connect = Connect { local, remote };
    let st = user.select(RoleClientUser::start(), UserUnconnected::Connect(connect)).unwrap();
    let event = user.offer(st).unwrap();
    (user, event)
}
