//! The handshake of §3.3.5, step by step as the text tells it, against a peer on an in-process link.
//!
//! Where it departs from the text: a token begins with [`Participant::start`]; every step may fail; the picker does not
//! copy the machine but judges the segment once, and keeps the proof that the transition asks for; a segment for which
//! the type has no branch is an error, not a panic. The peer is a program of its own local type as well.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::{Duration, Instant};

use session_tcp::calls::{Close, Connected, Open, TcbCreated};
use session_tcp::cb::{self, CbChannel};
use session_tcp::smol_channel::{Ack, ChannelFilter, Filtered, NetChannel, Rst, Syn, SynAck};
use session_tcp::smol_lower::{LinkEnd, LowerConfig, SmolLower, perfect};
use session_tcp::st::{Branch, End, Participant, SessionError, Token};
use session_tcp::tcp::segment::{Control, Segment};
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{
    Answer, Config, Established, LocalAddr, Reaction, SynReceivedVerdict, Tcp, TcpClosed, TcpListen,
};
use session_tcp::undirected::Clock;
use session_tcp::{Select, St};

use super::listings::{ServerSystemCommLoop, ServerSystemSessionType};
use super::{RoleClientSystem, RoleServerSystem, RoleServerUser};

/// Where the server listens.
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 555);
/// Where the client is.
const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 40_000);
/// The client's initial sequence number.
const CLIENT_ISS: SeqNum = SeqNum::new(0xffff_ffff);
/// Longer than any step takes.
const PATIENCE: Duration = Duration::from_secs(5);

impl Participant for RoleServerSystem {
    type Session = ServerSystemSessionType;
}

/// The server user as far as the handshake goes.
impl Participant for RoleServerUser {
    type Session = St![
        (RoleServerSystem + Open).
        (RoleServerSystem & TcbCreated).
        (RoleServerSystem & { Connected.end, Close.end })
    ];
}

/// The client system as far as the handshake goes: acknowledgements, good or bad, and the answers to the bad ones.
impl Participant for RoleClientSystem {
    type Session = St![(RoleServerSystem + Syn).(RoleServerSystem & SynAck).ClientSystemSynSent];
}

Select!(
    pub ClientSystemSynSent: RoleServerSystem + {
        Acknowledge(Ack). end,
        AcknowledgeFromOutside(Ack). (RoleServerSystem & Ack). ClientSystemSynSent,
        AcknowledgeTooMuch(Ack). (RoleServerSystem & Rst). end,
    }
);

/// How the server system's handshake ends.
enum Outcome {
    /// With a connection, and the right to go on.
    Connected(Box<Tcp<Established>>, Token<RoleServerSystem, ServerSystemCommLoop>),
    /// With the end of the session.
    Reset(End),
}

