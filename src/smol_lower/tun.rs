//! The TUN device: IP packets to and from the kernel through a file.
//!
//! smoltcp's own device panics when the device fails and cannot be shared between threads. It is used only to attach; afterwards a
//! duplicate of its descriptor is an ordinary [`File`], whose reads and writes are safe and report their errors.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use log::debug;
use smoltcp::phy::{Medium, TunTapInterface};
use smoltcp::time::Duration;

use super::error::DeviceError;
use super::kernel::{self, Link};

/// Where TUN devices are attached from.
const DRIVER: &str = "/dev/net/tun";

/// The devices of this thread's own network namespace, one a line. (`/sys/class/net` shows those of the namespace it was mounted in.)
const DEVICES: &str = "/proc/thread-self/net/dev";

/// Longest device name: the kernel's `IFNAMSIZ` less the closing zero byte.
const NAME_BYTES: usize = 15;

/// First descriptor number that `select` cannot watch: the C library's `FD_SETSIZE`.
const FIRST_UNWATCHABLE_FD: i32 = 1024;

// Linux error numbers without a stable `io::ErrorKind` of their own (asm-generic/errno.h).
const EPERM: i32 = 1;
const EIO: i32 = 5;
const ENOMEM: i32 = 12;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const EBADFD: i32 = 77;
const ENOBUFS: i32 = 105;

/// An attached TUN device; any number of threads may send through it.
#[derive(Debug)]
pub(super) struct Tun {
    file: File,
    device: String,
    mtu_bytes: usize,
    /// The link when we attached; one that seemed down then tells nothing later.
    link: Option<Link>,
}

impl Tun {
    /// Attaches to an existing TUN device; never makes one, although root could.
    ///
    /// # Errors
    /// Names what is in the way and what to do about it.
    pub(super) fn open(device: &str) -> Result<Self, DeviceError> {
        check_device_name(device)?;
        check_driver(device)?;
        check_exists(device)?;
        let attached = TunTapInterface::new(device, Medium::Ip).map_err(|error| attach_error(device, error))?;
        let file = duplicate(&attached).map_err(|error| io_error(device, "duplicate", error))?;
        if file.as_raw_fd() >= FIRST_UNWATCHABLE_FD {
            let error = io::Error::other("too many files are open to wait for packets");
            return Err(io_error(device, "open", error));
        }
        Ok(Self {
            file,
            device: device.to_owned(),
            mtu_bytes: smoltcp::phy::Device::capabilities(&attached).max_transmission_unit,
            link: kernel::link(device),
        })
    }

    /// The device's name.
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    /// The longest packet, IP header included, when we attached.
    pub(super) fn mtu_bytes(&self) -> usize {
        self.mtu_bytes
    }

    /// Sends one packet given in two pieces, without copying it together.
    ///
    /// # Errors
    /// The device is down or deleted. A packet for which the kernel has no room is lost, as on any network.
    pub(super) fn transmit(&self, header: &[u8], payload: &[u8]) -> Result<(), DeviceError> {
        loop {
            let pieces = [IoSlice::new(header), IoSlice::new(payload)];
            let Err(error) = (&self.file).write_vectored(&pieces) else {
                return Ok(());
            };
            match (error.kind(), error.raw_os_error()) {
                (io::ErrorKind::Interrupted, _) => {}
                (io::ErrorKind::WouldBlock, _) | (_, Some(ENOBUFS | ENOMEM)) => {
                    debug!("{}: packet lost on sending: {error}", self.device);
                    return Ok(());
                }
                _ => return Err(self.failed("write to", error)),
            }
        }
    }

