//! A packet socket on a device: every IPv4 packet that crosses it, and a way to send packets of any make.

use super::segment::{checksum, ipv4, parse_ipv4};
use super::socket::widen;
use super::{DEVICE, PEER, SERVER};
use smoltcp::phy::{Device, Medium, RawSocket, RxToken, TxToken, wait};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// The protocol number of ICMP.
const ICMP: u8 = 1;
/// Room for what crosses the device while our thread does not run, as the kernel counts it: about a kilobyte more a packet.
pub const BUFFER_BYTES: i32 = 16 * 1024 * 1024;
/// How long a lost probe is waited for.
const PROBE_INTERVAL: Duration = Duration::from_millis(20);

/// The socket. It stays in the thread that made it.
pub struct Packets {
    socket: RawSocket,
}

impl Packets {
    /// A packet socket on `tun-st`.
    pub fn on_the_device() -> Self {
        let socket =
            RawSocket::new(DEVICE, Medium::Ip).unwrap_or_else(|error| panic!("no packet socket on {DEVICE}: {error}"));
        // The default holds some ninety full packets, and loses the others of a burst in silence while we wait for the processor.
        widen(&socket, BUFFER_BYTES);
        Self { socket }
    }

    /// Sends one packet towards the server.
    pub fn send(&mut self, packet: &[u8]) {
        transmit(&mut self.socket, packet);
    }

    /// The next packet in either direction, but our own.
    pub fn receive(&mut self, until: Instant) -> Option<Vec<u8>> {
        loop {
            if let Some(packet) = receive(&mut self.socket) {
                return Some(packet);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            await_readable(&self.socket, left);
        }
    }

    /// Sends echo requests with this content from the peer's address until the server answers one of them, and says whether it did.
    pub fn ping(&mut self, content: &[u8], within: Duration) -> bool {
        let request = ipv4(PEER, SERVER, ICMP, &echo(8, content));
        let answer = echo(0, content);
        let end = Instant::now() + within;
        while Instant::now() < end {
            self.send(&request);
            let next_probe = end.min(Instant::now() + PROBE_INTERVAL);
            while let Some(packet) = self.receive(next_probe) {
                if parse_ipv4(&packet) == Some((SERVER, PEER, ICMP, &answer)) {
                    return true;
                }
            }
        }
        false
    }
}

/// Sends one packet through this device.
pub fn transmit(device: &mut impl Device, packet: &[u8]) {
    let token = device.transmit(smoltcp::time::Instant::ZERO).unwrap();
    token.consume(packet.len(), |buffer| buffer.copy_from_slice(packet));
}

/// The next packet that has already arrived at this device.
pub fn receive(device: &mut impl Device) -> Option<Vec<u8>> {
    let (token, _) = device.receive(smoltcp::time::Instant::ZERO)?;
    Some(token.consume(<[u8]>::to_vec))
}

/// Waits for a packet, but no longer than `limit`.
pub fn await_readable(device: &impl AsRawFd, limit: Duration) {
    // `wait` rounds below a millisecond to no wait at all.
    let limit = limit.max(Duration::from_millis(1));
    wait(device.as_raw_fd(), Some(limit.into())).unwrap();
}

fn echo(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0x5e, 0x55, 0, 1];
    message.extend(content);
    let sum = checksum(&[&message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}
