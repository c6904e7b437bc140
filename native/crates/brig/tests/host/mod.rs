//! An installation of the real program with a daemon that never answers, and containerd's calls of its shim.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal};

pub const NAMESPACE: &str = "test";

pub const ADDRESS: &str = "/run/nobody/containerd.sock";

/// An installation and a directory of bundles. Keepers and the daemon end with it.
pub struct Host {
    pub dir: PathBuf,
}

impl Host {
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("brig-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        // Written by another process, since a file held open for writing can't be executed.
        let made = Command::new("/bin/sh")
            .arg("-ec")
            .arg(
                r#"
                mkdir -p "$0/bin" "$0/etc/brig" "$0/lib/brig/runtime/bin"
                cp "$1" "$0/bin/brig"
                ln -s brig "$0/bin/containerd-shim-brig-v2"
                printf '[paths]\nrun = "%s/run"\nsockets = "%s/s"\n' "$0" "$0" > "$0/etc/brig/brig.toml"
                mkfifo "$0/end"
                printf '#!/bin/sh\nread line < %s/end\n' "$0" > "$0/lib/brig/runtime/bin/java"
                chmod 755 "$0/lib/brig/runtime/bin/java"
                "#,
            )
            .arg(&dir)
            .arg(env!("CARGO_BIN_EXE_brig"))
            .status();
        assert!(made.expect("shell").success());
        Self { dir }
    }

    /// A bundle, with this `config.json`.
    pub fn bundle(&self, id: &str, config: &str) -> PathBuf {
        let bundle = self.dir.join("bundles").join(id);
        fs::create_dir_all(&bundle).expect("bundle");
        fs::write(bundle.join("config.json"), config).expect("config.json");
        bundle
    }

    pub fn shim(&self, id: &str, bundle: &Path, action: &str) -> Command {
        let mut command = Command::new(self.dir.join("bin/containerd-shim-brig-v2"));
        command
            .args([
                "-namespace",
                NAMESPACE,
                "-address",
                ADDRESS,
                "-publish-binary",
                "/usr/bin/containerd",
                "-id",
                id,
            ])
            .args(["-bundle".as_ref(), bundle.as_os_str(), action.as_ref()])
            .current_dir(bundle)
            .env_remove("BRIG_CONFIG")
            .env("TTRPC_ADDRESS", self.dir.join("nobody.ttrpc"))
            .stdin(Stdio::null());
        command
    }

    pub fn start(&self, id: &str, config: &str) -> (Output, PathBuf) {
        let bundle = self.bundle(id, config);
        let output = self
            .shim(id, &bundle, "start")
            .output()
            .expect("start runs");
        (output, bundle)
    }

    /// The address that a `start` which must succeed has printed.
    pub fn address(&self, id: &str, config: &str) -> String {
        let (output, bundle) = self.start(id, config);
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success(), "{said}");
        assert_eq!(said, "", "standard error goes into the address");
        let address = String::from_utf8(output.stdout).expect("text");
        assert_eq!(
            fs::read_to_string(bundle.join("address")).expect("address"),
            address
        );
        address
    }
}

impl Host {
    /// The keepers: not their children, which work for them.
    pub fn keepers(&self) -> Vec<Pid> {
        self.processes(false)
    }

    /// The processes that run this installation's program and weren't forked by one that does: the daemon's supervisor, which
    /// is named like it, or the others.
    fn processes(&self, supervisors: bool) -> Vec<Pid> {
        let program = self.dir.join("bin/brig");
        let runs_it = |pid: &str| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|running| running == program)
        };
        let parent = |pid: &str| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
            Some(line.trim().to_owned())
        };
        let supervises = |pid: &str| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "brigd\n")
        };
        fs::read_dir("/proc")
            .expect("proc")
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|pid| supervises(pid) == supervisors)
            .filter(|pid| runs_it(pid) && parent(pid).is_some_and(|parent| !runs_it(&parent)))
            .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
            .collect()
    }

    /// The only one there is.
    pub fn keeper(&self) -> Pid {
        let keepers = self.keepers();
        assert_eq!(keepers.len(), 1, "{keepers:?}");
        keepers[0]
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let kill = |pid| end(pid, Signal::KILL);
        self.keepers().into_iter().for_each(kill);
        // It takes its daemon along.
        let ask = |pid| end(pid, Signal::TERM);
        self.processes(true).into_iter().for_each(ask);
        let removed = fs::remove_dir_all(&self.dir);
        if !std::thread::panicking() {
            removed.expect("the test's directory is removed");
        }
    }
}

/// Sends a signal that ends a process, and waits for its end.
pub fn end(pid: Pid, signal: Signal) {
    let Ok(held) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    let _ = rustix::process::pidfd_send_signal(&held, signal);
    let mut poll = [rustix::event::PollFd::new(
        &held,
        rustix::event::PollFlags::IN,
    )];
    rustix::event::poll(&mut poll, None).expect("end");
}
