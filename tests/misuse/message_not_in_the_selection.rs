//! A selection written inline sends the messages that it lists.

use protocol::*;
use session_tcp::st::*;

pub fn client(st: St<Three>, server: &mut ToServer) -> Ended {
    Ok(server.select(st, Choice::new(Hello))?.end()) //~ E0277
    //= Ok(server.select(st, Choice::new(Bye))?.end())
}
