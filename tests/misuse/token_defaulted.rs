//! A token does not come from nothing.

use protocol::*;

pub fn make(right: St<Talk>) -> St<Talk> {
    let wrong = Default::default(); //~ E0277
    //= let wrong = right;
    wrong
}
