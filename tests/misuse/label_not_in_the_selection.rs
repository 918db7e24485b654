//! Only what may be sent has a label.

use protocol::*;

pub fn client(st: St<Talk>, server: &mut ToServer) -> Ended {
    Ok(server.select(st, Talk::Hello(Hello))?.end()) //~ E0599
    //= Ok(server.select(st, Talk::Bye(Bye))?.end())
}
