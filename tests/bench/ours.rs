//! Hosts with our machine.

use crate::simulator::flows::{Host, Maker};
use crate::simulator::stack::{CLIENT, SERVER, Stack};
use session_tcp::tcp::Config;
use session_tcp::tcp::segment::Segment;
use smoltcp::time::Instant;
use std::net::Ipv4Addr;

/// The octets of the IPv4 header in front of each segment, kept empty: nobody reads them here.
const IP_HEADER: usize = 20;
/// What the sending user gives in one call.
const CHUNK: [u8; 4096] = [b'x'; 4096];

/// Makes them.
pub(crate) struct Ours {
    /// Octets of each of a socket's buffers.
    pub(crate) buffer: usize,
}

/// What the user does.
#[derive(Clone, Copy)]
enum User {
    Sends,
    Receives,
}

/// Our machine and its user.
pub(crate) struct OurHost {
    stack: Stack,
    user: User,
    buffer: usize,
    from: Ipv4Addr,
    to: Ipv4Addr,
    received: u64,
    wakes_at: Option<Instant>,
}

impl Ours {
    fn config(&self) -> Config {
        Config {
            rcv_buff_bytes: self.buffer,
            rcv_buff_max_bytes: self.buffer,
            snd_buff_bytes: self.buffer,
            snd_buff_max_bytes: self.buffer,
            ..Config::default()
        }
    }
}

impl Maker for Ours {
    type Host = OurHost;

    fn sender(&self, flow: u16, now: Instant) -> OurHost {
        let stack = Stack::connect(self.config(), u32::from(flow) * 1000, now);
        let (from, to) = (*CLIENT.ip(), *SERVER.ip());
        OurHost { stack, user: User::Sends, buffer: self.buffer, from, to, received: 0, wakes_at: None }
    }

    fn receiver(&self, flow: u16, _now: Instant) -> OurHost {
        let stack = Stack::listen(self.config(), u32::from(flow) * 1001);
        let (from, to) = (*SERVER.ip(), *CLIENT.ip());
        OurHost { stack, user: User::Receives, buffer: self.buffer, from, to, received: 0, wakes_at: None }
    }
}

impl Host for OurHost {
    fn arrive(&mut self, packet: Vec<u8>, now: Instant) {
        let segment = Segment::parse(&packet[IP_HEADER..], self.to, self.from);
        self.stack.arrive(segment.expect("this link damages nothing"), now);
    }

    fn work(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        match self.user {
            User::Sends => while self.stack.send(&CHUNK, self.buffer, now) > 0 {},
            User::Receives => self.received += self.stack.receive(usize::MAX).len() as u64,
        }
        self.wakes_at = self.stack.work(now);
        for segment in self.stack.take_sent() {
            let mut packet = vec![0; IP_HEADER];
            packet.extend(segment.emit(self.from, self.to));
            out.push(packet);
        }
        assert!(self.stack.ended().is_none(), "the connection ended: {:?}", self.stack.ended());
    }

    fn wakes_at(&mut self, _now: Instant) -> Option<Instant> {
        self.wakes_at
    }

    fn received(&self) -> u64 {
        self.received
    }
}
