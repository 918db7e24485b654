//! A channel takes no token of roles that it does not join.

use protocol::*;
use session_tcp::cb::CbChannel;
use session_tcp::st::*;

type Channel = CbChannel<Stranger, Server>;
//= type Channel = CbChannel<Client, Server>;

pub fn client(st: St<SelectOne<Server, Hello, End>>, server: &mut Channel) -> Ended {
    Ok(server.select_one(st, Hello)?.end()) //~ E0308
}
