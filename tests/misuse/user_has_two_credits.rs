//! A user that waits for the answer to its RECEIVE does not ask again.

use session_tcp::calls::{Data, Receive};
use session_tcp::cb::CbChannel;
use session_tcp::st::{SessionError, Token};
use session_tcp::{RoleServerSystem, RoleServerUser, UserOpen, UserReceiving};

type System = CbChannel<RoleServerUser, RoleServerSystem>;
type St<A> = Token<RoleServerUser, A>;

type Open = St<UserOpen<RoleServerUser>>;
type Receiving = St<UserReceiving<RoleServerUser>>;

pub fn user(st: Open, system: &mut System, data: Data) -> Result<Receiving, SessionError> {
    let st = system.select(st, UserOpen::Receive(Receive(())))?;
    //= let st = system.select(st, UserOpen::Send(data))?;
    system.select(st, UserOpen::Receive(Receive(()))) //~ E0308 (E0277)
}
