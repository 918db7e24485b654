//! The layer below TCP: the device, the IP thread and the table that hands each segment to its connection.
//!
//! ```text
//! connection's thread ── send ─────────────────────────────► device (Wire: TUN, or a link inside the process)
//! connection's thread ◄─ Inbox ── Table ── run (IP thread) ◄── device
//! ```

mod error;
mod icmp;
mod inbox;
mod ip;
mod jar;
mod kernel;
mod link;
mod room;
mod table;
mod tun;
mod wire;

use core::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use log::{debug, warn};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpProtocol, Ipv4Packet};

pub use error::{ConnectError, DeviceError, ListenError};
pub use inbox::{Arrival, Backlog, Inbox, Standing};
pub use link::{BadLink, Impairment, LinkEnd, perfect};
pub use room::Waiting;
pub use table::MAX_HALF_OPEN;

use crate::tcp::segment::Segment;
use crate::tcp::seq::SeqNum;
use crate::tcp::{Carriage, Ecn, Fragmentation, Path, TcpClosed, Ttl};
use icmp::Quoted;
use ip::Host;
use kernel::Way;
use table::{Admitted, Key, LocalPort, Offered, Place, Reported, Table, Taken};
use tun::Tun;
use wire::{IpLayer, Wire};

/// How long the IP thread waits for a packet before it looks whether it is to stop: short enough for a person not to notice.
const STOP_CHECK: Duration = Duration::from_millis(100);

/// How often the IP thread looks whether the link is still up, which the kernel tells only who sends.
const LINK_CHECK: Duration = Duration::from_secs(1);

/// Where and as whom we serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowerConfig {
    /// The TUN device's name; without meaning over an in-process link.
    pub device: String,
    /// Our own address.
    pub address: Ipv4Addr,
    /// The length of its network's prefix, 0 to 32 bits.
    pub prefix_len: u8,
    /// Time to live of the segments sent, 1 to 255 hops (RFC 9293 §3.9.2, MUST-49).
    pub ttl: u8,
}

impl Default for LowerConfig {
    /// What `up.sh` makes; 192.0.2.0/24 is set aside for examples (RFC 5737), 64 is the Internet's default time to live.
    fn default() -> Self {
        Self { device: "tun-st".to_owned(), address: Ipv4Addr::new(192, 0, 2, 2), prefix_len: 24, ttl: 64 }
    }
}

impl LowerConfig {
    /// Tells what can be told without the device: whether the name can be a device's and the address a host's.
    ///
    /// # Errors
    /// [`DeviceError::Name`], [`DeviceError::Address`].
    pub fn check(&self) -> Result<(), DeviceError> {
        tun::check_device_name(&self.device)?;
        self.host()?;
        Ok(())
    }

    /// Our own address, checked.
    fn host(&self) -> Result<Host, DeviceError> {
        Host::new(self.address, self.prefix_len)
            .ok_or(DeviceError::Address { address: self.address, prefix_len: self.prefix_len })
    }
}

/// A handle on the layer below; clones share the device, the table and the limits.
#[derive(Debug, Clone)]
pub struct SmolLower {
    shared: Arc<Shared>,
}

/// What the handles share.
#[derive(Debug)]
struct Shared {
    wire: Wire,
    host: Host,
    ttl: u8,
    table: Mutex<Table>,
    /// When the table's time began.
    epoch: std::time::Instant,
    stop: AtomicBool,
    /// The identification of the next packet that may be cut on its way.
    idents: AtomicU16,
    /// Why a sender found that the device is no more, for the IP thread, which hears nothing of a link set down.
    broken: OnceLock<DeviceError>,
}

impl SmolLower {
    /// Attaches to the TUN device.
    ///
    /// # Errors
    /// Names what is in the way and what to do about it.
    pub fn open(config: &LowerConfig) -> Result<Self, DeviceError> {
        let host = config.host()?;
        let tun = Tun::open(&config.device)?;
        debug!("{}: attached, mtu {}", tun.device(), tun.mtu_bytes());
        check_the_way(config.address, &tun)?;
        Ok(Self::over(Wire::Tun(tun), host, config))
    }

    /// Takes an end of an in-process link for a device; everything above it is the same.
    ///
    /// # Errors
    /// [`DeviceError::Address`].
    pub fn over_link(end: LinkEnd, config: &LowerConfig) -> Result<Self, DeviceError> {
        let host = config.host()?;
        Ok(Self::over(Wire::Link(end), host, config))
    }

