//! A token cannot be doubled.

use protocol::*;

pub fn twice(it: St<Talk>) -> St<Talk> {
    let second = it.clone(); //~ E0599
    //= let second = it;
    second
}
