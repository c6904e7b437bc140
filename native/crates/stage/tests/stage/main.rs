//! Tests of the stage against the running kernel, as root: a small keeper forks stages, hands them plans made by hand, and
//! reads the effects back from /proc and from inside the containers.
//!
//! Stands alone: needs busybox (`BRIG_TEST_BUSYBOX`, else /bin/busybox), a writable `TMPDIR` on ext4 or tmpfs and mounted cgroups
//! (v1, v2 or both). Usage: `stage [--list] [FILTER...]`; every other option of libtest is accepted and ignored.
//! `BRIG_TEST_ORDER=attached|detached` forces one mount order where a test doesn't run both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::undocumented_unsafe_blocks
)]

/// A table of tests, each under its own name.
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        &[$((stringify!($test), $test as fn())),*]
    };
}

mod cgroups;
mod devices;
mod exec;
mod failures;
mod floors;
mod hook_mounts;
mod hooks;
mod keeper;
mod limits;
mod locking;
mod mounts;
mod namespaces;
mod own_cgroups;
mod plans;
mod probe;
mod process;
mod requests;
mod roots;
mod seccomp;
mod start;
mod targets;
mod world;

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

/// A promise and the code that checks it.
pub type Test = (&'static str, fn());

/// A test that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often a race is run: as often as the acceptance of it asks, and less where a machine is emulated.
pub fn rounds() -> usize {
    std::env::var("BRIG_TEST_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(1000)
}

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments[0] == brig_stage::PROGRAM_NAME {
        brig_stage::resume(&arguments[1]);
    }
    if arguments[0].ends_with("/exe") || arguments[0].ends_with("/probe") {
        return probe::main(&arguments[1..]);
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("these tests make containers and need root");
        return std::process::ExitCode::FAILURE;
    }
    let filters: Vec<&String> = arguments[1..]
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let tests: Vec<Test> = [
        start::TESTS,
        locking::TESTS,
        exec::TESTS,
        process::TESTS,
        seccomp::TESTS,
        roots::TESTS,
        mounts::TESTS,
        targets::TESTS,
        devices::TESTS,
        limits::TESTS,
        own_cgroups::TESTS,
        hooks::TESTS,
        hook_mounts::TESTS,
        namespaces::TESTS,
        requests::TESTS,
        floors::TESTS,
        failures::TESTS,
    ]
    .concat();
    let chosen: Vec<Test> = tests
        .into_iter()
        .filter(|(name, _)| {
            filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
        })
        .collect();
    if arguments.iter().any(|argument| argument == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return std::process::ExitCode::SUCCESS;
    }
    println!(
        "running {} tests on Linux {}",
        chosen.len(),
        rustix::system::uname().release().to_string_lossy()
    );
    let world = world::Base::make();
    let mut failed = Vec::new();
    for (name, test) in &chosen {
        let started = Instant::now();
        let outcome = run(test);
        println!(
            "test {name} ... {} ({} ms)",
            outcome.unwrap_or("ok"),
            started.elapsed().as_millis()
        );
        if outcome.is_some() {
            failed.push(*name);
        }
    }
    drop(world);
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored",
        if failed.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failed.len(),
        failed.len()
    );
    for name in &failed {
        println!("    {name}");
    }
    if failed.is_empty() {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}

/// One test in a process of its own; what it leaves behind ends with it. None: it passed.
fn run(test: &fn()) -> Option<&'static str> {
    match unsafe { sys::clone::fork(sys::clone::ForkFlags::empty(), None) }.unwrap() {
        sys::clone::Forked::Child => {
            std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
            let passed = std::panic::catch_unwind(test).is_ok();
            sys::process::exit_now(i32::from(!passed))
        }
        sys::clone::Forked::Parent { pid, pidfd } => {
            let outcome = match ended(&pidfd) {
                Some(0) => None,
                Some(_) => Some("FAILED"),
                None => {
                    let _ =
                        rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
                    ended(&pidfd);
                    Some("HUNG")
                }
            };
            cgroups::sweep(pid);
            outcome
        }
    }
}

/// Exit status (128 + signal) of a child, unless it takes too long.
pub fn ended(pidfd: &OwnedFd) -> Option<i32> {
    use rustix::process::{WaitId, WaitIdOptions};
    let timeout = Timespec {
        tv_sec: PATIENCE.as_secs() as i64,
        tv_nsec: 0,
    };
    if rustix::event::poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)).unwrap() == 0 {
        return None;
    }
    let status = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
        .unwrap()
        .unwrap();
    status
        .exit_status()
        .or(status.terminating_signal().map(|signal| 128 + signal))
}
