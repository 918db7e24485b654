//! A token is spent by its use.

use protocol::*;

pub fn client(st: St<ClientSt>, server: &mut ToServer) -> Ended {
    let after = server.select_one(st, Hello)?;
    let (Welcome, last) = server.offer_one(after)?;
    let last = server.select(last, Talk::Bye(Bye))?;
    let (Welcome, _) = server.offer_one(after)?; //~ E0382
    //= println!("{last:?}");
    Ok(last.end())
}
