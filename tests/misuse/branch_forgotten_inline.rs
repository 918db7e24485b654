//! Every branch of an offer written inline is handled.

use protocol::*;
use session_tcp::branches;
use session_tcp::st::SessionError;

pub fn client(st: St<OfThree>, server: &mut ToServer) -> Result<(), SessionError> {
    branches!(server.offer_two(st)? => {
        (Yes, _) => Ok(()),
        (No, _) => Ok(()), //~ E0308
        // What if it says good bye?
        //= (Bye, _) => Ok(()),
    })
}