/// The literate program.
fn server_system(
    system_user_channel: &mut CbChannel<RoleServerSystem, RoleServerUser>,
    net_channel: &mut NetChannel<RoleServerSystem, RoleClientSystem>,
    clock: Clock,
) -> Result<Outcome, SessionError> {
    // To begin with, we instantiate the session type and the TCP state machine in the CLOSED state.
    let st = RoleServerSystem::start();
    let tcp = TcpClosed::new(Config::default());

    // Next the user can call the `Open` method.
    let (open, st) = system_user_channel.offer_one(st)?;

    // We then transition to the LISTEN state and send a `TcbCreated` in response.
    let tcp: TcpListen = tcp.open(open.0);
    let st = system_user_channel.select_one(st, TcbCreated(()))?;

    // The next steps are to wait for a SYN segment from the network and respond with a SYN ACK segment.
    let (addr, syn, st) = net_channel.offer_one_with_addr(st, &tcp, Some(Instant::now() + PATIENCE))?;
    let (mut tcp /* Tcp<SynReceived> */, synack) = tcp.recv_syn(addr, syn, SeqNum::new(1_000), clock.now());
    let mut syn_rcvd = net_channel.select_one(st, addr, synack)?;

    // Finally, we can loop on the recursive `SynRcvd` session type.
    let (tcp, st) = loop {
        let st = syn_rcvd.inner();
        // What the machine says of the segment that the picker sees.
        let mut judged = None;
        let branch = net_channel.offer_two_filtered(
            st,
            |segment| {
                let verdict = tcp.judge(segment.clone(), clock.now());
                let is_acceptable = matches!(verdict, Reaction::Acceptable(_));
                judged = Some(verdict);
                let ack = Ack::try_from(segment).ok()?;
                Some(if is_acceptable { Branch::Left(ack) } else { Branch::Right(ack) })
            },
            &tcp,
            Some(Instant::now() + PATIENCE),
        )?;
        match (branch, judged) {
            // The left branch of the session type corresponds to an acceptable ACK segment.
            (Branch::Left((_acceptable, st)), Some(Reaction::Acceptable(SynReceivedVerdict::Acked(proof)))) => {
                break (tcp.established(proof, clock.now()), st);
            }
            // However, if the ACK is not acceptable, we take the right branch. We then either send back an ACK and
            // continue the loop to wait for another ACK ...
            (Branch::Right((_unacceptable, st)), Some(Reaction::NotAcceptable(segment, Answer::Ack))) => {
                let response = tcp.challenge(&segment, clock.now());
                syn_rcvd = net_channel.select_left(st, tcp.remote(), response)?;
            }
            // ... or we send an RST, notify the user that we are closing, and clean up the channels.
            (Branch::Right((_unacceptable, st)), Some(Reaction::NotAcceptable(segment, Answer::Rst))) => {
                let st = net_channel.select_right(st, tcp.remote(), tcp.refuse(&segment))?;
                let end = system_user_channel.select_one(st, Close(()))?.end();
                return Ok(Outcome::Reset(end));
            }
            (Branch::Left(_) | Branch::Right(_), _) => {
                return Err(SessionError::Transport("the types of the text have no branch for this".into()));
            }
        }
    };

    // Once we have broken out of the loop, we find ourselves in the ESTAB state and can notify the user.
    let recursive = system_user_channel.select_one(st, Connected(()))?;
    Ok(Outcome::Connected(Box::new(tcp), recursive))
}

/// What the user was told.
#[derive(PartialEq, Eq, Debug)]
enum Told {
    Connected,
    Close,
}

/// The server user's program.
fn server_user(mut system: CbChannel<RoleServerUser, RoleServerSystem>) -> Result<(Told, End), SessionError> {
    let st = RoleServerUser::start();
    let st = system.select_one(st, Open(LocalAddr { addr: *SERVER.ip(), port: SERVER.port() }))?;
    let (TcbCreated(()), st) = system.offer_one(st)?;
    let told = match system.offer_two(st)? {
        Branch::Left((Connected(()), st)) => (Told::Connected, st.end()),
        Branch::Right((Close(()), st)) => (Told::Close, st.end()),
    };
    system.close(&told.1);
    Ok(told)
}

/// The client hears the server alone.
struct FromServer;

impl ChannelFilter for FromServer {
    fn filter(&self, remote: SocketAddrV4, segment: &Segment) -> Filtered {
        if remote == SERVER && segment.dst_port == CLIENT.port() { Filtered::Accepted } else { Filtered::Dropped }
    }
}

/// What the client does about the SYN, ACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manners {
    /// It acknowledges it.
    Good,
    /// It sends a segment from outside the window first.
    Late,
    /// It acknowledges what was never sent.
    Bad,
}

/// A message of the client's.
#[expect(clippy::expect_used, reason = "a test has nobody else to tell")]
fn message<M: TryFrom<Segment>>(control: Control, seq: SeqNum, ack: SeqNum) -> M {
    let (src_port, dst_port) = (CLIENT.port(), SERVER.port());
    let segment = Segment { src_port, dst_port, seq, ack, control, wnd: 1_000, ..Segment::default() };
    M::try_from(segment).ok().expect("the control bits are those of the message")
}

