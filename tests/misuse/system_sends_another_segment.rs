//! An acknowledgement is due, not a FIN.

use session_tcp::smol_channel::{Ack, FinAck, NetChannel};
use session_tcp::st::{SelectOne, SessionError, Token};
use session_tcp::tcp::Tcp;
use session_tcp::{RoleClientSystem, RoleServerSystem, SystemEstablished};

type Established = SystemEstablished<RoleServerSystem>;

type AckDue = Token<RoleServerSystem, SelectOne<RoleClientSystem, Ack, Established>>;

pub fn system(
    st: AckDue,
    peer: &mut NetChannel<RoleServerSystem, RoleClientSystem>,
    tcp: &Tcp<session_tcp::tcp::Established>,
    (ack, fin): (Ack, FinAck),
) -> Result<Token<RoleServerSystem, Established>, SessionError> {
    peer.select_one(st, tcp.remote(), fin) //~ E0308
    //= peer.select_one(st, tcp.remote(), ack)
}