    /// Reads the next packet into `buffer` and returns its length, `None` if none waits.
    ///
    /// # Errors
    /// The device is deleted.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Result<Option<usize>, DeviceError> {
        loop {
            match (&self.file).read(buffer) {
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("read from", error)),
            }
        }
    }

    /// Waits until a packet can be read, at most for `patience` (in whole milliseconds, at least one).
    ///
    /// # Errors
    /// Whatever the system reports, interruptions apart: those end the wait.
    pub(super) fn wait(&self, patience: Duration) -> Result<(), DeviceError> {
        let patience = patience.max(Duration::from_millis(1));
        match smoltcp::phy::wait(self.file.as_raw_fd(), Some(patience)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(self.failed("wait for", error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Looks whether the link was up when we attached, as far as the kernel told.
    ///
    /// # Errors
    /// It was down.
    pub(super) fn check_up(&self) -> Result<(), DeviceError> {
        match self.link {
            Some(Link::Down) => Err(DeviceError::LinkDown { device: self.device.clone() }),
            Some(Link::Up) | None => Ok(()),
        }
    }

    /// Looks whether the link is still up. Reading would never tell, and writing only when there is something to send.
    ///
    /// # Errors
    /// It was up when we attached and is not now.
    pub(super) fn check_link(&self) -> Result<(), DeviceError> {
        if self.link == Some(Link::Up) && kernel::link(&self.device) == Some(Link::Down) {
            return Err(DeviceError::LinkDown { device: self.device.clone() });
        }
        Ok(())
    }

    /// Names the error of a device that was attached.
    fn failed(&self, action: &'static str, error: io::Error) -> DeviceError {
        let device = self.device.clone();
        match error.raw_os_error() {
            Some(EIO) => DeviceError::LinkDown { device },
            Some(EBADFD) => DeviceError::Deleted { device },
            _ => io_error(&device, action, error),
        }
    }
}

/// Tells whether `device` can be the name of a network device.
///
/// # Errors
/// [`DeviceError::Name`]. The kernel would take more, but `%` numbers a new device and smoltcp panics on long names.
pub(super) fn check_device_name(device: &str) -> Result<(), DeviceError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name =
        (1..=NAME_BYTES).contains(&device.len()) && device.bytes().all(plain) && !matches!(device, "." | "..");
    if is_name {
        return Ok(());
    }
    Err(DeviceError::Name { device: device.to_owned() })
}

/// Opens the driver once without attaching, so that its errors are not taken for the device's.
fn check_driver(device: &str) -> Result<(), DeviceError> {
    match OpenOptions::new().read(true).write(true).open(DRIVER) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DeviceError::NoDriver { source: Arc::new(error) }),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(DeviceError::NoPermission { source: Arc::new(error) })
        }
        // ENODEV, ENXIO: the node is there, the driver behind it is not.
        Err(error) if matches!(error.raw_os_error(), Some(6 | 19)) => {
            Err(DeviceError::NoDriver { source: Arc::new(error) })
        }
        Err(error) => Err(io_error(device, "open /dev/net/tun for", error)),
    }
}

/// Attaching to a name that does not exist would make a device, if we are root.
fn check_exists(device: &str) -> Result<(), DeviceError> {
    let devices = fs::read_to_string(DEVICES)
        .map_err(|error| io_error(device, "look in /proc/thread-self/net/dev for", error))?;
    if lists(&devices, device) {
        return Ok(());
    }
    Err(DeviceError::Missing { device: device.to_owned() })
}

/// Whether the kernel's table of devices has a line for this one.
fn lists(devices: &str, device: &str) -> bool {
    devices.lines().filter_map(|line| line.split_once(':')).any(|(name, _counters)| name.trim() == device)
}

/// Names the error of attaching.
fn attach_error(device: &str, error: io::Error) -> DeviceError {
    let name = device.to_owned();
    match error.raw_os_error() {
        Some(EBUSY) => DeviceError::Busy { device: name },
        Some(EPERM) => DeviceError::NotOurs { device: name },
        Some(EINVAL) => DeviceError::NotTun { device: name },
        _ => io_error(device, "attach to", error),
    }
}

/// Any other error.
fn io_error(device: &str, action: &'static str, error: io::Error) -> DeviceError {
    DeviceError::Io { device: device.to_owned(), action, source: Arc::new(error) }
}

/// A second descriptor of the same attachment, which outlives smoltcp's.
#[expect(unsafe_code, reason = "std has no safe way from a bare descriptor number to a file")]
fn duplicate(attached: &TunTapInterface) -> io::Result<File> {
    // SAFETY: the number comes from `attached`, which opened it, owns it and closes it only when dropped. It is borrowed here for
    // the length of this call, all of which is within the life of `attached`, so the descriptor stays open and is no other's.
    let borrowed = unsafe { BorrowedFd::borrow_raw(attached.as_raw_fd()) };
    Ok(File::from(borrowed.try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_and_overlong_device_names_are_refused() {
        for name in ["tun-st", "a", "tun_7.1", "123456789012345"] {
            assert!(check_device_name(name).is_ok(), "{name}");
        }
        for name in ["", "1234567890123456", "tun%d", "a b", "a/b", ".", "..", "a:b", "tün", "a\0"] {
            let error = check_device_name(name).unwrap_err();
            assert!(error.to_string().contains("not a device name"), "{error}");
        }
    }

    #[test]
    fn the_kernels_table_is_searched_for_the_whole_name() {
        let devices = "Inter-|  Receive\n face |bytes\n    lo: 1 2\ntun-st: 0 0\nlong-name-12345:7 7\n";
        assert!(lists(devices, "lo"));
        assert!(lists(devices, "tun-st"));
        assert!(lists(devices, "long-name-12345"));
        assert!(!lists(devices, "tun"));
        assert!(!lists(devices, "face |bytes"));
    }

    #[test]
    fn a_missing_device_is_not_made() {
        // Whether or not this user may open the driver, the answer is one clear line, and no device appears.
        let error = Tun::open("st-not-there").unwrap_err();
        assert!(
            matches!(
                error,
                DeviceError::Missing { .. } | DeviceError::NoPermission { .. } | DeviceError::NoDriver { .. }
            ),
            "{error}"
        );
        assert!(!lists(&fs::read_to_string(DEVICES).unwrap(), "st-not-there"));
    }
}
