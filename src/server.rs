//! Many connections: keeps one session listening, however many others are open.
//!
//! A session is two threads, the server user's and the server system's, joined by a session-typed channel. When a
//! session takes a SYN the next one is started; when one ends, by itself or by a failure, the others do not notice.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddrV4;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use log::{debug, info, warn};

use crate::smol_channel::NetChannel;
use crate::smol_lower::{Backlog, SmolLower};
use crate::st::{End, Participant, SessionError};
use crate::system::{State, System, Watch, change};
use crate::tcp::isn::IsnSecret;
use crate::tcp::{Config, LocalAddr, Setting};
use crate::undirected::{Clock, Io};
use crate::{RoleServerSystem, RoleServerUser, cb, user};

/// Sessions at most, those in TIME-WAIT included, so this bounds threads (two each) and memory: beside its buffers a peer can pin about
/// 2.5 MiB a session (the user's unfinished line of 1 MiB and its answer, the queues), and does so only by filling them; what waits of
/// large windows has a bound for all sessions together ([`INBOX_POOL_BYTES`](crate::smol_lower::INBOX_POOL_BYTES)).
const MAX_SESSIONS: usize = 4096;

/// Octets that the buffers of all sessions may grow to: each new session gets its share of it, so that few connections may fill long fast
/// paths, and thousands of them cannot take the machine's memory. With the shares 1, 1/2, 1/3, … it is at most nine times this.
const BUFFER_BUDGET_BYTES: usize = 512 * 1024 * 1024;

/// Sessions in TIME-WAIT at most; the oldest goes first. A quarter of the places stays free, so that a burst of new connections finds
/// some. Linux has such a limit as well (`tcp_max_tw_buckets`).
const MAX_TIME_WAIT: usize = MAX_SESSIONS / 4 * 3;

/// Stack of a role's thread. The deepest call is an offer within a state's function; the buffers are on the heap.
const STACK_BYTES: usize = 256 * 1024;

/// How long to wait before a session is started again after the system refused a thread.
const THREAD_RETRY: Duration = Duration::from_millis(100);

/// What a server needs.
#[derive(Debug)]
pub struct Server {
    /// The network.
    pub lower: SmolLower,
    /// Where SYNs come from.
    pub backlog: Backlog,
    /// Where it listens.
    pub local: LocalAddr,
    /// How each connection's machine is set.
    pub config: Config,
    /// What the user of each connection sets before its OPEN.
    pub settings: Vec<Setting>,
    /// The secret of the initial sequence numbers.
    pub isn: IsnSecret,
    /// The time of all machines.
    pub clock: Clock,
}

/// The sessions by what they are doing.
#[derive(Debug, Default)]
struct Census {
    sessions: usize,
    listening: usize,
    time_wait: VecDeque<SocketAddrV4>,
}

/// The census, shared by all sessions.
#[derive(Debug, Default)]
struct Sessions {
    census: Mutex<Census>,
    changed: Condvar,
}

