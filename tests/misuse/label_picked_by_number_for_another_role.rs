//! A label is picked for its own role, by its number as well.

use protocol::*;
use session_tcp::st::*;

pub fn arrived() -> Picked<Answer, Server> {
    Picked::label::<3>(Nothing) //~ E0271
    //= Picked::label::<0>(Yes)
}
