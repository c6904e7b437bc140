//! The pod's first process: sleeps, reaps whatever becomes its child, ends on TERM or INT.

use std::process::ExitCode;

pub fn run() -> ExitCode {
    // SAFETY: the set is initialised by sigemptyset before it is used, and every pointer lives on this stack.
    unsafe {
        let mut wanted: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut wanted);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGCHLD] {
            libc::sigaddset(&mut wanted, signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &wanted, std::ptr::null_mut());
        loop {
            let mut signal = 0;
            if libc::sigwait(&wanted, &mut signal) != 0 {
                continue;
            }
            if signal != libc::SIGCHLD {
                return ExitCode::SUCCESS;
            }
            while libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) > 0 {}
        }
    }
}