    fn over(wire: Wire, host: Host, config: &LowerConfig) -> Self {
        let shared = Shared {
            wire,
            host,
            ttl: config.ttl,
            table: Mutex::new(Table::new(host.address())),
            epoch: std::time::Instant::now(),
            stop: AtomicBool::new(false),
            idents: AtomicU16::new(rand::random()),
            broken: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Our own address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.shared.host.address()
    }

    /// The longest packet the device takes, IP header included, when we attached.
    #[must_use]
    pub fn mtu_bytes(&self) -> usize {
        self.shared.wire.mtu_bytes()
    }

    /// Sends a TCP segment in one IPv4 packet, in the calling thread and without a copy.
    ///
    /// A packet for which the kernel has no room is lost, as on any network.
    ///
    /// # Errors
    /// The device is down or gone, which ends [`SmolLower::run`] too; or the segment fits into no packet.
    pub fn send(&self, remote: Ipv4Addr, carriage: Carriage, tcp_bytes: &[u8]) -> Result<(), DeviceError> {
        let shared = &self.shared;
        if carriage.path == Path::Doubtful {
            // RFC 9293 §3.8.3 (MUST-20): a host with several gateways would ask whether this one is dead. We have none to choose from.
            debug!("{remote}: what is sent there is not acknowledged");
        }
        let ttl = match carriage.ttl {
            Ttl::Default => shared.ttl,
            Ttl::Hops(hops) => hops.get(),
        };
        let cutting = match carriage.fragmentation {
            Fragmentation::Forbidden => ip::Cutting::Forbidden,
            Fragmentation::Allowed => ip::Cutting::Allowed(shared.idents.fetch_add(1, Ordering::Relaxed)),
        };
        let (dscp, ecn) = (carriage.diff_serv.codepoint(), carriage.ecn.bits());
        let service = ip::Service { dscp, ecn, ttl, cutting };
        let header = ip::header(self.address(), remote, service, tcp_bytes.len());
        let Some(header) = header else {
            return Err(DeviceError::TooLong { tcp_bytes: tcp_bytes.len() });
        };
        let sent = shared.wire.transmit(&header, tcp_bytes);
        if let Err(error) = &sent {
            shared.broken.get_or_init(|| error.clone());
        }
        sent
    }

    /// Sends a segment, as [`send`](Self::send) does. All that TCP sends passes here, so here it is logged.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) fn send_segment(&self, remote: SocketAddrV4, segment: &Segment) -> Result<(), DeviceError> {
        debug!("{remote}: sent {segment}");
        let octets = segment.emit(self.address(), *remote.ip());
        self.send(*remote.ip(), segment.carriage, &octets)
    }

    /// Listens on a port until the last clone of the backlog is dropped.
    ///
    /// # Errors
    /// Somebody listens on it already, or [`SmolLower::run`] has ended.
    pub fn listen(&self, port: u16) -> Result<Backlog, ListenError> {
        let (arrivals, serial) = self.table().listen(port)?;
        Ok(Backlog::new(self.clone(), port, serial, arrivals))
    }

    /// Gives a connection that we open its place; returns its local socket and its inbox.
    ///
    /// An unspecified local address becomes ours (RFC 9293 §3.9.1.1, MUST-44), local port 0 any free one, at random (RFC 6056 §3.3.2).
    ///
    /// # Errors
    /// What is wrong with the sockets, or there is no room.
    pub fn connect(&self, local: SocketAddrV4, remote: SocketAddrV4) -> Result<(SocketAddrV4, Inbox), ConnectError> {
        if remote.port() == 0 || !self.shared.host.may_be_peer(*remote.ip()) {
            return Err(ConnectError::NoHost { remote });
        }
        if !local.ip().is_unspecified() && *local.ip() != self.address() {
            return Err(ConnectError::NotOurs { address: *local.ip() });
        }
        let wanted = match local.port() {
            0 => LocalPort::Any { first: rand::random() },
            port => LocalPort::Given(port),
        };
        let local = |port| SocketAddrV4::new(self.address(), port);
        let (place, queues) = self.table().connect(remote, wanted).map_err(|cause| match cause {
            Taken::Port(port) => ConnectError::Exists { local: local(port), remote },
            Taken::AllPorts => ConnectError::NoPort,
            Taken::AllPlaces => ConnectError::Full,
            Taken::Closed => ConnectError::Stopped,
        })?;
        Ok((local(place.key.local_port), Inbox::new(self.clone(), place, queues)))
    }

    /// Ends an open connection's inbox, so that its session ends and another can have its place.
    pub(crate) fn evict(&self, remote: SocketAddrV4, local_port: u16) {
        self.table().evict(Key { remote, local_port });
    }

