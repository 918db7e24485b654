//! What Linux offers its users and std does not: socket options, options set before the connection, urgent data, a namespace for a thread.
#![expect(unsafe_code, reason = "std has no such calls; each gets a live descriptor, or a buffer with its own length")]

use core::ffi::{c_int, c_void};
use core::net::SocketAddrV4;
use std::io::{Error, ErrorKind};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::client::{Client, PATIENCE};

unsafe extern "C" {
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn setsockopt(socket: c_int, level: c_int, name: c_int, value: *const c_void, length: u32) -> c_int;
    fn connect(socket: c_int, address: *const c_void, length: u32) -> c_int;
    fn send(socket: c_int, buffer: *const c_void, length: usize, flags: c_int) -> isize;
    fn recv(socket: c_int, buffer: *mut c_void, length: usize, flags: c_int) -> isize;
    fn unshare(flags: c_int) -> c_int;
}

const AF_INET: u16 = 2;
const SOCK_STREAM_CLOEXEC: c_int = 0o2_000_001;
const SOL_SOCKET: c_int = 1;
const IPPROTO_TCP: c_int = 6;
const MSG_OOB: c_int = 1;
const CLONE_NEWNET: c_int = 0x4000_0000;

/// An option of a socket (`man 7 socket`, `man 7 tcp`).
#[derive(Clone, Debug)]
pub struct SocketOption {
    level: c_int,
    name: c_int,
    value: Vec<u8>,
}

impl SocketOption {
    const fn new(level: c_int, name: c_int, value: Vec<u8>) -> Self {
        Self { level, name, value }
    }

    fn number(level: c_int, name: c_int, value: c_int) -> Self {
        Self::new(level, name, value.to_ne_bytes().to_vec())
    }

    /// SO_SNDBUF.
    pub fn send_buffer(bytes: c_int) -> Self {
        Self::number(SOL_SOCKET, 7, bytes)
    }

    /// SO_RCVBUF.
    pub fn receive_buffer(bytes: c_int) -> Self {
        Self::number(SOL_SOCKET, 8, bytes)
    }

    /// SO_RCVBUFFORCE, which the limit for users does not hold.
    fn receive_buffer_whatever_the_limit(bytes: c_int) -> Self {
        Self::number(SOL_SOCKET, 33, bytes)
    }

    /// SO_KEEPALIVE.
    pub fn keep_alive() -> Self {
        Self::number(SOL_SOCKET, 9, 1)
    }

    /// SO_OOBINLINE.
    pub fn urgent_in_line() -> Self {
        Self::number(SOL_SOCKET, 10, 1)
    }

    /// SO_LINGER with a timeout of 0: `close` sends RST.
    pub fn reset_on_close() -> Self {
        Self::new(SOL_SOCKET, 13, [1_i32.to_ne_bytes(), 0_i32.to_ne_bytes()].concat())
    }

    /// TCP_MAXSEG.
    pub fn largest_segment(bytes: c_int) -> Self {
        Self::number(IPPROTO_TCP, 2, bytes)
    }

    /// TCP_CORK.
    pub fn cork() -> Self {
        Self::number(IPPROTO_TCP, 3, 1)
    }

    /// TCP_KEEPIDLE.
    pub fn keep_alive_after(seconds: c_int) -> Self {
        Self::number(IPPROTO_TCP, 4, seconds)
    }

    /// TCP_WINDOW_CLAMP.
    pub fn largest_window(bytes: c_int) -> Self {
        Self::number(IPPROTO_TCP, 10, bytes)
    }

    /// TCP_QUICKACK off: every ACK may be delayed.
    pub fn slow_acks() -> Self {
        Self::number(IPPROTO_TCP, 12, 0)
    }

    /// TCP_CONGESTION.
    pub fn congestion_control(name: &str) -> Self {
        Self::new(IPPROTO_TCP, 13, name.as_bytes().to_vec())
    }

    /// TCP_USER_TIMEOUT.
    pub fn user_timeout(milliseconds: c_int) -> Self {
        Self::number(IPPROTO_TCP, 18, milliseconds)
    }

