//! What arrives from the network takes no branch of the user's.

use session_tcp::calls::Close;
use session_tcp::st::Picked;
use session_tcp::tcp::Segment;
use session_tcp::{RoleClientSystem, RoleServerSystem, SystemEstablished};

type Established = SystemEstablished<RoleServerSystem>;

pub fn judge(segment: Segment, close: Close) -> Picked<Established, RoleClientSystem> {
    let _ = (&segment, &close);
    Established::Close(close) //~ E0308
    //= Established::Ignored(segment)
}
