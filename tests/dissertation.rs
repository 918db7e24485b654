//! Every session type that the dissertation prints, as printed, and what the text says it expands to; then the handshake
//! of §3.3.5, run on them.
//!
//! The types are written as they stand in the text, comments included; a misprint that had to be mended is noted where it
//! was. That a type is the one meant is asserted by type equality, when this compiles.

#[path = "dissertation/handshake.rs"]
mod handshake;
#[path = "dissertation/listings.rs"]
mod listings;

use session_tcp::st::{Action, Recursive, Role};

// The roles of chapter 3 by the names of the listings; those of the library begin with today's types.

/// The server application.
#[derive(Debug)]
pub enum RoleServerUser {}
/// The TCP implementation.
#[derive(Debug)]
pub enum RoleServerSystem {}
/// The TCP implementation on the other end of the network.
#[derive(Debug)]
pub enum RoleClientSystem {}

impl Role for RoleServerUser {}
impl Role for RoleServerSystem {}
impl Role for RoleClientSystem {}

/// Holds where two types are one.
trait Is<T> {}
impl<T> Is<T> for T {}

/// Compiles where `A` and `B` are one type, and where that type has no size.
const fn same<A: Action + Is<B>, B: Action>() {
    assert!(size_of::<A>() == 0, "a session type is only a name");
}

/// Compiles where the recursive `A` unfolds to `B`, and where neither has a size.
const fn unfolds<A: Recursive<Inner: Is<B>>, B: Action>() {
    assert!(size_of::<A>() == 0 && size_of::<A::Inner>() == 0, "a session type is only a name");
}
