//! The proof to have ended cannot be written down.

use protocol::*;
use session_tcp::st::*;

pub fn client(right: St<End>) -> Ended {
    let end = End { phantom: std::marker::PhantomData }; //~ E0451
    //= let end = right.end();
    Ok(end)
}
