//! The labels of an offer are distinct.

use protocol::*;
use session_tcp::Offer;

Offer!( //~ E0428 (E0004 E0119 E0592)
    pub Question => QuestionEvent {
        Client & Ask(Ask). end,
        Client & Ask(Bye). end,
        //= Client & Bye(Bye). end,
    }
);
