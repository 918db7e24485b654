//! One connection opened actively: the client's two roles, each with its thread, and a third that reads what is typed.

use std::io::{self, Read, Write};
use std::net::SocketAddrV4;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use log::{debug, info};

use crate::calls::{Connect, Data, MAX_DATA_BYTES};
use crate::smol_channel::NetChannel;
use crate::smol_lower::SmolLower;
use crate::st::{Participant, SessionError};
use crate::system::{State, System, Watch, change};
use crate::tcp::isn::IsnSecret;
use crate::tcp::{Config, Setting};
use crate::undirected::{Clock, Desk, Io};
use crate::user::terminal::{Farewell, client_user};
use crate::{RoleClientSystem, RoleClientUser, cb};

/// Pieces typed that wait for the user: one is at hand while the next is read.
const TYPED_AHEAD: usize = 1;

/// What a client needs.
#[derive(Debug)]
pub struct Client {
    /// The network.
    pub lower: SmolLower,
    /// From where to where.
    pub connect: Connect,
    /// How its machine is set.
    pub config: Config,
    /// What its user sets before its OPEN.
    pub settings: Vec<Setting>,
    /// The secret of the initial sequence numbers.
    pub isn: IsnSecret,
    /// The time of the machine.
    pub clock: Clock,
}

/// Tells the log of the changes of state.
struct Log;

impl Watch for Log {
    fn changed(&mut self, remote: Option<SocketAddrV4>, from: State, to: State) {
        info!("{}", change(remote, from, to));
    }
}

impl Client {
    /// Opens the connection, sends what `typed` gives and writes to `heard` what the peer says, until the connection has ended.
    ///
    /// The thread that reads `typed` ends when that does, or when it gives something after the connection has ended.
    ///
    /// # Errors
    ///
    /// The system refused a thread, a role failed because the device is gone, or one panicked.
    pub fn run(self, typed: impl Read + Send + 'static, heard: &mut impl Write) -> io::Result<Farewell> {
        let (user_end, system_end) = cb::pair::<RoleClientUser, RoleClientSystem>();
        let io = Io::new(NetChannel::unconnected(self.lower), system_end, self.clock);
        let config = Config { timestamp_secret: self.isn.clone(), ..self.config };
        let system = System::new(io, config, self.isn, Log);
        let system = named("client-system").spawn(move || system.run(RoleClientSystem::start()))?;
        let desk = Desk::new(user_end, terminal(typed)?);
        let said = client_user(RoleClientUser::start(), desk, &self.settings, self.connect, heard);
        let system = system.join().map_err(|_| io::Error::other("the client system panicked"))?;
        let system = system.map_err(failed)?;
        let (user, farewell) = said.map_err(failed)?;
        debug!("client-system: {system:?}, client-user: {user:?}");
        Ok(farewell)
    }
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

fn failed(cause: SessionError) -> io::Error {
    io::Error::other(cause.to_string())
}

/// Reads what is typed on a thread of its own, since reading waits.
fn terminal(mut typed: impl Read + Send + 'static) -> io::Result<Receiver<Data>> {
    let (to_user, pieces) = bounded(TYPED_AHEAD);
    named("terminal").spawn(move || {
        let mut buffer = vec![0; MAX_DATA_BYTES];
        loop {
            let octets = match typed.read(&mut buffer) {
                Ok(0) => return,
                Ok(octets) => octets,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => {
                    log::warn!("cannot read what is typed: {cause}");
                    return;
                }
            };
            for data in Data::pieces(buffer.get(..octets).unwrap_or_default()) {
                if to_user.send(data).is_err() {
                    return;
                }
            }
        }
    })?;
    Ok(pieces)
}
