//! The server's OPEN is passive: it may not name a peer and send it a SYN.

use session_tcp::calls::{Connect, Open};
use session_tcp::cb::CbChannel;
use session_tcp::st::{SessionError, Token};
use session_tcp::{RoleServerSystem, RoleServerUser, UserUnconnected, UserUnopened};

type System = CbChannel<RoleServerUser, RoleServerSystem>;
type Unopened = Token<RoleServerUser, UserUnopened<RoleServerUser>>;

pub fn user(st: Unopened, system: &mut System, _to: Connect, _here: Open) -> Result<(), SessionError> {
    let _next = system.select(st, UserUnconnected::Connect(_to))?; //~ E0308 (E0277)
    //= let _next = system.select(st, UserUnopened::Open(_here))?;
    Ok(())
}
