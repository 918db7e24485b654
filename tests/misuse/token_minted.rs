//! What makes tokens is not for other crates.

use protocol::*;
use session_tcp::st::Token;

pub fn talk(right: St<Talk>) -> St<Talk> {
    let wrong = Token::mint(); //~ E0624
    //= let wrong = right;
    wrong
}
