//! Hosts with smoltcp's TCP socket, CUBIC switched on.

use crate::simulator::flows::{Host, Maker};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use std::collections::VecDeque;

/// The MTU, the same as ours.
const MTU: usize = 1500;
/// The port listened on.
const PORT: u16 = 555;
/// The ends.
const SENDER: IpAddress = IpAddress::v4(192, 0, 2, 77);
const RECEIVER: IpAddress = IpAddress::v4(192, 0, 2, 2);

/// Makes them.
pub(crate) struct Theirs {
    /// Octets of each of a socket's buffers.
    pub(crate) buffer: usize,
}

/// What the user does.
#[derive(Clone, Copy)]
enum User {
    Sends,
    Receives,
}

/// smoltcp's socket and its user.
pub(crate) struct TheirHost {
    interface: Interface,
    device: Queues,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    user: User,
    received: u64,
}

impl Theirs {
    fn host(&self, user: User, flow: u16, now: Instant) -> TheirHost {
        let address = match user {
            User::Sends => SENDER,
            User::Receives => RECEIVER,
        };
        let mut device = Queues::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = u64::from(flow);
        let mut interface = Interface::new(config, &mut device, now);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(address, 24)).expect("there is room for one address");
        });
        let buffer = || SocketBuffer::new(vec![0; self.buffer]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_congestion_control(CongestionControl::Cubic);
        match user {
            User::Sends => socket.connect(interface.context(), (RECEIVER, PORT), 40_000).expect("the socket is new"),
            User::Receives => socket.listen(PORT).expect("the socket is new"),
        }
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        TheirHost { interface, device, sockets, handle, user, received: 0 }
    }
}

impl Maker for Theirs {
    type Host = TheirHost;

    fn sender(&self, flow: u16, now: Instant) -> TheirHost {
        self.host(User::Sends, flow, now)
    }

    fn receiver(&self, flow: u16, now: Instant) -> TheirHost {
        self.host(User::Receives, flow, now)
    }
}

impl TheirHost {
    /// Lets the user do what it can.
    fn use_socket(&mut self) {
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        match self.user {
            User::Sends => {
                while socket.can_send() {
                    let filled = socket.send(|room| {
                        room.fill(b'x');
                        (room.len(), ())
                    });
                    filled.expect("there is room");
                }
            }
            User::Receives => {
                while socket.can_recv() {
                    let taken = socket.recv(|text| (text.len(), text.len()));
                    self.received += taken.expect("there is text") as u64;
                }
            }
        }
    }
}

impl Host for TheirHost {
    fn arrive(&mut self, packet: Vec<u8>, _now: Instant) {
        self.device.arrived.push_back(packet);
    }

    fn work(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        // Once for what has arrived, and once for what the user makes of it.
        for _ in 0..2 {
            self.interface.poll(now, &mut self.device, &mut self.sockets);
            self.use_socket();
        }
        self.interface.poll(now, &mut self.device, &mut self.sockets);
        out.append(&mut self.device.sent);
        let socket = self.sockets.get::<Socket<'_>>(self.handle);
        assert!(socket.is_open(), "the connection ended");
    }

    fn wakes_at(&mut self, now: Instant) -> Option<Instant> {
        self.interface.poll_at(now, &self.sockets)
    }

    fn received(&self) -> u64 {
        self.received
    }
}

/// A device of two queues.
#[derive(Default)]
struct Queues {
    arrived: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

/// A packet that has arrived.
struct Arrived(Vec<u8>);

/// The way out.
struct Way<'a>(&'a mut Vec<Vec<u8>>);

impl Device for Queues {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Way<'a>;

    fn receive(&mut self, _timestamp: Instant) -> Option<(Arrived, Way<'_>)> {
        Some((Arrived(self.arrived.pop_front()?), Way(&mut self.sent)))
    }

    fn transmit(&mut self, _timestamp: Instant) -> Option<Way<'_>> {
        Some(Way(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Way<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let done = f(&mut packet);
        self.0.push(packet);
        done
    }
}
