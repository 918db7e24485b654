//! A transition consumes the state that it leaves.

use session_tcp::tcp::{Established, FinWait1, Tcp};
use session_tcp::undirected::Clock;

pub fn close(mut tcp: Tcp<Established>, clock: &Clock) -> Tcp<FinWait1> {
    tcp.send(b"the last words", clock.now());
    let closed = tcp.close(clock.now());
    tcp.send(b"one more thing", clock.now()); //~ E0382
    //= let _ = &closed;
    closed
}
