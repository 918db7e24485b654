//! A token cannot be written down.

use protocol::*;
use session_tcp::st::Token;

pub fn talk(right: St<Talk>) -> St<Talk> {
    let wrong = Token { phantom: std::marker::PhantomData }; //~ E0451
    //= let wrong = right;
    wrong
}
