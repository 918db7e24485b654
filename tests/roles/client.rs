//! A client for the tests: its system is the library's, its user says a stream and listens to the answer.

use std::net::SocketAddrV4;
use std::thread;

use session_tcp::calls::{Close, Closed, Connect, Connected, Data, Receive, Reset, ResetCause, TcbCreated};
use session_tcp::cb::{self, CbChannel};
use session_tcp::smol_channel::NetChannel;
use session_tcp::smol_lower::SmolLower;
use session_tcp::st::{Participant, Token};
use session_tcp::system::{State, System, Watch};
use session_tcp::tcp::Config;
use session_tcp::tcp::isn::IsnSecret;
use session_tcp::undirected::{Clock, Desk, Io};
use session_tcp::{
    ConnectingEvent, RoleClientSystem, RoleClientUser, TalkingEvent, UserClosing, UserClosingEvent, UserOpen,
    UserPeerClosed, UserSynSentEvent, UserTalking, UserUnconnected,
};

/// Text that a client may have sent without its answer, so that neither side waits for the other's buffers.
const UNANSWERED_BYTES: usize = 64 * 1024;

/// Which side closes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closes {
    /// The client, when everything is answered.
    Client,
    /// The server.
    Server,
}

/// Remembers the states that a system was in.
struct States(Vec<State>, crossbeam_channel::Sender<Vec<State>>);

impl Watch for States {
    fn changed(&mut self, _remote: Option<SocketAddrV4>, _from: State, to: State) {
        self.0.push(to);
    }
}

impl Drop for States {
    fn drop(&mut self) {
        _ = self.1.send(std::mem::take(&mut self.0));
    }
}

type ToSystem = CbChannel<RoleClientUser, RoleClientSystem>;
type Talk = (Result<Vec<u8>, ResetCause>, Vec<State>);

/// Connects, says everything and hears everything; returns what was heard and the states gone through.
pub(crate) fn converse(
    lower: &SmolLower,
    local: SocketAddrV4,
    remote: SocketAddrV4,
    said: &[u8],
    closes: Closes,
) -> Talk {
    let (user, system_end) = cb::pair::<RoleClientUser, RoleClientSystem>();
    let io = Io::new(NetChannel::unconnected(lower.clone()), system_end, Clock::start());
    let (to_us, states) = crossbeam_channel::bounded(1);
    let config = Config { two_msl: smoltcp::time::Duration::from_millis(50), ..Config::default() };
    let system = System::new(io, config, IsnSecret([3; 16]), States(Vec::new(), to_us));
    let system = thread::spawn(move || system.run(RoleClientSystem::start()));
    let heard = talk(user, Connect { local, remote }, said, closes);
    let _end = system.join().unwrap().unwrap();
    (heard, states.recv().unwrap())
}

/// The user's program.
fn talk(system: ToSystem, connect: Connect, said: &[u8], closes: Closes) -> Result<Vec<u8>, ResetCause> {
    // Nobody types.
    let mut desk = Desk::new(system, crossbeam_channel::never());
    let st = desk.system.select(RoleClientUser::start(), UserUnconnected::Connect(connect)).unwrap();
    let ConnectingEvent::TcbCreated(TcbCreated(()), st) = desk.system.offer(st).unwrap() else { panic!("no peer") };
    let mut st = match desk.system.offer(st).unwrap() {
        UserSynSentEvent::Connected(Connected(()), st) => st,
        UserSynSentEvent::Advice(advice, _) => panic!("{advice}"),
        UserSynSentEvent::Reset(Reset(cause), st) => return (Err(cause), st.end()).0,
    };
    let (mut heard, mut unsaid) = (Vec::new(), said);
    loop {
        let room = (heard.len() + UNANSWERED_BYTES).saturating_sub(said.len() - unsaid.len());
        let (piece, rest) = unsaid.split_at(unsaid.len().min(room));
        for data in Data::pieces(piece) {
            st = desk.system.select(st, UserOpen::Send(data)).unwrap();
        }
        unsaid = rest;
        if closes == Closes::Client && heard.len() >= said.len() {
            let st = desk.system.select(st, UserOpen::Close(Close(()))).unwrap();
            return verdict(st, &mut desk).map(|()| heard);
        }
        let talking = desk.system.select(st, UserOpen::Receive(Receive(()))).unwrap();
        st = match desk.offer(talking, UserTalking::Typed).unwrap() {
            TalkingEvent::Data(data, st) => {
                heard.extend(data.octets());
                st
            }
            TalkingEvent::Advice(_, st) => st,
            TalkingEvent::Typed(..) => panic!("nobody types"),
            TalkingEvent::Close(Close(()), st) => {
                let st = desk.system.select(st, UserPeerClosed::Close(Close(()))).unwrap();
                return verdict(st, &mut desk).map(|()| heard);
            }
            TalkingEvent::Reset(Reset(cause), st) => {
                let _end = desk.system.select_one(st, Close(())).unwrap().end();
                return Err(cause);
            }
        };
    }
}

fn verdict(
    mut st: Token<RoleClientUser, UserClosing<RoleClientUser>>,
    desk: &mut Desk<RoleClientUser>,
) -> Result<(), ResetCause> {
    loop {
        st = match desk.system.offer(st).unwrap() {
            UserClosingEvent::Data(_, st) | UserClosingEvent::Advice(_, st) | UserClosingEvent::PeerClosed(_, st) => st,
            UserClosingEvent::Closed(Closed(()), st) => return (Ok(()), st.end()).0,
            UserClosingEvent::Reset(Reset(cause), st) => return (Err(cause), st.end()).0,
        };
    }
}
