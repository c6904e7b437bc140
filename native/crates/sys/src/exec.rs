//! execve(2) with arguments made beforehand.

use std::ffi::CString;
use std::io;
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

    /// Replaces the program; returns only on failure.
    pub fn execute(&self) -> io::Error {
        let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
            strings
                .iter()
                .map(|s| s.as_ptr())
                .chain([ptr::null()])
                .collect()
        };
        let args = pointers(&self.args);
        let env = pointers(&self.env);
        // SAFETY: path and every element are NUL-terminated strings that live beyond the call; both arrays end in null.
        unsafe { libc::execve(self.path.as_ptr(), args.as_ptr(), env.as_ptr()) };
        io::Error::last_os_error()
    }
}
