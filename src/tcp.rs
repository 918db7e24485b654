//! The rules of TCP as a typestate machine without sockets, threads, clock or random source.

pub mod segment;
pub mod seq;
