//! The token that a picked label carries until it is taken is not to be had.

use protocol::*;
use session_tcp::st::*;

pub fn client(right: St<End>) -> End {
    let end = Token::<Nobody, End>::mint().end(); //~ E0624
    //= let end = right.end();
    end
}
