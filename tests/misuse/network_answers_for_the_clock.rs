//! What arrives from the network takes no branch of the clock's.

use session_tcp::st::Picked;
use session_tcp::tcp::Segment;
use session_tcp::{RoleClientSystem, RoleServerSystem, SystemEstablished};

type Established = SystemEstablished<RoleServerSystem>;

pub fn judge(segment: Segment) -> Picked<Established, RoleClientSystem> {
    let _ = &segment;
    Established::Due() //~ E0308
    //= Established::Ignored(segment)
}
