//! Where a role begins is said in the crate of the role, once.

use session_tcp::RoleClientSystem;
use session_tcp::st::*;

pub enum Mine {}
impl Role for Mine {}

impl Participant for RoleClientSystem { //~ E0117
//= impl Participant for Mine {
    type Session = End;
}
