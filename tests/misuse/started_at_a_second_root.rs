//! Where a role begins is said once.

use protocol::*;
use session_tcp::st::*;

pub enum Mine {}
impl Role for Mine {}

pub enum Other {}
impl Role for Other {}

impl Participant for Mine {
    type Session = ClientSt;
}

impl Participant for Mine { //~ E0119
//= impl Participant for Other {
    type Session = Talk;
}