    /// Ends the oldest handshake's inbox, so that its session ends and another can have its place.
    pub(crate) fn evict_half_open(&self) {
        self.table().evict_half_open();
    }

    /// The IP thread: takes packets and hands them on until it is stopped or the device fails; then all inboxes and backlogs end.
    ///
    /// Run it once, in one thread.
    ///
    /// # Errors
    /// The device is down or gone.
    pub fn run(&self) -> Result<(), DeviceError> {
        let _close_at_the_end = CloseAtTheEnd(self);
        let wire = &self.shared.wire;
        let mut ip_layer = IpLayer::new(wire, self.shared.host);
        let mut looked = self.now();
        while !self.shared.stop.load(Ordering::Relaxed) {
            wire.wait(STOP_CHECK)?;
            ip_layer.drain(|packet, ecn| self.take(packet, ecn))?;
            let now = self.now();
            if looked + LINK_CHECK <= now {
                looked = now;
                wire.check_link()?;
            }
            if let Some(error) = self.shared.broken.get() {
                return Err(error.clone());
            }
        }
        Ok(())
    }

    /// Whether [`SmolLower::run`] has ended, so that nothing arrives any more.
    #[must_use]
    pub(crate) fn has_ended(&self) -> bool {
        self.table().is_closed()
    }

    /// Makes [`SmolLower::run`] return, within about 100 ms.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Takes an IP packet with a TCP segment or an ICMP message.
    fn take(&self, packet: &[u8], ecn: Ecn) -> Result<(), DeviceError> {
        let Ok(packet) = Ipv4Packet::new_checked(packet) else {
            return Ok(());
        };
        let (src, dst) = (packet.src_addr(), packet.dst_addr());
        // RFC 9293 §3.9.2.3, MUST-57: nothing for broadcast or multicast. MUST-63: nothing from what is not one host's address.
        if dst != self.address() || !self.shared.host.may_be_peer(src) {
            debug!("packet from {src} to {dst} dropped: not between two hosts' addresses");
            return Ok(());
        }
        if packet.next_header() == IpProtocol::Icmp {
            self.take_icmp(src, packet.payload());
            return Ok(());
        }
        match Segment::parse(packet.payload(), src, dst) {
            Ok(mut segment) => {
                segment.carriage.ecn = ecn;
                self.route(SocketAddrV4::new(src, segment.src_port), segment)
            }
            Err(error) => {
                debug!("malformed segment from {src} dropped: {error}");
                Ok(())
            }
        }
    }

    /// Hands an ICMP error to the connection whose segment it quotes (RFC 9293 §3.9.2.2, MUST-54).
    fn take_icmp(&self, src: Ipv4Addr, message: &[u8]) {
        let Some(Quoted { dst, src_port, dst_port, error }) = icmp::parse(message, self.address()) else {
            return;
        };
        let key = Key { remote: SocketAddrV4::new(dst, dst_port), local_port: src_port };
        match self.table().report(key, error) {
            Reported::Taken => debug!("{}: {src} says {}", key.remote, error.kind),
            Reported::Lost(reason) => debug!("{}: {src} says {}, ignored: {reason}", key.remote, error.kind),
        }
    }

    /// Lets a segment arrive, for tests of what lies above.
    #[cfg(test)]
    pub(crate) fn arrive(&self, remote: SocketAddrV4, segment: Segment) {
        self.route(remote, segment).unwrap();
    }

    /// Hands a segment to its connection, to a listening session, or answers it as the CLOSED state does.
    fn route(&self, remote: SocketAddrV4, segment: Segment) -> Result<(), DeviceError> {
        self.route_after(remote, segment, None)
    }

    /// The same for a segment that reopens a connection whose SND.NXT this was.
    fn route_after(
        &self,
        remote: SocketAddrV4,
        segment: Segment,
        predecessor: Option<SeqNum>,
    ) -> Result<(), DeviceError> {
        let offered = self.table().offer(remote, segment, self.now()); // unlocked again from here on
        match offered {
            Offered::Taken => Ok(()),
            Offered::Lost(reason) => {
                debug!("segment from {remote} dropped: {reason}");
                Ok(())
            }
            Offered::Unclaimed(segment) => self.answer_as_closed(remote, &segment),
            Offered::Listening { backlog, segment, admitted } => {
                let inbox = |(place, queues)| Inbox::new(self.clone(), place, queues);
                let standing = match admitted {
                    Admitted::Stray => Standing::Stray,
                    Admitted::Begins(connection) => Standing::Begins(inbox(connection)),
                    Admitted::Crowded(baker) => Standing::Crowded(baker),
                    Admitted::Returns(connection, cookie) => Standing::Returns(inbox(connection), cookie),
                };
                let arrival = Arrival { remote, segment, standing, predecessor };
                if backlog.try_send(arrival).is_err() {
                    debug!("segment from {remote} dropped: nobody listens just now");
                }
                Ok(())
            }
        }
    }

