//! A proof is what the machine judges; no program makes one.

use session_tcp::tcp::{AcksFin, Segment};

pub fn proof(segment: Segment, right: AcksFin) -> AcksFin {
    let wrong = AcksFin::from(segment); //~ E0308
    //= let wrong = right;
    wrong
}
