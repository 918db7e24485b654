//! The program of the client user: passes on what is typed and prints what the peer says, both at once.
//!
//! At the end of what is typed it goes on listening, as netcat does: CLOSE ends both directions (RFC 9293 MAY-1), so it comes when the
//! peer has closed.

use std::fmt;
use std::io::{self, Write};

use log::{info, warn};

use super::{Verdict, verdict};
use crate::calls::{Abort, Close, Connect, Connected, NotOpened, Receive, Reset, ResetCause, Set, TcbCreated};
use crate::smol_lower::ConnectError;
use crate::st::{End, Participant, SessionError, Token};
use crate::tcp::Setting;
use crate::undirected::Desk;
use crate::{
    ConnectingEvent, RoleClientUser, TalkingEvent, UserOpen, UserPeerClosed, UserSynSent, UserSynSentEvent,
    UserTalking, UserUnconnected,
};

/// A token of the client user.
type St<A> = Token<RoleClientUser, A>;

/// How the connection of a client came to its end.
#[derive(Debug)]
pub enum Farewell {
    /// Both sides have closed, and all that was said has arrived.
    Closed,
    /// There could be no such connection.
    NotOpened(ConnectError),
    /// The connection was refused or lost.
    Reset(ResetCause),
    /// What the peer said could not be written; the connection was aborted.
    Unwritable(io::Error),
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::NotOpened(cause) => write!(f, "{cause}"),
            Self::Reset(cause) => write!(f, "{cause}"),
            Self::Unwritable(cause) => write!(f, "cannot write what the peer says: {cause}"),
        }
    }
}

/// Runs the client user for one connection, for which it sets something first; `heard` is where goes what the peer says.
///
/// # Errors
///
/// [`SessionError::Gone`] when the system ended early, because its device is gone.
pub fn client_user(
    st: St<<RoleClientUser as Participant>::Session>,
    mut desk: Desk<RoleClientUser>,
    settings: &[Setting],
    connect: Connect,
    heard: &mut impl Write,
) -> Result<(End, Farewell), SessionError> {
    let mut st = st;
    for setting in settings {
        st = desk.system.select(st, UserUnconnected::Set(Set(*setting)))?;
    }
    let st = desk.system.select(st, UserUnconnected::Connect(connect))?;
    match desk.system.offer(st)? {
        ConnectingEvent::TcbCreated(TcbCreated(()), st) => syn_sent(st, desk, heard),
        ConnectingEvent::NotOpened(NotOpened(cause), st) => Ok((st.end(), Farewell::NotOpened(cause))),
    }
}

/// Waits for the peer.
fn syn_sent(
    mut st: St<UserSynSent<RoleClientUser>>,
    mut desk: Desk<RoleClientUser>,
    heard: &mut impl Write,
) -> Result<(End, Farewell), SessionError> {
    loop {
        st = match desk.system.offer(st)? {
            UserSynSentEvent::Connected(Connected(()), st) => return talk(st, desk, heard),
            UserSynSentEvent::Advice(advice, st) => {
                warn!("still trying: {advice}");
                st
            }
            UserSynSentEvent::Reset(Reset(cause), st) => return Ok((st.end(), Farewell::Reset(cause))),
        };
    }
}

/// Talks until the peer closes or the connection is lost.
fn talk(
    mut st: St<UserOpen<RoleClientUser>>,
    mut desk: Desk<RoleClientUser>,
    heard: &mut impl Write,
) -> Result<(End, Farewell), SessionError> {
    loop {
        let mut talking = desk.system.select(st, UserOpen::Receive(Receive(())))?;
        st = loop {
            match desk.offer(talking, UserTalking::Typed)? {
                TalkingEvent::Typed(data, st) => talking = desk.system.select_one(st, data)?,
                TalkingEvent::Data(data, st) => match heard.write_all(data.octets()).and_then(|()| heard.flush()) {
                    Ok(()) => break st,
                    Err(cause) => {
                        let st = desk.system.select(st, UserOpen::Abort(Abort(())))?;
                        return Ok((st.end(), Farewell::Unwritable(cause)));
                    }
                },
                TalkingEvent::Advice(advice, st) => {
                    info!("the user was told: {advice}");
                    break st;
                }
                TalkingEvent::Close(Close(()), st) => return peer_closed(st, desk),
                TalkingEvent::Reset(Reset(cause), st) => {
                    let st = desk.system.select_one(st, Close(()))?;
                    return Ok((st.end(), Farewell::Reset(cause)));
                }
            }
        };
    }
}

/// The peer has closed: says what is still typed, then closes as well.
fn peer_closed(
    mut st: St<UserPeerClosed<RoleClientUser>>,
    mut desk: Desk<RoleClientUser>,
) -> Result<(End, Farewell), SessionError> {
    while let Some(data) = desk.typed() {
        st = desk.system.select(st, UserPeerClosed::Send(data))?;
    }
    let st = desk.system.select(st, UserPeerClosed::Close(Close(())))?;
    let (end, verdict): (End, Verdict) = verdict(st, &mut desk.system)?;
    Ok((end, verdict.map_or_else(Farewell::Reset, |()| Farewell::Closed)))
}
