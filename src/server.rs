//! Many connections: keeps one session listening, however many others are open (design §5 in the README).
//!
//! A session is two threads, the server user's and the server system's, joined by a session-typed channel. When a
//! session takes a SYN the next one is started; when one ends, by itself or by a failure, the others do not notice.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddrV4;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use log::{debug, error, info, warn};

use crate::smol_channel::NetChannel;
use crate::smol_lower::{Backlog, SmolLower};
use crate::st::{End, Participant, SessionError};
use crate::system::{State, System, Watch};
use crate::tcp::isn::IsnSecret;
use crate::tcp::{Config, LocalAddr};
use crate::undirected::{Clock, Io};
use crate::{RoleServerSystem, RoleServerUser, cb, user};

/// Sessions at most, those in TIME-WAIT included: two threads and two buffers each, so this bounds threads and memory.
const MAX_SESSIONS: usize = 4096;

/// Sessions in TIME-WAIT at most while others want their place; the oldest goes first. Linux has such a limit as well
/// (`tcp_max_tw_buckets`).
const MAX_TIME_WAIT: usize = 1024;

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
            if census.sessions >= MAX_SESSIONS || census.time_wait.len() > MAX_TIME_WAIT {
                evict(&mut census, lower, port);
            }
            census = self.changed.wait(census).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Ends the oldest TIME-WAIT: its queue closes, and its session with it.
fn evict(census: &mut Census, lower: &SmolLower, port: u16) {
    if let Some(remote) = census.time_wait.pop_front() {
        info!("{remote}: TIME-WAIT cut short, others want its place");
        lower.evict(remote, port);
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

    fn count(&mut self, to: State) {
        let mut census = self.sessions.census();
        match self.state {
            State::Listen => census.listening -= 1,
            State::TimeWait => census.time_wait.retain(|&remote| Some(remote) != self.remote),
            _ => {}
        }
        match (to, self.remote) {
            (State::Listen, _) => census.listening += 1,
            (State::TimeWait, Some(remote)) => census.time_wait.push_back(remote),
            _ => {}
        }
        self.state = to;
        drop(census);
        self.sessions.changed.notify_all();
    }
}

impl Watch for Entry {
    fn changed(&mut self, remote: Option<SocketAddrV4>, from: State, to: State) {
        match remote {
            Some(remote) => info!("{remote}: {from} -> {to}"),
            None => info!("{from} -> {to}"),
        }
        self.remote = remote;
        self.count(to);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.count(State::Closed);
        self.sessions.census().sessions -= 1;
        self.sessions.changed.notify_all();
    }
}

impl Server {
    /// Serves connections, one session after another listening, for as long as the network is there.
    pub fn run(&self) {
        let sessions = Arc::new(Sessions::default());
        info!("CLOSED -> LISTEN on {} port {}", self.local.addr, self.local.port);
        loop {
            sessions.wait_for_vacancy(&self.lower, self.local.port);
            if self.lower.has_ended() {
                return;
            }
            if let Err(cause) = self.start(&sessions) {
                warn!("no thread for another session, trying again: {cause}");
                thread::sleep(THREAD_RETRY);
            }
        }
    }

    /// Serves one connection.
    ///
    /// # Errors
    ///
    /// The system's refusal of a thread.
    pub fn run_once(&self) -> io::Result<()> {
        info!("CLOSED -> LISTEN on {} port {}", self.local.addr, self.local.port);
        let (system, user) = self.start(&Arc::new(Sessions::default()))?;
        for role in [system, user] {
            if role.join().is_err() {
                error!("a role of the session panicked");
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
        let system = System::new(io, self.config.clone(), self.isn.clone(), entry);
        let local = self.local;
        let system = role("server-system", move || system.run(RoleServerSystem::start()))?;
        let user = role("server-user", move || user::server_user(RoleServerUser::start(), user_end, local))?;
        Ok((system, user))
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
