//! ESTABLISHED waits: a segment is sent when one is due.

use session_tcp::smol_channel::{Ack, NetChannel};
use session_tcp::st::{SelectOne, SessionError, Token};
use session_tcp::tcp::Tcp;
use session_tcp::{RoleClientSystem, RoleServerSystem, SystemEstablished};

type Established = SystemEstablished<RoleServerSystem>;

type Waits = Token<RoleServerSystem, Established>;
//= type Waits = Token<RoleServerSystem, SelectOne<RoleClientSystem, Ack, Established>>;

pub fn system(
    st: Waits,
    peer: &mut NetChannel<RoleServerSystem, RoleClientSystem>,
    tcp: &Tcp<session_tcp::tcp::Established>,
    ack: Ack,
) -> Result<Token<RoleServerSystem, Established>, SessionError> {
    peer.select_one(st, tcp.remote(), ack) //~ E0308
}
