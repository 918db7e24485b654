//! Bulk transfers between pairs of hosts over one link, in virtual time.

use super::lane::{Bottleneck, Lane, Path};
use smoltcp::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// A TCP and its user at one end of a flow; what it sends and gets are whole IPv4 packets, or of their length.
pub trait Host {
    /// A packet arrives.
    fn arrive(&mut self, packet: Vec<u8>, now: Instant);
    /// Lets its user and then its TCP do all they can now; what TCP sends goes to `out`.
    fn work(&mut self, now: Instant, out: &mut Vec<Vec<u8>>);
    /// When it wants to work again if nothing arrives; a time that is past means now.
    fn wakes_at(&mut self, now: Instant) -> Option<Instant>;
    /// Octets that its user has received.
    fn received(&self) -> u64;
}

/// Makes the hosts of one TCP.
pub trait Maker {
    /// What it makes.
    type Host: Host;
    /// A user that opens and sends without end, and its TCP.
    fn sender(&self, flow: u16, now: Instant) -> Self::Host;
    /// A user that listens and receives everything at once, and its TCP.
    fn receiver(&self, flow: u16, now: Instant) -> Self::Host;
}

/// The link that all flows share, and how they differ.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Each direction's rate.
    pub octets_per_second: u64,
    /// Each direction's queue in front of it.
    pub queue_octets: u64,
    /// What happens to each packet on its way, in either direction.
    pub path: Path,
    /// By how much longer each flow's one-way delay is than that of the flow before it.
    pub delay_step: Duration,
    /// How much later each flow starts than the one before it.
    pub start_step: Duration,
    /// Where all choices come from.
    pub seed: u64,
}

/// The two ends of a flow, in the order of the direction of its text.
const SENDER: usize = 0;
const RECEIVER: usize = 1;

struct Flow<H> {
    hosts: [H; 2],
    /// The lane that leads away from each host.
    lanes: [Lane; 2],
    /// When each host wants to work.
    wakes: [Option<Instant>; 2],
}

/// What an event is about; the order is only for ties.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Start { flow: usize },
    Arrival { flow: usize, host: usize, packet: Vec<u8> },
    Wake { flow: usize, host: usize },
}

/// The running transfers.
pub struct Transfers<'a, M: Maker> {
    maker: &'a M,
    link: Link,
    lines: [Bottleneck; 2],
    flows: Vec<Option<Flow<M::Host>>>,
    agenda: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    events: u64,
    now: Instant,
}

impl<'a, M: Maker> Transfers<'a, M> {
    /// So many flows, none of which has begun.
    pub fn new(maker: &'a M, link: Link, flows: usize) -> Self {
        let line = Bottleneck::new(link.octets_per_second, link.queue_octets);
        let mut transfers = Self {
            maker,
            link,
            lines: [line.clone(), line],
            flows: (0..flows).map(|_| None).collect(),
            agenda: BinaryHeap::new(),
            events: 0,
            now: Instant::ZERO,
        };
        for flow in 0..flows {
            let start = transfers.now + link.start_step * u32::try_from(flow).unwrap_or(u32::MAX);
            transfers.enter(start, Event::Start { flow });
        }
        transfers
    }

    /// Runs until then.
    pub fn run_until(&mut self, end: Instant) {
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until the first flow's receiver has so much, or until `limit`; says how long that took.
    pub fn run_until_received(&mut self, octets: u64, limit: Instant) -> Duration {
        while self.received(0) < octets && self.step(limit) {}
        self.now - Instant::ZERO
    }

    /// Octets that the user at the end of this flow has received.
    pub fn received(&self, flow: usize) -> u64 {
        self.flows.get(flow).and_then(Option::as_ref).map_or(0, |flow| flow.hosts[RECEIVER].received())
    }

    /// The line that carries the text.
    pub const fn line(&self) -> &Bottleneck {
        &self.lines[SENDER]
    }

    fn enter(&mut self, at: Instant, event: Event) {
        self.events += 1;
        self.agenda.push(Reverse((at, self.events, event)));
    }

    /// Does the next thing, if there is one before `limit`.
    fn step(&mut self, limit: Instant) -> bool {
        if self.agenda.peek().is_none_or(|Reverse((at, ..))| *at > limit) {
            return false;
        }
        let Some(Reverse((at, _, event))) = self.agenda.pop() else {
            return false;
        };
        self.now = at;
        match event {
            Event::Start { flow } => {
                self.start(flow);
                self.work(flow, RECEIVER);
                self.work(flow, SENDER);
            }
            Event::Arrival { flow, host, packet } => {
                self.arrive(flow, host, packet);
                self.work(flow, host);
            }
            Event::Wake { flow, host } => {
                let Some(running) = &mut self.flows[flow] else { return true };
                // Only the alarm set last counts.
                if running.wakes[host] == Some(at) {
                    running.wakes[host] = None;
                    self.work(flow, host);
                }
            }
        }
        true
    }

    /// A packet arrives, and with it whatever else arrives at this host at the same moment: all is taken before anything is answered.
    fn arrive(&mut self, flow: usize, host: usize, packet: Vec<u8>) {
        let now = self.now;
        let mut arrived = vec![packet];
        while let Some(next) = self.agenda.peek_mut() {
            match &next.0 {
                (at, _, Event::Arrival { flow: to_flow, host: to, .. })
                    if (*at, *to_flow, *to) == (now, flow, host) => {}
                _ => break,
            }
            if let Reverse((_, _, Event::Arrival { packet, .. })) = PeekMut::pop(next) {
                arrived.push(packet);
            }
        }
        if let Some(running) = &mut self.flows[flow] {
            arrived.into_iter().for_each(|packet| running.hosts[host].arrive(packet, now));
        }
    }

    fn start(&mut self, flow: usize) {
        let number = u16::try_from(flow).unwrap_or(u16::MAX);
        let mut path = self.link.path;
        path.delay += self.link.delay_step * u32::from(number);
        let seed = self.link.seed.wrapping_mul(0x1_0001) + u64::from(number) * 2;
        self.flows[flow] = Some(Flow {
            hosts: [self.maker.sender(number, self.now), self.maker.receiver(number, self.now)],
            lanes: [Lane::new(path, seed), Lane::new(path, seed + 1)],
            wakes: [None, None],
        });
    }

    /// Lets a host work, and puts what it sends on its way.
    fn work(&mut self, flow: usize, host: usize) {
        let now = self.now;
        let Some(running) = &mut self.flows[flow] else { return };
        let mut out = Vec::new();
        running.hosts[host].work(now, &mut out);
        let mut entries = Vec::new();
        for packet in out {
            let leaves = self.lines[host].pass(now, packet.len());
            let arrives = leaves.and_then(|leaves| running.lanes[host].carry(leaves));
            if let Some(at) = arrives {
                entries.push((at, Event::Arrival { flow, host: 1 - host, packet }));
            }
        }
        let wake = running.hosts[host].wakes_at(now).map(|at| at.max(now));
        if wake != running.wakes[host] {
            running.wakes[host] = wake;
            entries.extend(wake.map(|at| (at, Event::Wake { flow, host })));
        }
        entries.into_iter().for_each(|(at, event)| self.enter(at, event));
    }
}
