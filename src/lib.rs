//! TCP under multiparty session types: the roles and the local type of each.

pub mod smol_channel;
pub mod smol_lower;
pub mod tcp;
