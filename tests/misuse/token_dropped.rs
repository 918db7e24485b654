//! A token that is let go of is noticed.
#![deny(unused_must_use)]

use protocol::*;
use session_tcp::st::SessionError;

pub fn client(st: St<ClientSt>, server: &mut ToServer) -> Result<(), SessionError> {
    server.select_one(st, Hello)?; //~ unused_must_use
    //= drop(server.select_one(st, Hello)?);
    Ok(())
}
