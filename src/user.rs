//! The program of the server user: the echo server of dissertation §4.1, on lines of a stream.
//!
//! Each line is reversed and sent back, its newline stays at its end; an empty line makes the server close. That of the client
//! user, which passes on what is typed and prints what it hears, is in [`terminal`].

mod lines;
pub mod terminal;

use log::debug;

use crate::calls::{Close, Closed, Connected, Data, Open, Receive, Reset, ResetCause, Set, TcbCreated};
use crate::cb::CbChannel;
use crate::st::{End, Participant, SessionError, Token};
use crate::tcp::{LocalAddr, Setting};
use crate::{
    ReceivingEvent, RoleServerSystem, RoleServerUser, UserClosing, UserClosingEvent, UserOpen, UserPeerClosed,
    UserSide, UserUnopened,
};
use lines::{Lines, Then};

/// The channel of the server user to its system.
type System = CbChannel<RoleServerUser, RoleServerSystem>;
/// A token of the server user.
type St<A> = Token<RoleServerUser, A>;

/// Runs the server user for one connection to `local`, for which it sets something first.
///
/// # Errors
///
/// [`SessionError::Gone`] when the system ended early, because its device is gone.
pub fn server_user(
    st: St<<RoleServerUser as Participant>::Session>,
    mut system: System,
    local: LocalAddr,
    settings: &[Setting],
) -> Result<End, SessionError> {
    let mut st = st;
    for setting in settings {
        st = system.select(st, UserUnopened::Set(Set(*setting)))?;
    }
    let st = system.select(st, UserUnopened::Open(Open(local)))?;
    let (TcbCreated(()), st) = system.offer_one(st)?;
    let (Connected(()), st) = system.offer_one(st)?;
    echo(st, &mut system)
}

/// Answers lines until one is empty, the peer closes, or the connection is lost.
fn echo(mut st: St<UserOpen<RoleServerUser>>, system: &mut System) -> Result<End, SessionError> {
    let mut lines = Lines::default();
    loop {
        let receiving = system.select(st, UserOpen::Receive(Receive(())))?;
        st = match system.offer(receiving)? {
            ReceivingEvent::Data(data, st) => {
                let (answer, then) = lines.push(data.octets());
                let st = send_open(st, system, &answer)?;
                if then == Then::Close {
                    let st = system.select(st, UserOpen::Close(Close(())))?;
                    return told(verdict(st, system)?);
                }
                st
            }
            ReceivingEvent::Advice(advice, st) => {
                // Urgent data is in line and reversed like all else; an error is the system's to overcome.
                debug!("the user was told: {advice}");
                st
            }
            ReceivingEvent::Close(Close(()), st) => {
                let st = send_peer_closed(st, system, &lines.finish())?;
                let st = system.select(st, UserPeerClosed::Close(Close(())))?;
                return told(verdict(st, system)?);
            }
            ReceivingEvent::Reset(Reset(cause), st) => {
                debug!("the user was told: {cause}");
                return Ok(system.select_one(st, Close(()))?.end());
            }
        };
    }
}

/// Sends a stream of any length while both directions are open.
fn send_open(
    mut st: St<UserOpen<RoleServerUser>>,
    system: &mut System,
    octets: &[u8],
) -> Result<St<UserOpen<RoleServerUser>>, SessionError> {
    for piece in Data::pieces(octets) {
        st = system.select(st, UserOpen::Send(piece))?;
    }
    Ok(st)
}

/// Sends a stream of any length after the peer has closed.
fn send_peer_closed(
    mut st: St<UserPeerClosed<RoleServerUser>>,
    system: &mut System,
    octets: &[u8],
) -> Result<St<UserPeerClosed<RoleServerUser>>, SessionError> {
    for piece in Data::pieces(octets) {
        st = system.select(st, UserPeerClosed::Send(piece))?;
    }
    Ok(st)
}

/// The server has nobody to tell what became of the close.
fn told((end, verdict): (End, Verdict)) -> Result<End, SessionError> {
    if let Err(cause) = verdict {
        debug!("the user was told: {cause}");
    }
    Ok(end)
}

/// What becomes of a close: an error when the connection was lost after all.
type Verdict = Result<(), ResetCause>;

/// Waits for what became of the close.
fn verdict<U: UserSide>(
    mut st: Token<U, UserClosing<U>>,
    system: &mut CbChannel<U, U::System>,
) -> Result<(End, Verdict), SessionError> {
    loop {
        st = match system.offer(st)? {
            UserClosingEvent::Data(_, st) | UserClosingEvent::Advice(_, st) | UserClosingEvent::PeerClosed(_, st) => st,
            UserClosingEvent::Closed(Closed(()), st) => return Ok((st.end(), Ok(()))),
            UserClosingEvent::Reset(Reset(cause), st) => return Ok((st.end(), Err(cause))),
        };
    }
}
