//! FIN-WAIT-1 is left with proof that our FIN was acknowledged.

use session_tcp::tcp::{AcksFin, FinWait1, FinWait2, Tcp};
use session_tcp::undirected::Clock;

pub fn leave(tcp: Tcp<FinWait1>, proof: AcksFin, clock: &Clock) -> Tcp<FinWait2> {
    let _ = &proof;
    tcp.fin_wait_2(clock.now()) //~ E0061
    //= tcp.fin_wait_2(proof, clock.now())
}
