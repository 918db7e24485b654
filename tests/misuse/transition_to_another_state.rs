//! The peer's FIN alone does not lead to TIME-WAIT.

use session_tcp::tcp::{Closing, FinWait1, Finishes, Tcp, TimeWait};
use session_tcp::undirected::Clock;

pub fn leave(tcp: Tcp<FinWait1>, proof: Finishes, clock: &Clock) -> Tcp<TimeWait> {
    tcp.closing(proof, clock.now()) //~ E0308
    //= both(tcp.closing(proof, clock.now()))
}

fn both(_: Tcp<Closing>) -> Tcp<TimeWait> {
    unimplemented!()
}
