//! The end does not come from nothing.

use session_tcp::st::*;

pub fn make(right: End) -> End {
    let wrong = Default::default(); //~ E0277
    //= let wrong = right;
    wrong
}
