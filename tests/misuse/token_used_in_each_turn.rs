//! A token from before a loop serves one turn.

use protocol::*;

pub fn client(first: St<Talk>, server: &mut ToServer) -> Ended {
    let mut st = first;
    loop {
        let answer = server.select(st, Talk::Ask(Ask))?;
        st = match server.offer(answer)? {
            AnswerEvent::Yes(Yes, _) => first, //~ E0382
            //= AnswerEvent::Yes(Yes, st) => st,
            AnswerEvent::No(No, st) => return Ok(server.select(st, Talk::Bye(Bye))?.end()),
            AnswerEvent::Break(Bye, st) | AnswerEvent::Late(st) => return Ok(server.select_one(st, Bye)?.end()),
        };
    }
}
