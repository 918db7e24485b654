//! Only a recursive type unfolds.

use protocol::*;
use session_tcp::st::*;

pub fn client(right: Token<Server, Asked>, wrong: Token<Server, ServerSt>) {
    drop(wrong.inner()); //~ E0599
    //= drop((wrong, right.inner()));
}
