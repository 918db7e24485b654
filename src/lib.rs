//! TCP under multiparty session types: the roles and the local type of each.

pub mod tcp;
