//! A permit makes over the token that is there; it makes none.

use protocol::*;
use session_tcp::st::*;

pub fn late(permit: Permit<Client>, there: Token<Nobody, Talk>) -> St<Talk> {
    permit.token() //~ E0599
    //= permit.grant(there)
}
