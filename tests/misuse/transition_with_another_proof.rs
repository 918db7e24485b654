//! An acceptable segment is no acknowledgement of our FIN.

use session_tcp::tcp::{Acceptable, AcksFin, FinWait1, FinWait2, Tcp};
use session_tcp::undirected::Clock;

pub fn leave(tcp: Tcp<FinWait1>, any: Acceptable, proof: AcksFin, clock: &Clock) -> Tcp<FinWait2> {
    let _ = (&any, &proof);
    tcp.fin_wait_2(any, clock.now()) //~ E0308
    //= tcp.fin_wait_2(proof, clock.now())
}
