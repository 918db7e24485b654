//! What can go wrong between us and the device.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::io;
use std::sync::Arc;

/// Why the device cannot be opened or no longer carries packets.
///
/// It is `Clone`, because one failing device fails the IP thread and every connection that sends.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum DeviceError {
    /// The name cannot be that of a network device.
    Name {
        /// The name given.
        device: String,
    },
    /// Our own address cannot be that of a host.
    Address {
        /// The address given.
        address: Ipv4Addr,
        /// The length of its network prefix.
        prefix_len: u8,
    },
    /// The address is one of the host's: what is sent to it stays with the host.
    HostsOwn {
        /// The address given.
        address: Ipv4Addr,
        /// The device's name.
        device: String,
    },
    /// The kernel has no TUN driver loaded, or the container does not show it.
    NoDriver {
        /// What opening `/dev/net/tun` said.
        source: Arc<io::Error>,
    },
    /// We may not open `/dev/net/tun`.
    NoPermission {
        /// What opening `/dev/net/tun` said.
        source: Arc<io::Error>,
    },
    /// There is no device of that name.
    Missing {
        /// Its name.
        device: String,
    },
    /// Another program is attached to the device.
    Busy {
        /// Its name.
        device: String,
    },
    /// The device belongs to another user.
    NotOurs {
        /// Its name.
        device: String,
    },
    /// The device is not a plain TUN device.
    NotTun {
        /// Its name.
        device: String,
    },
    /// The device was set down.
    LinkDown {
        /// Its name.
        device: String,
    },
    /// The device was deleted.
    Deleted {
        /// Its name.
        device: String,
    },
    /// The other end of an in-process link was dropped.
    PeerGone,
    /// What is to be sent does not fit into an IPv4 packet.
    TooLong {
        /// The length of the TCP segment.
        tcp_bytes: usize,
    },
    /// Anything else the system reports.
    Io {
        /// The device's name.
        device: String,
        /// What we were doing.
        action: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { device } => {
                write!(f, "{device:?} is not a device name: 1 to 15 letters, digits, '-', '_' and '.'")
            }
            Self::Address { address, prefix_len } => write!(f, "{address}/{prefix_len} is not an address for a host"),
            Self::HostsOwn { address, device } => write!(
                f,
                "{address} is the host's own address: packets for it do not go to {device}; choose another in its network"
            ),
            Self::NoDriver { source } => write!(
                f,
                "cannot open /dev/net/tun ({source}); load the driver with `sudo modprobe tun`, or pass it into the container"
            ),
            Self::NoPermission { source } => {
                write!(f, "cannot open /dev/net/tun ({source}); let this user read and write it, or run as root")
            }
            Self::Missing { device } => write!(f, "there is no TUN device {device}; make it with `sudo ./up.sh`"),
            Self::Busy { device } => write!(
                f,
                "another program is attached to {device}; stop it, or make a second device in a network of its own with `sudo \
                 SESSION_TCP_DEVICE=… SESSION_TCP_HOST_ADDRESS=… SESSION_TCP_ADDRESS=… ./up.sh`, and give --device and --address"
            ),
            Self::NotOurs { device } => {
                write!(f, "{device} belongs to another user; make it anew with `sudo ./up.sh down` and `sudo ./up.sh`")
            }
            Self::NotTun { device } => write!(f, "{device} is not a TUN device; make one with `sudo ./up.sh`"),
            Self::LinkDown { device } => {
                write!(f, "{device} is down; bring it up with `sudo ./up.sh`")
            }
            Self::Deleted { device } => {
                write!(f, "{device} was deleted; make it anew with `sudo ./up.sh`")
            }
            Self::PeerGone => write!(f, "the other end of the link is gone"),
            Self::TooLong { tcp_bytes } => {
                write!(f, "a segment of {tcp_bytes} bytes does not fit into an IPv4 packet")
            }
            Self::Io { device, action, source } => write!(f, "cannot {action} {device}: {source}"),
        }
    }
}

impl std::error::Error for DeviceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoDriver { source } | Self::NoPermission { source } | Self::Io { source, .. } => {
                Some(source.as_ref())
            }
            Self::Name { .. }
            | Self::Address { .. }
            | Self::HostsOwn { .. }
            | Self::Missing { .. }
            | Self::Busy { .. }
            | Self::NotOurs { .. }
            | Self::NotTun { .. }
            | Self::LinkDown { .. }
            | Self::Deleted { .. }
            | Self::PeerGone
            | Self::TooLong { .. } => None,
        }
    }
}

/// Why a port cannot be listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenError {
    /// Somebody listens on it already.
    InUse {
        /// The port.
        port: u16,
    },
    /// The IP thread has ended, nothing will ever arrive.
    Stopped,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { port } => write!(f, "port {port} is listened on already"),
            Self::Stopped => write!(f, "the IP thread has ended"),
        }
    }
}

impl std::error::Error for ListenError {}

/// Why a connection cannot be opened actively (RFC 9293 §3.9.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The remote socket cannot be that of another host: broadcast, multicast, our own, port 0 (MUST-46).
    NoHost {
        /// The remote socket.
        remote: SocketAddrV4,
    },
    /// The local address is not ours.
    NotOurs {
        /// The local address.
        address: Ipv4Addr,
    },
    /// There is such a connection already, maybe in TIME-WAIT.
    Exists {
        /// The local socket.
        local: SocketAddrV4,
        /// The remote socket.
        remote: SocketAddrV4,
    },
    /// All ports that may be chosen are taken.
    NoPort,
    /// There is no room for another connection.
    Full,
    /// The IP thread has ended, nothing will ever arrive.
    Stopped,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHost { remote } => write!(f, "{remote} is not the socket of another host"),
            Self::NotOurs { address } => write!(f, "{address} is not our address"),
            Self::Exists { local, remote } => write!(f, "there is a connection from {local} to {remote} already"),
            Self::NoPort => write!(f, "no local port is free"),
            Self::Full => write!(f, "there are too many connections"),
            Self::Stopped => write!(f, "the IP thread has ended"),
        }
    }
}

impl std::error::Error for ConnectError {}
