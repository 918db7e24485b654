//! What is typed is not what the peer said.

use session_tcp::st::{SessionError, Token};
use session_tcp::undirected::Desk;
use session_tcp::{RoleClientUser, UserTalking};

type Talking = Token<RoleClientUser, UserTalking<RoleClientUser>>;

pub fn user(st: Talking, desk: &mut Desk<RoleClientUser>) -> Result<(), SessionError> {
    let _event = desk.offer(st, UserTalking::Data)?; //~ E0271
    //= let _event = desk.offer(st, UserTalking::Typed)?;
    Ok(())
}
