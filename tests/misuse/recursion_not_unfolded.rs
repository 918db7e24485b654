//! A recursive type is used once it is unfolded.

use protocol::*;
use session_tcp::cb::CbChannel;
use session_tcp::st::*;

pub fn server(st: Token<Server, Asked>, client: &mut CbChannel<Server, Client>) -> Result<(), SessionError> {
    drop(client.offer_two(st)?); //~ E0308
    //= drop(client.offer_two(st.inner())?);
    Ok(())
}
