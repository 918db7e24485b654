//! A picked label cannot be written down.

use protocol::*;
use session_tcp::st::*;

pub fn arrived(branch: AnswerEvent<Nobody>) -> Picked<Answer, Server> {
    drop(branch);
    Picked { branch: todo!(), from: std::marker::PhantomData } //~ E0451
    //= Answer::Yes(Yes)
}