    /// RFC 9293 §3.10.7.1: a segment for no connection.
    fn answer_as_closed(&self, remote: SocketAddrV4, segment: &Segment) -> Result<(), DeviceError> {
        let port = segment.dst_port;
        let Some(answer) = TcpClosed::answer(segment) else {
            debug!("{remote} in CLOSED: {segment}: for port {port}, dropped");
            return Ok(());
        };
        debug!("{remote} in CLOSED: {segment}: for port {port}, answered with a RST");
        self.send_segment(remote, &answer)
    }

    /// Closes a port.
    fn unlisten(&self, port: u16, serial: u64) {
        let listener = self.table().unlisten(port, serial);
        drop(listener);
    }

    /// Counts a connection as open.
    fn establish(&self, place: Place) {
        self.table().establish(place);
    }

    /// Frees a connection's place.
    fn vacate(&self, place: Place) {
        self.table().remove(place);
    }

    /// Ends all inboxes and backlogs.
    fn close(&self) {
        let ended = self.table().close();
        drop(ended);
    }

    /// The table's time.
    fn now(&self) -> Instant {
        let micros = self.shared.epoch.elapsed().as_micros();
        Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks where the host sends packets for our address: elsewhere than to our device nobody could reach us, and nobody would know why.
///
/// Another route, or none, is worth a warning only: the device may get its address after us, and peers may be behind other routes.
///
/// # Errors
/// The device is down, or the address is the host's own.
fn check_the_way(address: Ipv4Addr, tun: &Tun) -> Result<(), DeviceError> {
    let device = tun.device();
    let Some(way) = kernel::way_to(address) else {
        debug!("the kernel does not tell where packets for {address} go");
        return Ok(());
    };
    if way == Way::Through(device.to_owned()) {
        return Ok(());
    }
    // A device that is down has no routes, which would be the wrong thing to complain of.
    tun.check_up()?;
    match way {
        Way::ToItself => return Err(DeviceError::HostsOwn { address, device: device.to_owned() }),
        Way::Through(other) => {
            warn!("the host sends packets for {address} to {other}, not to {device}: they will not arrive here");
        }
        Way::Nowhere => {
            warn!(
                "the host has no route to {address}: give {device} an address in its network, as `sudo ./up.sh` does"
            );
        }
    }
    Ok(())
}

/// However the IP thread ends, nobody is to wait for it in vain.
struct CloseAtTheEnd<'a>(&'a SmolLower);

impl Drop for CloseAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use std::thread::{self, JoinHandle};
    use std::time::Instant as RealTime;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Repr, TcpPacket};

    use super::table::BACKLOG;
    use super::testing::{ACK, FIN, PEER, RST, SERVICE, SYN, US, icmp_error, packet, segment};
    use super::*;
    use crate::tcp::{IcmpError, IcmpKind};

    const PATIENCE: Duration = Duration::from_secs(5);
    const QUIET: Duration = Duration::from_millis(50);

    /// The layer with its IP thread, and a peer that speaks IP by hand.
    fn served() -> (SmolLower, LinkEnd, JoinHandle<Result<(), DeviceError>>) {
        let (ours, peer) = LinkEnd::pair(1500, perfect(), perfect());
        let lower = SmolLower::over_link(ours, &LowerConfig::default()).unwrap();
        let ip_thread = thread::spawn({
            let lower = lower.clone();
            move || lower.run()
        });
        (lower, peer, ip_thread)
    }

    /// The next packet must be a segment with these control bits and numbers.
    fn expect_segment(peer: &LinkEnd, control: u8, seq: i32, ack: i32) {
        let bytes = peer.receive(PATIENCE).unwrap().expect("no answer");
        let ip = Ipv4Packet::new_checked(&bytes[..]).unwrap();
        assert_eq!((ip.src_addr(), ip.dst_addr()), (US, PEER));
        let tcp = TcpPacket::new_checked(ip.payload()).unwrap();
        assert!(tcp.verify_checksum(&US.into(), &PEER.into()));
        let flags = [tcp.fin(), tcp.syn(), tcp.rst(), tcp.psh(), tcp.ack()];
        let flags = (0..).zip(flags).map(|(bit, set)| u8::from(set) << bit);
        assert_eq!(flags.sum::<u8>(), control);
        assert_eq!((tcp.seq_number().0, tcp.ack_number().0), (seq, ack));
    }

    /// Echo request with this much data, in fragments of at most `fragment_bytes`.
    fn echo_request(data: &[u8], fragment_bytes: usize) -> Vec<Vec<u8>> {
        let echo = Icmpv4Repr::EchoRequest { ident: 1, seq_no: 2, data };
        let mut icmp = vec![0; echo.buffer_len()];
        let checksums = ChecksumCapabilities::default();
        echo.emit(&mut Icmpv4Packet::new_unchecked(&mut icmp[..]), &checksums);
        fragments(IpProtocol::Icmp, &icmp, fragment_bytes)
    }

    /// An IP packet from the peer in fragments of at most `fragment_bytes` (a multiple of 8).
    fn fragments(protocol: IpProtocol, data: &[u8], fragment_bytes: usize) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        for (index, piece) in data.chunks(fragment_bytes).enumerate() {
            let offset = index * fragment_bytes;
            packets.push(fragment(protocol, piece, offset, data.len()));
        }
        packets
    }

    /// The piece at this offset of so many octets.
    fn fragment(protocol: IpProtocol, piece: &[u8], offset: usize, total: usize) -> Vec<u8> {
        let repr =
            Ipv4Repr { src_addr: PEER, dst_addr: US, next_header: protocol, payload_len: piece.len(), hop_limit: 64 };
        let mut bytes = vec![0; 20 + piece.len()];
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        repr.emit(&mut packet, &ChecksumCapabilities::default());
        packet.set_dont_frag(false);
        packet.set_ident(77);
        packet.set_more_frags(offset + piece.len() < total);
        packet.set_frag_offset(u16::try_from(offset).unwrap());
        packet.fill_checksum();
        bytes[20..].copy_from_slice(piece);
        bytes
    }

    fn expect_echo(peer: &LinkEnd, data: &[u8]) {
        let mut message = Vec::new();
        loop {
            let bytes = peer.receive(PATIENCE).unwrap().expect("no echo");
            let ip = Ipv4Packet::new_checked(&bytes[..]).unwrap();
            assert_eq!(ip.next_header(), IpProtocol::Icmp);
            assert!(ip.verify_checksum() && bytes.len() <= 1_500);
            assert_eq!(usize::from(ip.frag_offset()), message.len());
            message.extend(ip.payload());
            if !ip.more_frags() {
                break;
            }
        }
        let icmp = Icmpv4Packet::new_checked(&message[..]).unwrap();
        let reply = Icmpv4Repr::parse(&icmp, &ChecksumCapabilities::default()).unwrap();
        assert!(matches!(reply, Icmpv4Repr::EchoReply { data: back, .. } if back == data));
    }

    #[test]
    fn a_closed_port_answers_with_a_reset() {
        let (_lower, peer, _ip_thread) = served();
        peer.transmit(packet(1000, 81, SYN, b"abc")).unwrap();
        expect_segment(&peer, RST | ACK, 0, 104);
        peer.transmit(packet(1000, 81, ACK, b"abc")).unwrap();
        expect_segment(&peer, RST, 200, 0);
        peer.transmit(packet(1000, 81, RST, b"")).unwrap();
        assert_eq!(peer.receive(QUIET).unwrap(), None);
    }

    #[test]
    fn a_listening_port_hands_on_syns_with_an_inbox_and_others_without() {
        let (lower, peer, _ip_thread) = served();
        let backlog = lower.listen(555).unwrap();
        peer.transmit(packet(1000, 555, ACK, b"")).unwrap();
        let stray = backlog.receiver().recv().unwrap();
        assert!(stray.into_inbox().is_none());
        peer.transmit(packet(1000, 555, SYN, b"")).unwrap();
        peer.transmit(packet(1000, 555, ACK, b"hello")).unwrap();
        let arrival = backlog.receiver().recv().unwrap();
        assert_eq!(arrival.remote, SocketAddrV4::new(PEER, 1000));
        assert!(arrival.segment.control.syn());
        let remote = arrival.remote;
        let inbox = arrival.into_inbox().unwrap();
        assert_eq!(inbox.receiver().recv().unwrap().payload, b"hello");
        assert_eq!(inbox.remote(), remote);
        inbox.established();
    }

    #[test]
    fn a_dropped_inbox_and_a_dropped_backlog_free_their_places() {
        let (lower, peer, _ip_thread) = served();
        let backlog = lower.listen(555).unwrap();
        for _ in 0..3 {
            peer.transmit(packet(1000, 555, SYN, b"")).unwrap();
            assert!(backlog.receiver().recv().unwrap().into_inbox().is_some());
        }
        peer.transmit(packet(1001, 555, SYN, b"")).unwrap(); // stays in the backlog, which is dropped with it
        while backlog.receiver().is_empty() {
            thread::yield_now();
        }
        drop(backlog.clone());
        assert!(lower.listen(555).is_err());
        drop(backlog);
        peer.transmit(packet(1001, 555, SYN, b"")).unwrap();
        expect_segment(&peer, RST | ACK, 0, 101);
        assert!(lower.listen(555).is_ok());
    }

    #[test]
    fn a_resubmitted_syn_goes_to_the_next_listening_session() {
        let (lower, peer, _ip_thread) = served();
        let backlog = lower.listen(555).unwrap();
        peer.transmit(packet(1000, 555, SYN, b"")).unwrap();
        let first = backlog.receiver().recv().unwrap().into_inbox().unwrap();
        first.resubmit(segment(1000, 555, SYN, b""), SeqNum::new(77)).unwrap();
        let second = backlog.receiver().recv().unwrap();
        assert_eq!(second.predecessor, Some(SeqNum::new(77)));
        let second_inbox = second.into_inbox();
        assert!(second_inbox.is_some());
        drop(backlog);
        let stray = segment(1000, 555, ACK, b"");
        second_inbox.unwrap().resubmit(stray, SeqNum::new(77)).unwrap();
        expect_segment(&peer, RST, 200, 0);
    }

    #[test]
    fn a_full_backlog_drops_the_syn_and_keeps_no_place_for_it() {
        let (lower, peer, _ip_thread) = served();
        let backlog = lower.listen(555).unwrap();
        for port in 1..=u16::try_from(BACKLOG + 10).unwrap() {
            peer.transmit(packet(port, 555, SYN, b"")).unwrap();
        }
        peer.transmit(packet(1, 81, SYN, b"")).unwrap();
        expect_segment(&peer, RST | ACK, 0, 101); // all before it were handled
        assert_eq!(backlog.receiver().len(), BACKLOG);
        let taken: Vec<_> = backlog.receiver().try_iter().collect();
        let late = u16::try_from(BACKLOG + 10).unwrap();
        peer.transmit(packet(late, 555, SYN, b"")).unwrap();
        assert!(backlog.receiver().recv().unwrap().into_inbox().is_some());
        drop(taken);
    }

    #[test]
    fn nothing_is_answered_from_or_to_addresses_of_no_single_host() {
        let (lower, peer, _ip_thread) = served();
        let _backlog = lower.listen(555).unwrap();
        let cases = [
            ("0.0.0.0", "192.0.2.2"),
            ("127.0.0.1", "192.0.2.2"),
            ("192.0.2.2", "192.0.2.2"),
            ("192.0.2.255", "192.0.2.2"),
            ("224.0.0.1", "192.0.2.2"),
            ("255.255.255.255", "192.0.2.2"),
            ("240.0.0.1", "192.0.2.2"),
            ("192.0.2.77", "192.0.2.255"),
            ("192.0.2.77", "255.255.255.255"),
            ("192.0.2.77", "224.0.0.1"),
            ("192.0.2.77", "192.0.2.3"),
        ];
        for (src, dst) in cases {
            let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
            for port in [555, 81] {
                let mut bytes = packet(1000, port, SYN, b"").split_off(20);
                TcpPacket::new_unchecked(&mut bytes[..]).fill_checksum(&Ipv4Addr::into(src), &Ipv4Addr::into(dst));
                let header = ip::header(src, dst, SERVICE, bytes.len()).unwrap();
                peer.transmit([&header[..], &bytes].concat()).unwrap();
            }
        }
        assert_eq!(peer.receive(QUIET).unwrap(), None);
        peer.transmit(packet(1000, 81, SYN, b"")).unwrap();
        expect_segment(&peer, RST | ACK, 0, 101);
    }

    /// An ICMP message to us from a router.
    fn from_router(message: &[u8]) -> Vec<u8> {
        fragments(IpProtocol::Icmp, message, 1_480).remove(0)
    }

    #[test]
    fn must_54_an_icmp_error_reaches_the_connection_that_it_quotes_and_no_other() {
        let (lower, peer, _ip_thread) = served();
        let backlog = lower.listen(555).unwrap();
        let mut inboxes = Vec::new();
        for port in [1000, 1001] {
            peer.transmit(packet(port, 555, SYN, b"")).unwrap();
            inboxes.push(backlog.receiver().recv().unwrap().into_inbox().unwrap());
        }
        let header = ip::header(US, PEER, SERVICE, 1_480).unwrap();
        let [high, low] = 1001_u16.to_be_bytes();
        let quoted = [&header[..], &[2, 43, high, low, 0, 0, 0, 9]].concat();
        for kind in [4, 3] {
            peer.transmit(from_router(&icmp_error(kind, 4, [0, 0, 4, 0], &quoted))).unwrap();
        }
        let error = inboxes[1].errors().recv_timeout(PATIENCE.into()).unwrap();
        let kind = IcmpKind::TooBig { next_hop_mtu: 1024 };
        assert_eq!(error, IcmpError { kind, seq: SeqNum::new(9), packet_bytes: 1_500 });
        // Source Quench came first and is not there (MUST-55).
        assert!(inboxes[1].errors().is_empty() && inboxes[0].errors().is_empty());
    }

    #[test]
    fn a_flood_of_icmp_errors_is_bounded_and_echo_goes_on() {
        let (lower, peer, _ip_thread) = served();
        let backlog = lower.listen(555).unwrap();
        peer.transmit(packet(1000, 555, SYN, b"")).unwrap();
        let inbox = backlog.receiver().recv().unwrap().into_inbox().unwrap();
        let header = ip::header(US, PEER, SERVICE, 1_480).unwrap();
        let quoted = [&header[..], &[2, 43, 3, 232, 0, 0, 0, 9]].concat();
        for _ in 0..100 {
            peer.transmit(from_router(&icmp_error(11, 0, [0; 4], &quoted))).unwrap();
        }
        for packet in echo_request(b"still here?", 1_480) {
            peer.transmit(packet).unwrap();
        }
        expect_echo(&peer, b"still here?");
        assert!((1..=4).contains(&inbox.errors().len()));
    }

    #[test]
    fn echo_requests_of_any_length_are_answered() {
        let (_lower, peer, _ip_thread) = served();
        for length in [0, 56, 1_472, 1_473, 65_507, 2_999, 3_000, 1] {
            let data: Vec<u8> = (0..=250).cycle().take(length).collect();
            for packet in echo_request(&data, 1_480) {
                peer.transmit(packet).unwrap();
            }
            expect_echo(&peer, &data);
        }
    }

    #[test]
    fn a_fragmented_segment_is_reassembled() {
        let (lower, peer, _ip_thread) = served();
        let backlog = lower.listen(555).unwrap();
        peer.transmit(packet(1000, 555, SYN, b"")).unwrap();
        let inbox = backlog.receiver().recv().unwrap().into_inbox().unwrap();
        for size in [3_000, 65_495] {
            let payload = vec![5; size];
            let segment = packet(1000, 555, ACK, &payload).split_off(20);
            let mut pieces = fragments(IpProtocol::Tcp, &segment, 1_480);
            pieces.reverse();
            for piece in pieces {
                peer.transmit(piece).unwrap();
            }
            assert_eq!(inbox.receiver().recv().unwrap().payload, payload);
        }
    }

    #[test]
    fn a_mark_of_congestion_arrives_with_the_segment_and_with_one_whose_fragment_has_it() {
        let (lower, peer, _ip_thread) = served();
        let backlog = lower.listen(555).unwrap();
        peer.transmit(packet(1000, 555, SYN, b"")).unwrap();
        let inbox = backlog.receiver().recv().unwrap().into_inbox().unwrap();
        let with_ecn = |mut bytes: Vec<u8>, ecn: Ecn| {
            let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
            packet.set_ecn(ecn.bits());
            packet.fill_checksum();
            bytes
        };
        let arrived = || inbox.receiver().recv_timeout(PATIENCE.into()).unwrap().carriage.ecn;
        for ecn in [Ecn::Ce, Ecn::NotEct, Ecn::Ect0, Ecn::Ect1] {
            peer.transmit(with_ecn(packet(1000, 555, ACK, b"text"), ecn)).unwrap();
            assert_eq!(arrived(), ecn);
        }
        // RFC 3168 §5.3: reassembled, it is marked if one of its fragments is.
        let segment = packet(1000, 555, ACK, &[5; 3_000]).split_off(20);
        for marked in [0, 1, 2, 9] {
            for (index, piece) in fragments(IpProtocol::Tcp, &segment, 1_480).into_iter().enumerate() {
                peer.transmit(with_ecn(piece, if index == marked { Ecn::Ce } else { Ecn::Ect0 })).unwrap();
            }
            assert_eq!(arrived(), if marked == 9 { Ecn::Ect0 } else { Ecn::Ce }, "fragment {marked}");
        }
    }

    #[test]
    fn fragments_beyond_the_longest_packet_are_dropped() {
        let (_lower, peer, _ip_thread) = served();
        for protocol in [IpProtocol::Icmp, IpProtocol::Tcp, IpProtocol::Udp] {
            for (offset, bytes) in [(65_528, 8), (65_512, 4), (65_528, 65_515), (8, 65_515)] {
                peer.transmit(fragment(protocol, &vec![1; bytes], offset, offset + bytes)).unwrap();
                for piece in fragments(protocol, &vec![1; offset], 32_000) {
                    let mut piece = piece;
                    let mut packet = Ipv4Packet::new_unchecked(&mut piece[..]);
                    packet.set_more_frags(true);
                    packet.fill_checksum();
                    peer.transmit(piece).unwrap();
                }
            }
        }
        peer.transmit(packet(1000, 81, SYN, b"")).unwrap();
        expect_segment(&peer, RST | ACK, 0, 101);
    }

    #[test]
    fn nothing_that_arrives_ends_the_ip_thread() {
        let (lower, peer, ip_thread) = served();
        let backlog = lower.listen(555).unwrap();
        let mut dice = StdRng::seed_from_u64(2);
        let mut templates = vec![
            packet(1000, 555, SYN, b""),
            packet(1000, 555, ACK | FIN, b"data"),
            packet(1000, 81, SYN, b"x"),
            echo_request(b"ping", 1480).remove(0),
        ];
        templates.extend(echo_request(&[1; 100], 48));
        for turn in 0..100_000 {
            let mut bytes = templates[dice.random_range(0..templates.len())].clone();
            for _ in 0..dice.random_range(0..4) {
                let index = dice.random_range(0..bytes.len());
                bytes[index] = dice.random();
            }
            bytes.truncate(dice.random_range(0..bytes.len() * 4));
            if dice.random_range(0..8) > 0 && bytes.len() >= 60 {
                Ipv4Packet::new_unchecked(&mut bytes[..]).fill_checksum();
            }
            peer.transmit(bytes).unwrap();
            if turn % 500 == 0 {
                while backlog.receiver().try_recv().is_ok() {}
                while peer.receive(Duration::ZERO).unwrap().is_some() {}
                thread::sleep(core::time::Duration::from_millis(1)); // let it catch up
            }
        }
        while peer.receive(QUIET).unwrap().is_some() {}
        peer.transmit(packet(1000, 81, SYN, b"")).unwrap();
        while backlog.receiver().try_recv().is_ok() {}
        expect_segment(&peer, RST | ACK, 0, 101);
        lower.stop();
        ip_thread.join().unwrap().unwrap();
    }

    #[test]
    fn stopping_ends_inboxes_and_backlogs_soon() {
        let (lower, peer, ip_thread) = served();
        let backlog = lower.listen(555).unwrap();
        peer.transmit(packet(1000, 555, SYN, b"")).unwrap();
        let inbox = backlog.receiver().recv().unwrap().into_inbox().unwrap();
        let asked = RealTime::now();
        lower.stop();
        assert!(inbox.receiver().recv().is_err());
        assert!(backlog.receiver().recv().is_err());
        assert!(asked.elapsed().as_millis() < 1_000);
        ip_thread.join().unwrap().unwrap();
        assert_eq!(lower.listen(556).unwrap_err(), ListenError::Stopped);
    }

    #[test]
    fn a_failing_device_ends_everything_with_its_error() {
        let (lower, peer, ip_thread) = served();
        let backlog = lower.listen(555).unwrap();
        drop(peer);
        assert!(backlog.receiver().recv().is_err());
        let ended = ip_thread.join().unwrap();
        assert!(matches!(ended, Err(DeviceError::PeerGone)));
        assert!(lower.send(PEER, Carriage::default(), b"").is_err());
    }

    #[test]
    fn an_overlong_segment_is_an_error_of_its_sender_alone() {
        let (lower, peer, _ip_thread) = served();
        let error = lower.send(PEER, Carriage::default(), &vec![0; 65_516]).unwrap_err();
        assert!(matches!(error, DeviceError::TooLong { tcp_bytes: 65_516 }));
        peer.transmit(packet(1000, 81, SYN, b"")).unwrap();
        expect_segment(&peer, RST | ACK, 0, 101);
    }

    #[test]
    fn an_address_of_no_host_is_refused() {
        let (ours, _peer) = LinkEnd::pair(1500, perfect(), perfect());
        let config = LowerConfig { address: Ipv4Addr::new(224, 0, 0, 1), ..LowerConfig::default() };
        let error = SmolLower::over_link(ours, &config).unwrap_err();
        assert!(matches!(error, DeviceError::Address { .. }), "{error}");
    }
}
