//! A session begins at the root of its role.

use protocol::*;
use session_tcp::st::Participant;

pub fn client() -> St<Talk> {
    let st: St<Talk> = Client::start(); //~ E0308
    //= let st: St<Talk> = after(Client::start());
    st
}

fn after(_: St<ClientSt>) -> St<Talk> {
    unimplemented!()
}
