//! A server of ours and a true client of ours, brought to any state, and led from there to a clean end.

use super::stack::{CLIENT, Ended, SERVER, Stack, exchange};
use core::fmt;
use session_tcp::tcp::Config;
use session_tcp::tcp::segment::{Control, Segment};
use smoltcp::time::{Duration, Instant};

/// A meeting that has not ended after so many alarms never will.
const ALARMS: usize = 2000;

/// A state of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Listen,
    SynReceived,
    Established,
    CloseWait,
    FinWait1,
    FinWait2,
    Closing,
    LastAck,
    TimeWait,
}

impl At {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Listen,
        Self::SynReceived,
        Self::Established,
        Self::CloseWait,
        Self::FinWait1,
        Self::FinWait2,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// All in which a connection is there and synchronized.
    pub const SYNCHRONIZED: [Self; 7] = [
        Self::Established,
        Self::CloseWait,
        Self::FinWait1,
        Self::FinWait2,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Listen => "LISTEN",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::CloseWait => "CLOSE-WAIT",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
        })
    }
}

/// The two, and the time.
#[derive(Debug)]
pub struct Meeting {
    /// Who opened.
    pub client: Stack,
    /// Who is attacked.
    pub server: Stack,
    /// Now.
    pub now: Instant,
    /// The buffers of both.
    pub buff_bytes: usize,
}

impl Meeting {
    /// A meeting with the server in this state; what would lead on from there was lost on the way.
    pub fn at(state: At, config: &Config) -> Self {
        let now = Instant::from_secs(1);
        let buff_bytes = config.snd_buff_bytes;
        let server = Stack::listen(config.clone(), 0xffff_fff0);
        let client = Stack::connect(config.clone(), 0x7fff_fffa, now);
        let mut meeting = Self { client, server, now, buff_bytes };
        meeting.bring_to(state);
        assert_eq!(meeting.server.state(), state.to_string());
        meeting
    }

    fn bring_to(&mut self, state: At) {
        match state {
            At::Listen => {}
            At::SynReceived => self.deliver_to_server(),
            At::Established => self.exchange(),
            At::CloseWait => {
                self.exchange();
                self.client.close(self.now);
                self.exchange();
            }
            At::FinWait1 => {
                self.exchange();
                self.server.close(self.now);
            }
            At::FinWait2 => {
                self.exchange();
                self.server.close(self.now);
                self.exchange();
            }
            At::Closing => {
                self.exchange();
                self.server.close(self.now);
                self.client.close(self.now);
                self.server.work(self.now);
                self.deliver_to_server();
            }
            At::LastAck => {
                self.bring_to(At::CloseWait);
                self.server.close(self.now);
            }
            At::TimeWait => {
                self.bring_to(At::FinWait2);
                self.client.close(self.now);
                self.exchange();
            }
        }
        self.server.work(self.now);
        self.server.take_sent();
    }

    /// Gives the server what the client has to say now, and loses the answers.
    fn deliver_to_server(&mut self) {
        self.client.work(self.now);
        for segment in self.client.take_sent() {
            self.server.arrive(segment, self.now);
        }
        self.server.work(self.now);
        self.server.take_sent();
    }

    /// Lets both say all they have to say now.
    pub fn exchange(&mut self) {
        exchange(&mut self.client, &mut self.server, self.now);
    }

    /// Lets time pass, and both do what falls due in it.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..ALARMS {
            self.exchange();
            match self.next_alarm() {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
        }
        self.now = end;
        self.exchange();
    }

    fn next_alarm(&mut self) -> Option<Instant> {
        let alarms = [self.client.work(self.now), self.server.work(self.now)];
        alarms.into_iter().flatten().min()
    }

    /// A segment that claims to come from the client.
    pub fn forged(&self, control: Control, seq: u32, ack: u32) -> Segment {
        Segment {
            src_port: CLIENT.port(),
            dst_port: SERVER.port(),
            seq: session_tcp::tcp::seq::SeqNum::new(seq),
            ack: session_tcp::tcp::seq::SeqNum::new(ack),
            control,
            wnd: u16::MAX,
            ..Segment::default()
        }
    }

    /// The server's RCV.NXT.
    pub fn rcv_nxt(&self) -> u32 {
        self.server.status().rcv_nxt.value()
    }

    /// The server's SND.NXT.
    pub fn snd_nxt(&self) -> u32 {
        self.server.status().snd_nxt.value()
    }

    /// A forged segment arrives at the server; says what the server answers at once, which nobody gets.
    pub fn strike(&mut self, segment: Segment) -> Vec<Segment> {
        self.server.take_sent();
        self.server.arrive(segment, self.now);
        self.server.work(self.now);
        self.server.take_sent()
    }

    /// Sends this text each way that is still open, and checks that it comes, and nothing else.
    pub fn talk(&mut self, text: &[u8]) {
        let is_open = |stack: &Stack| ["ESTABLISHED", "CLOSE-WAIT"].contains(&stack.state());
        let (client_speaks, server_speaks) = (
            self.client.state() == "ESTABLISHED" && self.server.state() == "ESTABLISHED",
            is_open(&self.server) && !["TIME-WAIT", "CLOSED"].contains(&self.client.state()) && is_open(&self.client),
        );
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        let (mut client_sent, mut server_sent) = (0, 0);
        for _ in 0..ALARMS {
            if client_speaks {
                client_sent += self.client.send(&text[client_sent..], self.buff_bytes, self.now);
            }
            if server_speaks {
                server_sent += self.server.send(&text[server_sent..], self.buff_bytes, self.now);
            }
            self.exchange();
            to_server.extend(self.server.receive(usize::MAX));
            to_client.extend(self.client.receive(usize::MAX));
            self.exchange();
            let arrived = |speaks: bool, got: &[u8]| !speaks || got.len() >= text.len();
            if arrived(client_speaks, &to_server) && arrived(server_speaks, &to_client) {
                break;
            }
            let Some(at) = self.next_alarm() else { break };
            self.now = at.max(self.now);
        }
        assert!(!client_speaks || to_server == text, "{} of {} octets came to the server", to_server.len(), text.len());
        assert!(!server_speaks || to_client == text, "{} of {} octets came to the client", to_client.len(), text.len());
    }

    /// Goes on as if nothing had happened: opens what is not open, talks, closes both, and asserts a clean end.
    pub fn finish(mut self) {
        self.exchange();
        for _ in 0..ALARMS {
            if !["SYN-SENT", "SYN-RECEIVED"].contains(&self.client.state()) && self.server.state() != "SYN-RECEIVED" {
                break;
            }
            let Some(at) = self.next_alarm() else { break };
            self.now = at.max(self.now);
            self.exchange();
        }
        let text: Vec<u8> = (0..20_000_u32).flat_map(u32::to_be_bytes).collect();
        self.talk(&text);
        self.client.close(self.now);
        self.exchange();
        self.server.close(self.now);
        for _ in 0..ALARMS {
            self.exchange();
            let Some(at) = self.next_alarm() else { break };
            self.now = at.max(self.now);
        }
        let ended = [self.client.ended(), self.server.ended()];
        assert_eq!(ended, [Some(Ended::Closed); 2], "client and server");
    }
}
