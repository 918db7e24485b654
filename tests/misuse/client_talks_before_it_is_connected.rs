//! Before the answer to its OPEN a user has no RECEIVE (RFC 9293 §3.9.1.1).

use session_tcp::calls::{Connect, Receive};
use session_tcp::cb::CbChannel;
use session_tcp::st::{SessionError, Token};
use session_tcp::{RoleClientSystem, RoleClientUser, UserOpen, UserUnconnected};

type System = CbChannel<RoleClientUser, RoleClientSystem>;
type Unconnected = Token<RoleClientUser, UserUnconnected<RoleClientUser>>;

pub fn user(st: Unconnected, system: &mut System, to: Connect) -> Result<(), SessionError> {
    let st = system.select(st, UserUnconnected::Connect(to))?;
    let _next = system.select(st, UserOpen::Receive(Receive(())))?; //~ E0308 (E0277)
    //= let _next = system.offer(st)?;
    Ok(())
}
