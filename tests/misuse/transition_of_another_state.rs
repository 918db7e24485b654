//! A transition is a method of the state that it leaves.

use session_tcp::tcp::{AcksFin, Established, FinWait1, FinWait2, Tcp};
use session_tcp::undirected::Clock;

type Before = Tcp<Established>;
//= type Before = Tcp<FinWait1>;

pub fn leave(tcp: Before, proof: AcksFin, clock: &Clock) -> Tcp<FinWait2> {
    tcp.fin_wait_2(proof, clock.now()) //~ E0599
}
