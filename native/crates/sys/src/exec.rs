//! execve(2) with arguments made beforehand.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Arguments of an execve in the form the kernel takes, so that nothing is allocated at the last moment.
pub struct Image {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Image {
    pub fn new(path: CString, args: Vec<CString>, env: Vec<CString>) -> Image {
        Image { path, args, env }
    }

    /// Replaces the program by the file at the path; returns only on failure.
    pub fn execute(&self) -> io::Error {
        let (args, env) = (pointers(&self.args), pointers(&self.env));
        // SAFETY: path and every element are NUL-terminated strings that live beyond the call; both arrays end in null.
        unsafe { libc::execve(self.path.as_ptr(), args.as_ptr(), env.as_ptr()) };
        io::Error::last_os_error()
    }

    /// Replaces the program by the file behind a descriptor, which may be O_PATH; returns only on failure. A script's
    /// interpreter finds the script through the descriptor, which must then not be close-on-exec.
    pub fn execute_descriptor(&self, program: BorrowedFd<'_>) -> io::Error {
        let (args, env) = (pointers(&self.args), pointers(&self.env));
        // SAFETY: every element is a NUL-terminated string that lives beyond the call; both arrays end in null, the path is a
        // constant.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                program.as_raw_fd(),
                c"".as_ptr(),
                args.as_ptr(),
                env.as_ptr(),
                libc::AT_EMPTY_PATH,
            )
        };
        io::Error::last_os_error()
    }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|text| text.as_ptr())
        .chain([ptr::null()])
        .collect()
}
