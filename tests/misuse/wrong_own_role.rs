//! A channel takes no token of another role, though it names the same peer.

use protocol::*;
use session_tcp::st::*;

type Theirs = Token<Stranger, SelectOne<Server, Hello, End>>;
//= type Theirs = Token<Client, SelectOne<Server, Hello, End>>;

pub fn client(st: Theirs, server: &mut ToServer) -> Ended {
    Ok(server.select_one(st, Hello)?.end()) //~ E0308
}
