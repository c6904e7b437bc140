//! Loop devices (loop(4)): a block device on a file, gone again with its last user.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Of <linux/loop.h>.
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82 as libc::Ioctl;
const LOOP_CONFIGURE: libc::Ioctl = 0x4c0a as libc::Ioctl;
pub const READ_ONLY: u32 = 1;
pub const AUTOCLEAR: u32 = 4;
pub const DIRECT_IO: u32 = 16;

/// struct loop_info64
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// struct loop_config
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// The number of a device that nobody used a moment ago; made if all are in use.
pub fn free_number(control: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: the request takes no argument.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
    u32::try_from(number).map_err(|_| io::Error::last_os_error())
}

/// Puts the device on the file. EBUSY: somebody else has taken it.
pub fn configure(device: BorrowedFd<'_>, file: BorrowedFd<'_>, flags: u32) -> io::Result<()> {
    // SAFETY: plain data for which all zeroes is a value.
    let mut config: Config = unsafe { std::mem::zeroed() };
    config.fd = file.as_raw_fd() as u32;
    config.info.flags = flags;
    // SAFETY: the kernel only reads `config`, which has the layout of struct loop_config.
    match unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
