//! Two ends and the link between them, run to the end by a seed.

use std::net::{Ipv4Addr, SocketAddrV4};

use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{Config, CongestionControl, Nagle, Pacing, Sack, Timestamps, UserTimeout};
use smoltcp::time::{Duration, Instant};

use crate::host::{Closing, Host, User};
use crate::link::{Faults, Link};
use crate::machine::{End, Machine, Sent};
use crate::random::Random;

const A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 40_000);
const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 555);

/// No run may take longer on its own clock: everything has a limit below.
const LONGEST_RUN: Duration = Duration::from_secs(30 * 24 * 3600);

/// More steps without the clock moving are a livelock.
const MOST_STEPS_AT_ONCE: usize = 20_000;

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) octets: usize,
    pub(crate) failed: bool,
}

/// Two ends and their link.
#[derive(Debug)]
struct World {
    hosts: [Host; 2],
    links: [Link; 2],
    now: Instant,
    steps: usize,
    /// Those of the steps that are the users' turns, as many as they like.
    turns: usize,
    trace: Trace,
    may_fail: bool,
}

/// Whether a run says what happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trace {
    Silent,
    Told,
}

/// Runs the seed to its end; panics when something that must hold does not.
pub(crate) fn run(seed: u64, trace: Trace) -> Summary {
    let mut world = World::new(seed, trace);
    world.run();
    world.summary()
}

/// What the seed makes, in a line for each end and each direction of the link.
pub(crate) fn plan(seed: u64) -> String {
    World::new(seed, Trace::Silent).plan()
}

/// A configuration within the limits of each value.
fn config(random: &mut Random) -> Config {
    let mut config = Config {
        rcv_buff_bytes: *random.pick(&[1, 100, 1500, 5000, 40_000, 65_535, 65_536, 262_144, 262_144]),
        rcv_buff_max_bytes: *random.pick(&[1, 10_000, 100_000, 262_144, 16 << 20]),
        snd_buff_bytes: *random.pick(&[1, 1000, 20_000, 262_144]),
        snd_buff_max_bytes: *random.pick(&[1, 100_000, 16 << 20]),
        nagle: *random.pick(&[Nagle::On, Nagle::Off]),
        congestion: *random.pick(&[CongestionControl::Cubic, CongestionControl::NewReno]),
        mtu_bytes: *random.pick(&[68, 296, 576, 1500, 1500, 1500, 9000]),
        // Slow users take their time.
        fin_wait_2_limit: Duration::from_secs(4 * 3600),
        // Nobody gives up by bad luck alone.
        user_timeout: UserTimeout::After(Duration::from_secs(3 * 3600)),
        syn_timeout: Duration::from_secs(3 * 3600),
        ..Config::default()
    };
    if random.per_mille(500) {
        config.min_rto = Duration::from_millis(200);
    }
    if random.per_mille(200) {
        config.sack = Sack::Off;
    }
    if random.per_mille(200) {
        config.delayed_ack = Duration::from_millis(499);
    }
    if random.per_mille(200) {
        config.timestamps = Timestamps::Off;
    }
    if random.per_mille(200) {
        config.pacing = Pacing::Off;
    }
    config
}

/// Users of both ends that fit together, and whether the connection may fail by their doing.
fn users(random: &mut Random, faults: &mut [Faults; 2], configs: &[Config; 2]) -> ([User; 2], bool) {
    // Tiny buffers make a turn of the link out of every few octets.
    let tiny = configs.iter().any(|config| config.rcv_buff_bytes.min(config.snd_buff_bytes) < 1000);
    let small = tiny || random.per_mille(500);
    let mut user = || User {
        seed: random.next(),
        sends: random.magnitude(if small { 3000 } else { 100_000 }),
        receives: 0,
        piece: 1 + random.magnitude(30_000),
        pause_micros: *random.pick(&[0, 1000, 50_000, 2_000_000]),
        closing: Closing::WhenDone,
    };
    let mut users = [user(), user()];
    users[0].receives = users[1].sends;
    users[1].receives = users[0].sends;
    for user in &mut users {
        // A slow user with much to do would only take long.
        let turns = (user.sends + user.receives) / user.piece.div_ceil(2) + 1;
        user.pause_micros = user.pause_micros.min(600_000_000 / turns as u64);
    }
    let at = Instant::from_micros(i64::try_from(random.between(0, 20_000_000)).unwrap_or(0));
    let first = random.size(0, 1);
    match random.between(0, 19) {
        0..8 => {}
        8..14 => users[first].closing = Closing::AfterPeer,
        14..16 => users[first].closing = Closing::Rudely,
        16..18 => users[first].closing = Closing::Abort(at),
        _ => {
            for faults in faults {
                faults.dead_from = Some(at);
            }
        }
    }
    let rough = users.iter().any(|user| matches!(user.closing, Closing::Rudely | Closing::Abort(_)));
    (users, rough)
}