    /// TCP_FASTOPEN_CONNECT: the SYN waits for the first text and carries it.
    pub fn fast_open() -> Self {
        Self::number(IPPROTO_TCP, 30, 1)
    }
}

/// Sets an option of a connected socket.
pub fn set(stream: &TcpStream, option: &SocketOption) {
    try_set(stream, option).unwrap_or_else(|error| panic!("{option:?}: {error}"));
}

/// Gives a socket a receive buffer of this size; where that is not allowed, as large a one as is.
pub fn widen(socket: &impl AsRawFd, bytes: c_int) {
    if try_set(socket, &SocketOption::receive_buffer_whatever_the_limit(bytes)).is_err() {
        try_set(socket, &SocketOption::receive_buffer(bytes)).unwrap();
    }
}

fn try_set(socket: &impl AsRawFd, option: &SocketOption) -> Result<(), Error> {
    let SocketOption { level, name, value } = option;
    let length = u32::try_from(value.len()).unwrap();
    // SAFETY: the descriptor is open as long as `socket` lives, and `value` has that length.
    let result = unsafe { setsockopt(socket.as_raw_fd(), *level, *name, value.as_ptr().cast(), length) };
    answer(result).map(drop)
}

/// Connects a socket with these options to the server. Nagle's algorithm stays on.
pub fn connect_with(address: SocketAddrV4, options: &[SocketOption]) -> Client {
    try_connect_with(address, options).unwrap_or_else(|error| panic!("cannot connect with {options:?}: {error}"))
}

/// As [`connect_with`]; `None` where this kernel does not know the congestion control.
pub fn connect_with_congestion_control(address: SocketAddrV4, name: &str) -> Option<Client> {
    match try_connect_with(address, &[SocketOption::congestion_control(name)]) {
        Ok(client) => Some(client),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("cannot connect with {name}: {error}"),
    }
}

fn try_connect_with(address: SocketAddrV4, options: &[SocketOption]) -> Result<Client, Error> {
    // SAFETY: no pointers.
    let socket = answer(unsafe { socket(c_int::from(AF_INET), SOCK_STREAM_CLOEXEC, 0) })?;
    // SAFETY: it was just opened, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    for option in options {
        try_set(&socket, option)?;
    }
    // `struct sockaddr_in`.
    let mut name = [0; 16];
    name[..2].copy_from_slice(&AF_INET.to_ne_bytes());
    name[2..4].copy_from_slice(&address.port().to_be_bytes());
    name[4..8].copy_from_slice(&address.ip().octets());
    // SAFETY: the descriptor is open, and `name` has that length.
    answer(unsafe { connect(socket.as_raw_fd(), name.as_ptr().cast(), 16) })?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(Client { stream })
}

/// Sends text of which the last octet is urgent for Linux.
pub fn send_urgent(stream: &TcpStream, text: &[u8]) {
    // SAFETY: the descriptor is open, and `text` has that length.
    let sent = unsafe { send(stream.as_raw_fd(), text.as_ptr().cast(), text.len(), MSG_OOB) };
    assert_eq!(usize::try_from(sent), Ok(text.len()), "{}", Error::last_os_error());
}

/// The urgent octet, if there is one that was taken out of the stream.
pub fn receive_urgent(stream: &TcpStream) -> Option<u8> {
    let mut octet = [0];
    // SAFETY: the descriptor is open, and `octet` has that length.
    let received = unsafe { recv(stream.as_raw_fd(), octet.as_mut_ptr().cast(), 1, MSG_OOB) };
    (received == 1).then_some(octet[0])
}

/// Gives the calling thread, and what it starts, an empty network namespace of its own.
pub fn enter_new_namespace() {
    // SAFETY: no pointers.
    answer(unsafe { unshare(CLONE_NEWNET) }).unwrap_or_else(|error| panic!("no namespace for the client: {error}"));
}

fn answer(result: c_int) -> Result<c_int, Error> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}
