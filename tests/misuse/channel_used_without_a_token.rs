//! A channel has no way to send without a token.

use protocol::*;
use session_tcp::st::*;

pub fn client(st: St<SelectOne<Server, Hello, End>>, server: &mut ToServer) -> Ended {
    server.send(Hello); //~ E0624
    //= drop(Hello);
    Ok(server.select_one(st, Hello)?.end())
}
