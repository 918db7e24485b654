//! What carries our IP packets, and the IP layer that smoltcp runs on top of it.

use core::net::Ipv4Addr;
use std::collections::VecDeque;
use std::time::Instant as Clock;

use log::{debug, trace};
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::raw;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpCidr, IpProtocol, IpVersion, Ipv4Packet};

use super::error::DeviceError;
use super::ip::{self, Host, MAX_PACKET_BYTES};
use super::link::LinkEnd;
use super::tun::Tun;
use crate::tcp::Ecn;

/// Packets handled in one go before the IP thread looks whether it is to stop.
const BATCH_PACKETS: usize = 1_000;

/// Room of the raw socket, which is emptied after each packet: one of the longest, whose ring must not wrap.
const RAW_SOCKET_BYTES: usize = 2 * MAX_PACKET_BYTES;

/// Fragmented packets with a mark that are remembered: as many as smoltcp reassembles, and again as many.
const MARKED_FRAGMENTS: usize = 8;

/// The least MTU of IPv4 (RFC 791 §3.2).
const MIN_MTU_BYTES: usize = 68;

/// What carries our IP packets.
#[derive(Debug)]
pub(super) enum Wire {
    /// The kernel, through a TUN device.
    Tun(Tun),
    /// Another part of this process.
    Link(LinkEnd),
}

impl Wire {
    /// Sends one packet given in two pieces.
    pub(super) fn transmit(&self, header: &[u8], payload: &[u8]) -> Result<(), DeviceError> {
        match self {
            Self::Tun(tun) => tun.transmit(header, payload),
            Self::Link(end) => end.transmit([header, payload].concat()),
        }
    }

    /// Takes the next packet into `buffer` and returns its length, `None` if none waits.
    fn receive(&self, buffer: &mut [u8]) -> Result<Option<usize>, DeviceError> {
        let end = match self {
            Self::Tun(tun) => return tun.receive(buffer),
            Self::Link(end) => end,
        };
        let Some(packet) = end.take()? else {
            return Ok(None);
        };
        let length = packet.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(&packet) {
            *to = *from;
        }
        Ok(Some(length))
    }

    /// Waits until a packet can be taken, at most for `patience`.
    pub(super) fn wait(&self, patience: Duration) -> Result<(), DeviceError> {
        match self {
            Self::Tun(tun) => tun.wait(patience),
            Self::Link(end) => {
                end.wait(patience);
                Ok(())
            }
        }
    }

    /// Whether packets can still arrive, as far as that can be known without sending one.
    pub(super) fn check_link(&self) -> Result<(), DeviceError> {
        match self {
            Self::Tun(tun) => tun.check_link(),
            Self::Link(_) => Ok(()),
        }
    }

    /// The longest packet, IP header included.
    pub(super) fn mtu_bytes(&self) -> usize {
        match self {
            Self::Tun(tun) => tun.mtu_bytes(),
            Self::Link(end) => end.mtu_bytes(),
        }
        .clamp(MIN_MTU_BYTES, MAX_PACKET_BYTES)
    }
}

/// smoltcp's IP layer: checks headers, reassembles fragments, answers ICMP echo, and leaves TCP to us.
///
/// Bounds: four packets at a time are being reassembled, 64 KiB each; one that stays incomplete for a minute is given up. Somebody
/// on our own network can so keep others' fragments out, not their whole packets.
pub(super) struct IpLayer<'a> {
    device: PacketDevice<'a>,
    interface: Interface,
    sockets: SocketSet<'static>,
    /// What is taken out of the IP layer: TCP and ICMP.
    taps: [SocketHandle; 2],
    /// smoltcp's own clock is the wall clock, which may jump.
    start: Clock,
}

impl<'a> IpLayer<'a> {
    /// Sets the layer up over a wire.
    pub(super) fn new(wire: &'a Wire, host: Host) -> Self {
        let mut device = PacketDevice::new(wire);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = rand::random();
        let mut interface = Interface::new(config, &mut device, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            let cidr = IpCidr::new(host.address().into(), host.prefix_len());
            if addresses.push(cidr).is_err() {
                debug!("the IP layer has no room for an address");
            }
        });
        let mut sockets = SocketSet::new(Vec::with_capacity(2));
        let taps = [IpProtocol::Tcp, IpProtocol::Icmp].map(|protocol| sockets.add(tap(protocol)));
        Self { device, interface, sockets, taps, start: Clock::now() }
    }

    /// Takes the packets that wait, at most a batch, and hands on each that carries TCP or ICMP, header first, fragments
    /// reassembled, with its ECN field, which smoltcp forgets.
    ///
    /// # Errors
    /// The wire's, or the first that `take` returns.
    pub(super) fn drain(
        &mut self,
        mut take: impl FnMut(&[u8], Ecn) -> Result<(), DeviceError>,
    ) -> Result<(), DeviceError> {
        for _ in 0..BATCH_PACKETS {
            let now = self.now();
            let polled = self.interface.poll_ingress_single(now, &mut self.device, &mut self.sockets);
            if let Some(error) = self.device.failure.take() {
                return Err(error);
            }
            if polled == PollIngressSingleResult::None {
                break;
            }
            for tap in self.taps {
                let socket = self.sockets.get_mut::<raw::Socket<'_>>(tap);
                while let Ok(packet) = socket.recv() {
                    take(packet, self.device.marks.of_whole())?;
                }
            }
        }
        Ok(())
    }

    /// Time since the layer was set up.
    fn now(&self) -> Instant {
        Instant::ZERO + Duration::from(self.start.elapsed())
    }
}

