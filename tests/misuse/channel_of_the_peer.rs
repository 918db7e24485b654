//! An end of a channel belongs to one of its two roles.

use protocol::*;
use session_tcp::cb::pair;
use session_tcp::st::*;

pub fn client(st: St<ClientSt>) -> Result<St<OfferOne<Server, Welcome, Talk>>, SessionError> {
    let (mut server, mut client) = pair::<Client, Server>();
    let _ = (&mut server, &mut client);
    client.select_one(st, Hello) //~ E0308
    //= server.select_one(st, Hello)
}