/// The client system's program: no machine, only the numbers.
fn client_system(
    mut server: NetChannel<RoleClientSystem, RoleServerSystem>,
    manners: Manners,
) -> Result<End, SessionError> {
    let deadline = Some(Instant::now() + PATIENCE);
    let st = RoleClientSystem::start();
    let st = server.select_one(st, SERVER, message(Control::SYN, CLIENT_ISS, SeqNum::new(0)))?;
    let (syn_ack, mut st) = server.offer_one(st, &FromServer, deadline)?;
    let (snd_nxt, rcv_nxt) = (CLIENT_ISS + 1, syn_ack.segment().seq + 1);
    assert_eq!(syn_ack.segment().ack, snd_nxt);

    if manners == Manners::Bad {
        let too_much = message(Control::ACK, snd_nxt, rcv_nxt + 1);
        let st = server.select(st, SERVER, ClientSystemSynSent::AcknowledgeTooMuch(too_much))?;
        let (rst, st) = server.offer_one(st, &FromServer, deadline)?;
        assert_eq!(rst.segment().seq, rcv_nxt + 1, "RFC 9293 §3.10.7.4: SEQ=SEG.ACK");
        return Ok(st.end());
    }
    if manners == Manners::Late {
        let late = message(Control::ACK, snd_nxt - 100, rcv_nxt);
        let again = server.select(st, SERVER, ClientSystemSynSent::AcknowledgeFromOutside(late))?;
        let (ack, again) = server.offer_one(again, &FromServer, deadline)?;
        assert_eq!((ack.segment().seq, ack.segment().ack), (rcv_nxt, snd_nxt));
        st = again;
    }
    let good = message(Control::ACK, snd_nxt, rcv_nxt);
    Ok(server.select(st, SERVER, ClientSystemSynSent::Acknowledge(good))?.end())
}

/// Stops the IP threads, also when a role panics.
struct Stop<'a>([&'a SmolLower; 2]);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|lower| lower.stop());
    }
}

/// Runs the three roles and says how the server system and its user ended.
#[expect(clippy::expect_used, reason = "a test has nobody else to tell")]
fn run(manners: Manners) -> (Outcome, Told) {
    let (server_end, client_end) = LinkEnd::pair(1_500, perfect(), perfect());
    let server = SmolLower::over_link(server_end, &LowerConfig::default()).expect("no link");
    let client_config = LowerConfig { address: *CLIENT.ip(), ..LowerConfig::default() };
    let client = SmolLower::over_link(client_end, &client_config).expect("no link");
    let mut to_client = NetChannel::new(server.clone(), server.listen(SERVER.port()).expect("the port is taken"));
    let to_server = NetChannel::new(client.clone(), client.listen(CLIENT.port()).expect("the port is taken"));
    let (to_system, mut to_user) = cb::pair::<RoleServerUser, RoleServerSystem>();
    thread::scope(|scope| {
        let stop = Stop([&server, &client]);
        let ip_threads = [scope.spawn(|| server.run()), scope.spawn(|| client.run())];
        let user = scope.spawn(|| server_user(to_system));
        let peer = scope.spawn(|| client_system(to_server, manners));
        let outcome = server_system(&mut to_user, &mut to_client, Clock::start());
        drop(to_user);
        let told = user.join().expect("the user panicked");
        let peer = peer.join().expect("the client panicked");
        drop(stop);
        for ip_thread in ip_threads {
            ip_thread.join().expect("an IP thread panicked").expect("the link failed");
        }
        let (told, _end) = told.expect("the user ended early");
        let _end: End = peer.expect("the client ended early");
        (outcome.expect("the system ended early"), told)
    })
}

#[test]
fn the_handshake_of_the_text_establishes_a_connection() {
    for manners in [Manners::Good, Manners::Late] {
        let (outcome, told) = run(manners);
        assert_eq!(told, Told::Connected, "{manners:?}");
        let Outcome::Connected(tcp, st) = outcome else { panic!("{manners:?}: reset") };
        assert_eq!((tcp.local(), tcp.remote()), (SERVER, CLIENT));
        // Here the text ends; the session does not.
        drop(st);
    }
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_resets_and_the_user_is_told() {
    let (outcome, told) = run(Manners::Bad);
    assert_eq!(told, Told::Close);
    assert!(matches!(outcome, Outcome::Reset(_)));
}