/// A socket that gets every packet of a protocol; echo requests are answered by smoltcp all the same.
fn tap(protocol: IpProtocol) -> raw::Socket<'static> {
    raw::Socket::new(
        Some(IpVersion::Ipv4),
        Some(protocol),
        raw::PacketBuffer::new(vec![raw::PacketMetadata::EMPTY; 4], vec![0; RAW_SOCKET_BYTES]),
        raw::PacketBuffer::new(vec![], vec![]), // segments are sent past smoltcp
    )
}

/// A wire as smoltcp wants to see it: no errors, they are kept for [`IpLayer`].
struct PacketDevice<'a> {
    wire: &'a Wire,
    received: Vec<u8>,
    sending: Vec<u8>,
    /// Identification of the next packet that is cut into fragments.
    ident: u16,
    failure: Option<DeviceError>,
    marks: Marks,
}

impl<'a> PacketDevice<'a> {
    fn new(wire: &'a Wire) -> Self {
        Self {
            wire,
            received: vec![0; MAX_PACKET_BYTES],
            sending: Vec::new(),
            ident: rand::random(),
            failure: None,
            marks: Marks::default(),
        }
    }
}

impl Device for PacketDevice<'_> {
    type RxToken<'t>
        = Received<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Sending<'t>
    where
        Self: 't;

    fn receive(&mut self, _now: Instant) -> Option<(Received<'_>, Sending<'_>)> {
        let length = match self.wire.receive(&mut self.received) {
            Ok(length) => length?,
            Err(error) => {
                self.failure = Some(error);
                return None;
            }
        };
        let packet = self.received.get(..length).unwrap_or_default();
        trace!("received {packet:02x?}");
        self.marks.note(packet);
        // An empty frame is one that smoltcp passes over.
        let packet = if ip::is_overlong_fragment(packet) {
            debug!("fragment beyond the longest packet dropped");
            &[]
        } else {
            packet
        };
        let reply =
            Sending { wire: self.wire, buffer: &mut self.sending, ident: &mut self.ident, failure: &mut self.failure };
        Some((Received { packet }, reply))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Sending<'_>> {
        Some(Sending { wire: self.wire, buffer: &mut self.sending, ident: &mut self.ident, failure: &mut self.failure })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MAX_PACKET_BYTES; // `Sending` cuts to the wire's own
        capabilities
    }
}

/// The ECN fields of what arrives.
#[derive(Debug, Default)]
struct Marks {
    /// That of the last packet.
    ecn: Ecn,
    /// What the last packet is a fragment of.
    of: Option<(Ipv4Addr, u16)>,
    /// Packets of which a marked fragment arrived, the latest last.
    fragmented: VecDeque<(Ipv4Addr, u16)>,
}

impl Marks {
    /// A packet arrived, or a fragment of one: reassembled, that is marked if one of its fragments is (RFC 3168 §5.3).
    fn note(&mut self, packet: &[u8]) {
        let Ok(packet) = Ipv4Packet::new_checked(packet) else {
            return;
        };
        self.ecn = Ecn::from_bits(packet.ecn());
        let is_fragment = packet.more_frags() || packet.frag_offset() > 0;
        self.of = is_fragment.then(|| (packet.src_addr(), packet.ident()));
        if let Some(whole) = self.of
            && self.ecn == Ecn::Ce
            && !self.fragmented.contains(&whole)
        {
            if self.fragmented.len() == MARKED_FRAGMENTS {
                self.fragmented.pop_front();
            }
            self.fragmented.push_back(whole);
        }
    }

    /// The field of the packet that the last one was or completed; its fragments are forgotten.
    fn of_whole(&mut self) -> Ecn {
        if let Some(at) = self.fragmented.iter().position(|other| Some(*other) == self.of) {
            self.fragmented.remove(at);
            self.ecn = Ecn::Ce;
        }
        self.ecn
    }
}

/// A packet that arrived.
struct Received<'a> {
    packet: &'a [u8],
}

impl phy::RxToken for Received<'_> {
    fn consume<R, F>(self, f: F) -> R
    where
        F: FnOnce(&[u8]) -> R,
    {
        f(self.packet)
    }
}

/// The chance to send a packet.
struct Sending<'a> {
    wire: &'a Wire,
    buffer: &'a mut Vec<u8>,
    ident: &'a mut u16,
    failure: &'a mut Option<DeviceError>,
}

impl phy::TxToken for Sending<'_> {
    fn consume<R, F>(mut self, len: usize, f: F) -> R
    where
        F: FnOnce(&mut [u8]) -> R,
    {
        self.buffer.clear();
        self.buffer.resize(len, 0);
        let result = f(self.buffer);
        *self.failure = self.put().err();
        result
    }
}

impl Sending<'_> {
    /// Sends what the buffer holds, in fragments if it must be.
    fn put(&mut self) -> Result<(), DeviceError> {
        let mtu_bytes = self.wire.mtu_bytes();
        if self.buffer.len() <= mtu_bytes {
            return self.wire.transmit(self.buffer, &[]);
        }
        *self.ident = self.ident.wrapping_add(1);
        for (header, piece) in ip::fragments(self.buffer, mtu_bytes, *self.ident) {
            self.wire.transmit(&header, piece)?;
        }
        Ok(())
    }
}
