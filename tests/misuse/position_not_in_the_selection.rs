//! A selection of three has no fourth branch.

use protocol::*;
use session_tcp::st::*;

pub fn client(st: St<Three>, server: &mut ToServer) -> Ended {
    Ok(server.select(st, Choice::<_, Next<Next<Last>>, _>::new(Bye))?.end()) //~ E0277
    //= Ok(server.select(st, Choice::<_, Next<Last>, _>::new(Bye))?.end())
}