impl World {
    fn new(seed: u64, trace: Trace) -> Self {
        let mut random = Random::new(seed);
        let mut faults = [Faults::random(&mut random), Faults::random(&mut random)];
        let configs = [config(&mut random), config(&mut random)];
        let (users, rough) = users(&mut random, &mut faults, &configs);
        let may_fail = rough || faults.iter().any(|faults| faults.dead_from.is_some());
        let now = Instant::from_micros(0);
        let mut iss = || {
            let near = *random.pick(&[0_u32, 0x8000_0000, 0x1234_5678]);
            SeqNum::new(near) - u32::try_from(random.between(0, 100_000)).unwrap_or(0)
        };
        let isses = [iss(), iss()];
        let crossed = random.per_mille(150);
        let [faults_a, faults_b] = faults;
        let links = [
            Link::new(A, B, faults_a, Random::new(random.next())),
            Link::new(B, A, faults_b, Random::new(random.next())),
        ];
        let (first, syn) = Machine::connect(A, B, configs[0].clone(), isses[0], now);
        let mut sent = vec![(0, syn.into())];
        let second = if crossed {
            let (second, syn) = Machine::connect(B, A, configs[1].clone(), isses[1], now);
            sent.push((1, syn.into()));
            second
        } else {
            Machine::listen(B, configs[1].clone())
        };
        let [user_a, user_b] = users;
        let (seed_a, seed_b) = (user_a.seed, user_b.seed);
        let [config_a, config_b] = configs;
        let hosts = [
            Host::new(first, B, user_a, seed_b, config_a, isses[0], Random::new(random.next())),
            Host::new(second, A, user_b, seed_a, config_b, isses[1], Random::new(random.next())),
        ];
        let mut world = Self { hosts, links, now, steps: 0, turns: 0, trace, may_fail };
        if trace == Trace::Told {
            eprintln!("{}", world.plan());
        }
        for (from, segment) in sent {
            world.send(from, vec![segment]);
        }
        world
    }

    /// What the seed has made.
    fn plan(&self) -> String {
        let [a, b] = self.hosts.each_ref().map(Host::plan);
        let [there, back] = self.links.each_ref().map(Link::plan);
        format!("A: {a}\nB: {b}\nA to B: {there}\nB to A: {back}")
    }

    /// Whether both ends have nothing left to do.
    fn is_over(&self) -> bool {
        self.hosts.iter().all(|host| matches!(host.machine(), Machine::Ended(_) | Machine::Listen(_)))
    }

    /// Whether an end waits for ever for a peer that is gone and whose RST was lost; without keep-alives it may.
    fn is_deserted(&self) -> bool {
        let is_gone = |host: &Host| host.machine().end().is_some_and(|end| end != End::Normal);
        let is_idle = |host: &Host| host.machine().status().is_none_or(|status| status.snd_una == status.snd_nxt);
        self.may_fail && self.hosts.iter().any(is_gone) && self.hosts.iter().all(is_idle)
    }

    fn run(&mut self) {
        let (mut steps, mut turns) = (0, 0);
        loop {
            let before = self.steps;
            self.step();
            // On a link without delay the users can have many turns at once, and each of them makes for some steps.
            let most = MOST_STEPS_AT_ONCE + 20 * (self.turns - turns);
            assert!(self.steps - steps < most, "livelock at {}: {:#?}", self.now, self.hosts);
            if self.steps > before {
                continue;
            }
            if self.is_over() {
                return;
            }
            let next = self.next_event();
            let Some(next) = next else {
                if self.is_deserted() {
                    return;
                }
                panic!("asleep for ever with work left at {}: {:#?}", self.now, self.hosts);
            };
            assert!(next > self.now, "what is due at {next} was not done at {}", self.now);
            assert!(next <= Instant::from_micros(0) + LONGEST_RUN, "no end: {:#?}", self.hosts);
            self.now = next;
            (steps, turns) = (self.steps, self.turns);
        }
    }

