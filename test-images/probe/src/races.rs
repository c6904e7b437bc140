//! The other half of a race: keeps a path changing while somebody resolves it.

use std::ffi::CString;
use std::process::ExitCode;

/// Exchanges two paths for ever.
pub fn swap(arguments: &[String]) -> ExitCode {
    let (Some(one), Some(other)) = (arguments.first(), arguments.get(1)) else {
        return ExitCode::from(2);
    };
    let (Ok(one), Ok(other)) = (CString::new(one.as_str()), CString::new(other.as_str())) else {
        return ExitCode::from(2);
    };
    println!("swapping");
    loop {
        // SAFETY: C strings.
        let result = unsafe {
            libc::renameat2(
                libc::AT_FDCWD,
                one.as_ptr(),
                libc::AT_FDCWD,
                other.as_ptr(),
                libc::RENAME_EXCHANGE,
            )
        };
        if result < 0 {
            eprintln!("swap: {}", std::io::Error::last_os_error());
            return ExitCode::FAILURE;
        }
    }
}
