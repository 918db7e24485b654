//! A client behind a router, so that the kernel forwards between it and the server.
//!
//! ```text
//! client, a namespace of its own ── veth ── the kernel in the test's namespace, forwarding ── tun-st ── server
//! 198.51.100.1                              198.51.100.2                          192.0.2.1             192.0.2.2
//! ```

use super::namespace::{run, set_sysctl};
use super::socket::enter_new_namespace;
use std::process;
use std::sync::mpsc::sync_channel;
use std::thread;

/// The client's device.
const CLIENT_DEVICE: &str = "veth-client";
/// The router's, which a test may take down.
pub const ROUTER_DEVICE: &str = "veth-router";

/// What happens to the errors of the router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Errors {
    /// They reach the server.
    Arrive,
    /// They are lost: a black hole.
    Lost,
}

/// Runs `body` in a thread that reaches the server through a router, over a link of this MTU of which the client says nothing.
pub fn behind_a_router<T: Send>(mtu: u16, errors: Errors, body: impl FnOnce() -> T + Send) -> T {
    let (made, when_made) = sync_channel(1);
    let (routed, when_routed) = sync_channel(1);
    let mtu = mtu.to_string();
    thread::scope(|scope| {
        let client = scope.spawn({
            let mtu = &mtu;
            move || {
                enter_new_namespace();
                let router = process::id().to_string();
                let peer = ["mtu", mtu, "type", "veth", "peer", "name", ROUTER_DEVICE, "mtu", mtu, "netns", &router];
                run("ip", &[&["link", "add", CLIENT_DEVICE][..], &peer].concat());
                run("ip", &["address", "add", "198.51.100.1/24", "dev", CLIENT_DEVICE]);
                run("ip", &["link", "set", "dev", CLIENT_DEVICE, "up"]);
                made.send(()).unwrap();
                when_routed.recv().unwrap();
                // The SYN names the MSS of an Ethernet, so that the server finds out only on the way.
                run("ip", &["route", "add", "default", "via", "198.51.100.2", "advmss", "1460"]);
                set_sysctl("net.ipv4.tcp_no_metrics_save", "1");
                body()
            }
        });
        when_made.recv().unwrap();
        set_sysctl("net.ipv4.ip_forward", "1");
        run("ip", &["address", "add", "198.51.100.2/24", "dev", ROUTER_DEVICE]);
        run("ip", &["link", "set", "dev", ROUTER_DEVICE, "up"]);
        if errors == Errors::Lost {
            run("ip", &["rule", "add", "pref", "100", "ipproto", "icmp", "to", "192.0.2.2", "blackhole"]);
        }
        routed.send(()).unwrap();
        client.join().unwrap()
    })
}
