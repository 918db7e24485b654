//! Only a channel makes a token the next one.

use protocol::*;

pub fn client(st: St<ClientSt>) -> St<ClientSt> {
    let st = st.advance(); //~ E0624
    //= let st = st;
    st
}
