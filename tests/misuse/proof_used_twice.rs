//! A proof serves one transition.

use session_tcp::tcp::{Acceptable, Established, Tcp};
use session_tcp::undirected::Clock;

pub fn accept(tcp: &mut Tcp<Established>, first: Acceptable, second: Acceptable, clock: &Clock) {
    tcp.accept(first, clock.now());
    tcp.accept(first, clock.now()); //~ E0382
    //= tcp.accept(second, clock.now());
}
