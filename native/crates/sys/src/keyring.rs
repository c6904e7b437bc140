//! Session keyrings (keyctl(2)).

use std::io;

/// `KEYCTL_JOIN_SESSION_KEYRING` of <linux/keyctl.h>.
const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;

/// Gives the calling thread a new anonymous session keyring.
pub fn new_session() -> io::Result<()> {
    // SAFETY: a null name asks for an anonymous keyring; no memory is touched.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<u8>(),
        )
    };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