impl Sessions {
    fn census(&self) -> MutexGuard<'_, Census> {
        // A thread that panicked while counting left numbers behind, not a broken structure.
        self.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody listens and there is room for one more session.
    fn wait_for_vacancy(&self, lower: &SmolLower, port: u16) {
        let mut census = self.census();
        while census.listening > 0 || census.sessions >= MAX_SESSIONS {
            let wanted = census.listening == 0;
            if wanted || census.time_wait.len() > MAX_TIME_WAIT {
                make_room(&mut census, lower, port);
            }
            census = self.changed.wait(census).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Ends what can best be spared: the oldest TIME-WAIT, or else the oldest handshake.
///
/// Deviation: RFC 9293 §3.6.1 (MUST-13) keeps a TIME-WAIT for 2 MSL however many there are. A peer that lost our last ACK finds the
/// connection gone, and its FIN is answered with a RST.
fn make_room(census: &mut Census, lower: &SmolLower, port: u16) {
    match census.time_wait.pop_front() {
        Some(remote) => {
            info!("{remote}: TIME-WAIT cut short, others want its place");
            lower.evict(remote, port);
        }
        None => lower.evict_half_open(),
    }
}

/// One session's entry in the census; leaves it whichever way the session ends.
#[derive(Debug)]
struct Entry {
    sessions: Arc<Sessions>,
    state: State,
    remote: Option<SocketAddrV4>,
}

impl Entry {
    /// Enters a session that is about to listen.
    fn new(sessions: Arc<Sessions>) -> Self {
        let mut census = sessions.census();
        census.sessions += 1;
        census.listening += 1;
        drop(census);
        Entry { sessions, state: State::Listen, remote: None }
    }

    /// Counts the session in its new state.
    fn count(&mut self, to: State) {
        let sessions = Arc::clone(&self.sessions);
        self.recount(&mut sessions.census(), to);
        sessions.changed.notify_all();
    }

    fn recount(&mut self, census: &mut Census, to: State) {
        let remote = self.remote;
        match self.state {
            State::Listen => census.listening -= 1,
            State::TimeWait => census.time_wait.retain(|&other| Some(other) != remote),
            State::Closed
            | State::SynSent
            | State::SynReceived
            | State::Established
            | State::CloseWait
            | State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck => {}
        }
        if to == State::Listen {
            census.listening += 1;
        }
        if to == State::TimeWait {
            census.time_wait.extend(remote);
        }
        self.state = to;
    }
}

impl Watch for Entry {
    fn changed(&mut self, remote: Option<SocketAddrV4>, from: State, to: State) {
        info!("{}", change(remote, from, to));
        self.remote = remote;
        self.count(to);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let (true, Some(remote)) = (self.state != State::Closed, self.remote) {
            info!("{remote}: {} -> CLOSED, its session ended early", self.state);
        }
        let sessions = Arc::clone(&self.sessions);
        let mut census = sessions.census();
        self.recount(&mut census, State::Closed);
        census.sessions -= 1;
        drop(census);
        sessions.changed.notify_all();
    }
}

impl Server {
    /// Serves connections, one session after another listening, for as long as the network is there.
    pub fn run(&self) {
        let sessions = Arc::new(Sessions::default());
        info!("CLOSED -> LISTEN on {} port {}", self.local.addr, self.local.port);
        let mut before = None;
        loop {
            sessions.wait_for_vacancy(&self.lower, self.local.port);
            if self.lower.has_ended() {
                return;
            }
            let refused = self.start(&sessions).err();
            if let (Some(cause), None) = (&refused, &before) {
                warn!("no thread for another session, trying again until there is: {cause}");
            }
            if refused.is_some() {
                make_room(&mut sessions.census(), &self.lower, self.local.port);
                thread::sleep(THREAD_RETRY);
            }
            before = refused;
        }
    }

    /// Serves one connection.
    ///
    /// # Errors
    ///
    /// The system's refusal of a thread, or the panic of a role.
    pub fn run_once(&self) -> io::Result<()> {
        info!("CLOSED -> LISTEN on {} port {}", self.local.addr, self.local.port);
        let (system, user) = self.start(&Arc::new(Sessions::default()))?;
        for role in [system, user] {
            if role.join().is_err() {
                return Err(io::Error::other("a role of the session panicked"));
            }
        }
        Ok(())
    }

    /// Starts the two roles of a session.
    fn start(&self, sessions: &Arc<Sessions>) -> io::Result<(JoinHandle<()>, JoinHandle<()>)> {
        let (user_end, system_end) = cb::pair::<RoleServerUser, RoleServerSystem>();
        let entry = Entry::new(Arc::clone(sessions));
        let net = NetChannel::new(self.lower.clone(), self.backlog.clone());
        let io = Io::new(net, system_end, self.clock);
        let config = with_share(&self.config, sessions.census().sessions);
        let config = Config { timestamp_secret: self.isn.clone(), ..config };
        let system = System::new(io, config, self.isn.clone(), entry);
        let (local, settings) = (self.local, self.settings.clone());
        let system = role("server-system", move || system.run(RoleServerSystem::start()))?;
        let user = role("server-user", move || user::server_user(RoleServerUser::start(), user_end, local, &settings))?;
        Ok((system, user))
    }
}

/// The configuration of one more session beside so many: its buffers do not grow past its share of the budget, and do not shrink for it.
fn with_share(config: &Config, sessions: usize) -> Config {
    let share = BUFFER_BUDGET_BYTES / 2 / (sessions + 1);
    let limit = |largest: usize, initial: usize| largest.min(share.max(initial));
    Config {
        rcv_buff_max_bytes: limit(config.rcv_buff_max_bytes, config.rcv_buff_bytes),
        snd_buff_max_bytes: limit(config.snd_buff_max_bytes, config.snd_buff_bytes),
        ..config.clone()
    }
}

/// Starts a role's program on a thread of its own.
fn role(
    name: &'static str,
    program: impl FnOnce() -> Result<End, SessionError> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(move || match program() {
        Ok(end) => debug!("{name}: {end:?}"),
        Err(cause) => debug!("{name} ended early: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sessions_may_grow_to_the_limit_and_many_do_not_grow() {
        let config = Config::default();
        assert_eq!(with_share(&config, 0).rcv_buff_max_bytes, config.rcv_buff_max_bytes);
        let crowded = with_share(&config, MAX_SESSIONS);
        assert_eq!(crowded.rcv_buff_max_bytes, config.rcv_buff_bytes);
        assert_eq!(crowded.snd_buff_max_bytes, config.snd_buff_bytes);
    }

    #[test]
    fn the_buffers_of_all_sessions_have_a_bound() {
        let config = Config::default();
        let beyond_the_first: usize = (0..MAX_SESSIONS)
            .map(|sessions| with_share(&config, sessions))
            .map(|share| {
                share.rcv_buff_max_bytes - share.rcv_buff_bytes + share.snd_buff_max_bytes - share.snd_buff_bytes
            })
            .sum();
        assert!(beyond_the_first < 9 * BUFFER_BUDGET_BYTES, "{beyond_the_first}");
    }
}
