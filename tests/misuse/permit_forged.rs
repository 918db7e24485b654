//! The permit to make over a token is the channels' own.

use protocol::*;
use session_tcp::st::*;

pub fn client() -> Option<Permit<Client>> {
    let permit = Some(Permit::new()); //~ E0624
    //= let permit = None;
    permit
}
