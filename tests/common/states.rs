//! The states of RFC 9293 in which a server can be met, how to bring it there and how to end from there.

use super::client::assert_serves;
use super::namespace::{enter, test_of};
use super::peer::{Peer, for_each_at_once};
use super::segment::{ACK, FIN, Segment};
use super::server::Server;
use core::fmt;
use std::time::Duration;

/// Bytes after which a connection that is never read from must have closed its window.
const FILL_LIMIT: usize = 8 << 20;
/// A window below this shows that the server's receive buffer fills, since its application is held up.
const FILLING: u16 = 30_000;

/// How often a FIN is sent again.
const FIN_INTERVAL: Duration = Duration::from_millis(600);

/// A state of the server's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Our SYN came, its SYN,ACK is not acknowledged.
    SynReceived,
    /// Both may send.
    Established,
    /// Our FIN came; the server has text left that our closed window holds up.
    CloseWait,
    /// Our FIN came, and the server's is not acknowledged.
    LastAck,
    /// The server's FIN is not acknowledged, ours was not sent.
    FinWait1,
    /// The server's FIN is acknowledged, ours was not sent.
    FinWait2,
    /// Our FIN came, and the server's, sent before, is not acknowledged.
    Closing,
    /// Both FINs are acknowledged, the server's was first.
    TimeWait,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SynReceived,
        Self::Established,
        Self::CloseWait,
        Self::LastAck,
        Self::FinWait1,
        Self::FinWait2,
        Self::Closing,
        Self::TimeWait,
    ];

    /// All after the handshake.
    pub const SYNCHRONIZED: [Self; 7] = [
        Self::Established,
        Self::CloseWait,
        Self::LastAck,
        Self::FinWait1,
        Self::FinWait2,
        Self::Closing,
        Self::TimeWait,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::CloseWait => "CLOSE-WAIT",
            Self::LastAck => "LAST-ACK",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::Closing => "CLOSING",
            Self::TimeWait => "TIME-WAIT",
        })
    }
}

impl Peer {
    /// A peer whose connection is in this state at the server's end.
    pub fn in_state(state: State) -> Self {
        let mut peer = Self::new();
        peer.bring_to(state);
        peer
    }

    /// Opens a connection and brings it to this state at the server's end.
    pub fn bring_to(&mut self, state: State) {
        self.open();
        if state == State::SynReceived {
            return;
        }
        self.send(self.acknowledgement());
        match state {
            State::SynReceived | State::Established => {}
            State::CloseWait => {
                self.fill();
                self.send_fin();
                self.expect_acknowledged();
            }
            State::LastAck => {
                self.send_fin();
                self.expect_acknowledged();
                self.await_fin();
            }
            State::FinWait1 => self.let_server_close(),
            State::FinWait2 => {
                self.let_server_close();
                self.acknowledge_fin();
            }
            State::Closing => {
                self.let_server_close();
                self.send_fin();
                self.expect_acknowledged();
            }
            State::TimeWait => {
                self.let_server_close();
                self.acknowledge_fin();
                self.send_fin();
                self.expect_acknowledged();
            }
        }
    }

    /// Goes on from this state as if nothing had happened, to a clean end.
    pub fn finish_from(&mut self, state: State) {
        match state {
            State::SynReceived => {
                self.send(self.acknowledgement());
                self.finish_from(State::Established);
            }
            State::Established => {
                self.exchange(b"as if nothing had happened\n");
                self.close();
            }
            State::CloseWait => {
                self.rcv_wnd = u16::MAX;
                self.send(self.acknowledgement());
                self.read_to_fin();
                self.acknowledge_fin();
                self.assert_gone();
            }
            State::LastAck => {
                self.acknowledge_fin();
                self.assert_gone();
            }
            State::FinWait1 => {
                self.acknowledge_fin();
                self.finish_from(State::FinWait2);
            }
            State::FinWait2 => {
                self.send_fin();
                self.expect_acknowledged();
            }
            State::Closing => {
                self.acknowledge_fin();
                self.finish_from(State::TimeWait);
            }
            State::TimeWait => {
                // More than once, as a peer would: the answers are throttled.
                self.drain();
                let ack = self.snd_nxt;
                let answered = (0..5).any(|_| {
                    self.send(self.our_fin_again());
                    let answer = self.find(FIN_INTERVAL, |s| s.flags == ACK && s.ack == ack);
                    answer.is_some()
                });
                if !answered {
                    self.fail("our FIN, sent again in TIME-WAIT, is not acknowledged");
                }
            }
        }
    }

    /// The FIN that was already sent, once more.
    pub fn our_fin_again(&self) -> Segment {
        let seq = self.snd_nxt.wrapping_sub(1);
        self.segment(FIN | ACK).seq(seq)
    }

    /// Sends an empty line, which makes the server close, and awaits its FIN.
    pub fn let_server_close(&mut self) {
        self.send_data(b"\n");
        self.await_fin();
        self.expect_acknowledged();
    }

    /// Awaits the server's FIN, which nothing else comes before.
    fn await_fin(&mut self) {
        if self.server_fin.is_none() {
            self.expect_fin();
        }
        assert_eq!(self.server_fin, Some(self.rcv_nxt), "only the FIN came");
    }

    /// Announces a closed window and sends lines until the server holds so much that its application waits.
    pub fn fill(&mut self) {
        self.rcv_wnd = 0;
        let line = [&[b'x'; 1459][..], b"\n"].concat();
        let mut sent = 0;
        self.send_data(&line.repeat(2));
        self.expect_acknowledged();
        while self.snd_wnd > FILLING {
            // An even number: the acknowledgement of an odd one is delayed.
            let batch = (self.snd_wnd - FILLING) / 1460 / 2 * 2;
            for _ in 0..batch.clamp(2, 20) {
                self.send_data(&line);
                sent += line.len();
            }
            self.expect_acknowledged();
            if sent > FILL_LIMIT {
                self.fail("the server's window never closes, although it can send nothing");
            }
        }
    }
}

/// Runs `check` in a namespace against a running server, which afterwards has to be alive and to serve the next connection.
pub fn against_the_server<F: FnOnce(&Server)>(check: F) {
    enter(test_of::<F>(), || {
        let mut server = Server::start();
        check(&server);
        assert_serves();
        server.assert_alive();
    });
}

/// As [`against_the_server`], once for each of these states, all at once.
pub fn in_states<F: Fn(State, &mut Peer) + Sync>(states: &[State], check: F) {
    enter(test_of::<F>(), || {
        let mut server = Server::start();
        for_each_at_once(states, |state| check(state, &mut Peer::in_state(state)));
        assert_serves();
        server.assert_alive();
    });
}

/// As [`in_states`], for one state.
pub fn in_state<F: Fn(&mut Peer) + Sync>(state: State, check: F) {
    enter(test_of::<F>(), || {
        let mut server = Server::start();
        check(&mut Peer::in_state(state));
        assert_serves();
        server.assert_alive();
    });
}
