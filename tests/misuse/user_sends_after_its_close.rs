//! After CLOSE the user has no SEND (RFC 9293 §3.9.1.4).

use session_tcp::calls::{Close, Data};
use session_tcp::cb::CbChannel;
use session_tcp::st::{SessionError, Token};
use session_tcp::{RoleServerSystem, RoleServerUser, UserOpen};

type System = CbChannel<RoleServerUser, RoleServerSystem>;
type St<A> = Token<RoleServerUser, A>;

type Open = St<UserOpen<RoleServerUser>>;

pub fn user(st: Open, system: &mut System, first: Data, second: Data) -> Result<Open, SessionError> {
    let st = system.select(st, UserOpen::Close(Close(())))?;
    //= let st = system.select(st, UserOpen::Send(first))?;
    system.select(st, UserOpen::Send(second)) //~ E0308 (E0277)
}
