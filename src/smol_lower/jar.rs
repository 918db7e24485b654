//! The cookie jar: gives cookies to SYNs that have no place, and says whether a segment brings one back.

use core::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::time::Instant;

use crate::tcp::cookie::{Baker, Cookie, CookieSecret, LIFE_SECS};
use crate::tcp::segment::Segment;

/// The secret, and when it was last used.
#[derive(Debug)]
pub(super) struct Jar {
    secret: CookieSecret,
    address: Ipv4Addr,
    /// When the last cookie was given; long before that or after, nobody can have one.
    last_given: Option<Instant>,
}

impl Jar {
    /// A jar for a host with this address.
    pub(super) fn new(address: Ipv4Addr) -> Self {
        Self { secret: CookieSecret(rand::random()), address, last_given: None }
    }

    /// Who bakes the ISS for the answer to a SYN.
    pub(super) fn give(&mut self, now: Instant) -> Baker {
        self.last_given = Some(now);
        self.secret.baker(now)
    }

    /// What the segment says if it acknowledges a cookie.
    pub(super) fn take(&self, remote: SocketAddrV4, segment: &Segment, now: Instant) -> Option<Cookie> {
        let given = self.last_given?;
        let is_over = now > given + smoltcp::time::Duration::from_secs(LIFE_SECS);
        if is_over { None } else { self.secret.read(self.local(segment), remote, segment, now) }
    }

    fn local(&self, segment: &Segment) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, segment.dst_port)
    }
}
