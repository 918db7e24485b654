//! What the clock brings takes no branch of the server's.

use protocol::*;
use session_tcp::st::*;

pub fn late() -> Picked<Answer, Timeout> {
    Answer::No(No) //~ E0308
    //= Answer::Late()
}
