//! The end is moved, not copied.

use session_tcp::st::*;

fn need_copy<T: Copy>(_: &T) {}
fn need_debug<T: std::fmt::Debug>(_: &T) {}

pub fn twice(it: &End) {
    need_copy(it); //~ E0277
    //= need_debug(it);
    need_copy(&0);
}
