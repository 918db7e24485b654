//! No channel leads to a role that only stands for something.

use protocol::*;

pub fn client() {
    let (nested, _) = session_tcp::cb::pair::<Client, session_tcp::st::NestRole>(); //~ E0277
    //= let (nested, _) = session_tcp::cb::pair::<Client, Server>();
    drop(nested);
}
