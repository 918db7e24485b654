//! A label of one offer picks no branch of another.

use session_tcp::st::Picked;
use session_tcp::tcp::Segment;
use session_tcp::{RoleClientSystem, RoleServerSystem, SystemFinWait1, SystemFinWait2};

pub fn judge(segment: Segment) -> Picked<SystemFinWait1<RoleServerSystem>, RoleClientSystem> {
    SystemFinWait2::Ignored(segment) //~ E0308
    //= SystemFinWait1::Ignored(segment)
}
