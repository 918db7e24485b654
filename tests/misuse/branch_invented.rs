//! A program cannot say how a selection of another crate goes on, not even for a message of its own.

use protocol::*;
use session_tcp::st::*;

pub struct Lie;
impl Message for Lie {}

impl At<First, Lie> for SelectTwo<Server, Ask, Bye, Answer, End> { //~ E0277
//= impl Further<First, Lie> for SelectTwo<Server, Ask, Bye, Answer, End> {
    type Next = End;
}

pub trait Further<I, M> {
    type Next;
}