    /// When something happens next.
    fn next_event(&self) -> Option<Instant> {
        let of_hosts = self
            .hosts
            .iter()
            .flat_map(|host| [host.machine().deadline(self.now), host.next_turn().map(|at| at.max(self.now))]);
        let of_links = self.links.iter().map(Link::next_arrival);
        of_hosts.chain(of_links).flatten().min()
    }

    /// Everything that is due now, once.
    fn step(&mut self) {
        for index in [0, 1] {
            // All that has arrived first (RFC 9293 §3.10.7.4, MUST-59).
            while let Some(arrival) = self.links[1 - index].receive(self.now) {
                self.steps += 1;
                let Some(segment) = arrival else { continue };
                if let (true, Machine::SynReceived(_) | Machine::Listen(_) | Machine::SynSent(_)) =
                    (segment.control.syn(), self.hosts[index].machine())
                    && segment.options.window_scale.is_none()
                {
                    self.hosts[index].set_shift(0);
                }
                self.say(index, "<-", &segment);
                let mut sent = Sent::new();
                self.hosts[index].arrive(segment, self.now, &mut sent);
                self.send(index, sent);
            }
            if self.hosts[index].next_turn().is_some_and(|at| at <= self.now) {
                self.steps += 1;
                self.turns += 1;
                let mut sent = Sent::new();
                self.hosts[index].turn(self.now, &mut sent);
                self.send(index, sent);
            }
            if self.hosts[index].machine().deadline(self.now).is_some_and(|at| at <= self.now) {
                self.steps += 1;
                let mut sent = Sent::new();
                self.hosts[index].work(self.now, &mut sent);
                self.send(index, sent);
            }
        }
    }

    fn send(&mut self, index: usize, sent: Sent) {
        for segment in sent {
            self.say(index, "->", &segment);
            let right = self.hosts[1 - index].announced();
            self.hosts[index].check_sent(&segment, right);
            self.links[index].send(segment, self.now);
        }
    }

    fn say(&self, index: usize, arrow: &str, segment: &session_tcp::tcp::Segment) {
        if self.trace == Trace::Told {
            let host = &self.hosts[index];
            let state = host.machine().status().map_or("-", |status| status.state);
            eprintln!("{:>12} {} {state:<12} {arrow} {segment:?}", self.now.total_micros(), ["A", "B"][index]);
        }
    }

    /// What both ends came to; panics when they do not agree.
    fn summary(&self) -> Summary {
        let ends = self.hosts.each_ref().map(|host| host.machine().end());
        let complete = self.hosts.iter().all(|host| host.received_octets == host.user.receives);
        let octets = self.hosts.iter().map(|host| host.sent_octets).sum();
        let is_content = |end: &Option<End>| matches!(end, Some(End::Normal | End::ResetAfterBothClosed));
        let normal = ends == [Some(End::Normal); 2] || (complete && ends.iter().all(is_content));
        let context = || {
            let counts = self.hosts.each_ref().map(|host| (host.received_octets, host.user.receives));
            format!("ends {ends:?}, received and expected {counts:?}, at {}", self.now)
        };
        assert!(complete || !normal, "a stream is incomplete and nobody says so: {}", context());
        assert!(normal || self.may_fail, "failed without a reason: {}", context());
        // The last ACK of all cannot be acknowledged: its loss alone leaves one end content (RFC 9293 §3.6.1).
        let content = ends.iter().filter(|end| **end == Some(End::Normal)).count();
        assert!(complete || content == 0 || self.is_told(), "one end is content with less: {}", context());
        // Each step moves text or is owed to time passing; neither is without bound.
        let bound = self.turns + 200 * (octets + 1000) + usize::try_from(self.now.secs()).unwrap_or(0) * 400;
        assert!(self.steps <= bound, "{} steps for {octets} octets: {}", self.steps, context());
        Summary { octets, failed: !normal }
    }

    /// Whether every end that misses text knows it, and every end whose text is missing at the peer does.
    fn is_told(&self) -> bool {
        [0, 1].into_iter().all(|index| {
            let (host, peer) = (&self.hosts[index], &self.hosts[1 - index]);
            let incomplete = host.received_octets != host.user.receives;
            !incomplete || (host.machine().end() != Some(End::Normal) && peer.machine().end() != Some(End::Normal))
        })
    }
}
