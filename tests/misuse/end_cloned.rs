//! The end cannot be doubled.

use session_tcp::st::*;

pub fn twice(it: End) -> End {
    let second = it.clone(); //~ E0599
    //= let second = it;
    second
}
