//! The labels of a selection are distinct.

use protocol::*;
use session_tcp::Select;

Select!( //~ E0592
    pub Question: Server + {
        Ask(Ask). end,
        Ask(Bye). end,
        //= Bye(Bye). end,
    }
);
