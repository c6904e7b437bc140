//! `start` and `delete` of the real program, as containerd calls them, with a daemon that never answers: the address, the pod's
//! one keeper and what it keeps of its caller, and answers whoever is alive.

#![allow(
    clippy::expect_used,
    reason = "in a test program a failed expectation is the result"
)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal};
use wire::Message;
use wire::keeper::{CareRecord, ContainerCare, ContainerRecord, Hello, PodRecord, ProcessRecord};
use wire::plan::Hook;

const NAMESPACE: &str = "test";
const ADDRESS: &str = "/run/nobody/containerd.sock";

/// An installation and a directory of bundles. Keepers and the daemon end with it.
struct Host {
    dir: PathBuf,
}

impl Host {
    fn new(name: &str) -> Self {
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
    fn bundle(&self, id: &str, config: &str) -> PathBuf {
        let bundle = self.dir.join("bundles").join(id);
        fs::create_dir_all(&bundle).expect("bundle");
        fs::write(bundle.join("config.json"), config).expect("config.json");
        bundle
    }

    fn shim(&self, id: &str, bundle: &Path, action: &str) -> Command {
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

    fn start(&self, id: &str, config: &str) -> (Output, PathBuf) {
        let bundle = self.bundle(id, config);
        let output = self
            .shim(id, &bundle, "start")
            .output()
            .expect("start runs");
        (output, bundle)
    }

    /// The address that a `start` which must succeed has printed.
    fn address(&self, id: &str, config: &str) -> String {
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
    fn keepers(&self) -> Vec<Pid> {
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
    fn keeper(&self) -> Pid {
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
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Sends a signal that ends a process, and waits for its end.
fn end(pid: Pid, signal: Signal) {
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

fn socket_of(address: &str) -> &Path {
    Path::new(address.strip_prefix("unix://").expect("a plain address"))
}

fn proc(pid: Pid, file: &str) -> String {
    fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_nonzero())).expect(file)
}

/// Fields 2 (exit status) and 1 (pid) of a DeleteResponse whose numbers are below 2^14.
fn response(bytes: &[u8]) -> (Option<u64>, Option<u64>) {
    let (mut pid, mut status, mut at) = (None, None, 0);
    while at < bytes.len() {
        let (tag, mut value, mut shift) = (bytes[at], 0u64, 0);
        at += 1;
        loop {
            value |= u64::from(bytes[at] & 0x7f) << shift;
            shift += 7;
            at += 1;
            if bytes[at - 1] & 0x80 == 0 {
                break;
            }
        }
        match tag {
            0x08 => pid = Some(value),
            0x10 => status = Some(value),
            0x1a => at += usize::try_from(value).expect("short"),
            other => panic!("field {other:#x}"),
        }
    }
    (pid, status)
}

#[test]
fn start_prints_the_plain_address_of_a_listening_socket() {
    let host = Host::new("address");
    let address = host.address("c1", "{}");
    let socket = socket_of(&address);
    assert_eq!(socket.parent(), Some(host.dir.join("s").as_path()));
    assert_eq!(socket.file_name().expect("name").len(), 64);
    assert_eq!(fs::metadata(socket).expect("socket").mode() & 0o7777, 0o600);
    assert_eq!(
        fs::metadata(host.dir.join("s")).expect("directory").mode() & 0o7777,
        0o700
    );
    assert!(UnixStream::connect(socket).is_ok());
}

#[test]
fn the_containers_of_a_pod_share_a_keeper() {
    let host = Host::new("pod");
    let sandbox = host.address(
        "pod1",
        r#"{"annotations":{"io.kubernetes.cri.sandbox-id":"pod1"}}"#,
    );
    let app = host.address(
        "app1",
        r#"{"annotations":{"io.kubernetes.cri.sandbox-id":"pod1"}}"#,
    );
    let other = host.address(
        "app2",
        r#"{"annotations":{"io.kubernetes.cri.sandbox-id":"pod2"}}"#,
    );
    assert_eq!(sandbox, app);
    assert_ne!(sandbox, other);
}

#[test]
fn twenty_starts_at_once_make_one_keeper() {
    let host = Host::new("twenty");
    let config = r#"{"annotations":{"io.containerd.runc.v2.group":"g"}}"#;
    let (gate, release) = std::io::pipe().expect("pipe");
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let id = format!("c{number}");
            let bundle = host.bundle(&id, config);
            let mut command = host.shim(&id, &bundle, "start");
            // They read their standard input to its end, which comes for all at once.
            command
                .stdin(gate.try_clone().expect("pipe"))
                .stdout(Stdio::piped());
            command.spawn().expect("start runs")
        })
        .collect();
    drop(release);
    let outputs: Vec<_> = calls
        .into_iter()
        .map(|call| call.wait_with_output().expect("start ends"))
        .collect();
    assert!(
        outputs
            .iter()
            .all(|output| output.status.success() && output.stdout == outputs[0].stdout)
    );
    host.keeper();
}

#[test]
fn the_keeper_keeps_nothing_of_its_caller() {
    let host = Host::new("keeper");
    host.address("c1", "{}");
    let keeper = host.keeper();
    let adjusted = |text: &str| text.trim().parse::<i32>().expect("a number");
    let own = adjusted(&fs::read_to_string("/proc/self/oom_score_adj").expect("own"));
    assert_eq!(
        adjusted(&proc(keeper, "oom_score_adj")),
        (own + 1).min(1000)
    );
    for fd in 0..3 {
        let link = fs::read_link(format!("/proc/{}/fd/{fd}", keeper.as_raw_nonzero()))
            .expect("descriptor");
        assert_eq!(link, Path::new("/dev/null"));
    }
    let session = rustix::process::getsid(Some(keeper)).expect("session");
    assert_eq!(session, keeper);
}

/// In v2 it must not move there, which takes the whole machine's time.
#[test]
fn the_keeper_is_born_outside_its_starters_cgroup() {
    let host = Host::new("birth");
    host.address("c1", "{}");
    let groups = proc(host.keeper(), "cgroup");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    if mounts.contains(" - cgroup2 ") {
        let v2 = groups.lines().find_map(|line| line.strip_prefix("0::"));
        let own = v2.expect("a line of v2").rsplit('/').next();
        assert!(matches!(own, Some("brig-keepers" | "keepers")), "{groups}");
    }
}

#[test]
fn a_dead_keepers_socket_is_taken_over() {
    let host = Host::new("dead");
    let first = host.address("c1", "{}");
    let keeper = host.keeper();
    end(keeper, Signal::KILL);
    let second = host.address("c1", "{}");
    assert_eq!(first, second);
    let successor = host.keeper();
    assert_ne!(successor, keeper);
}

#[test]
fn a_socket_directory_from_standard_input_is_used() {
    let host = Host::new("input");
    let bundle = host.bundle("c1", "{}");
    let dir = host.dir.join("elsewhere");
    // BootstrapParams: instance_id, namespace, socket_dir.
    let mut params = vec![0x0a, 2, b'c', b'1', 0x12, 4, b't', b'e', b's', b't', 0x4a];
    params.push(u8::try_from(dir.as_os_str().len()).expect("short"));
    params.extend_from_slice(dir.as_os_str().as_encoded_bytes());
    let mut call = host
        .shim("c1", &bundle, "start")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start runs");
    call.stdin
        .take()
        .expect("pipe")
        .write_all(&params)
        .expect("input");
    let mut address = String::new();
    call.stdout
        .take()
        .expect("pipe")
        .read_to_string(&mut address)
        .expect("output");
    assert!(call.wait().expect("start ends").success());
    let socket = socket_of(&address);
    assert_eq!(socket.parent(), Some(dir.as_path()));
    assert!(UnixStream::connect(socket).is_ok());
}

#[test]
fn what_start_cannot_do_is_told_with_a_remedy() {
    let host = Host::new("refusals");
    let (output, _) = host.start("c1", "{}");
    assert!(output.status.success());

    fs::write(host.dir.join("etc/brig/brig.toml"), "[paths]\nrum = 1\n").expect("configuration");
    let (output, _) = host.start("c2", "{}");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(!output.status.success());
    assert!(
        said.contains("brig.toml:2:1: unknown key \"rum\""),
        "{said}"
    );

    let long = host.dir.join("l".repeat(80));
    fs::write(
        host.dir.join("etc/brig/brig.toml"),
        format!(
            "[paths]\nrun = \"{0}/run\"\nsockets = \"{1}\"\n",
            host.dir.display(),
            long.display()
        ),
    )
    .expect("configuration");
    let (output, _) = host.start("c3", "{}");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(
        said.contains("106 are possible") && said.contains("[paths]"),
        "{said}"
    );
}

#[test]
fn a_class_is_a_link_and_answers_for_itself() {
    let host = Host::new("class");
    let link = host.dir.join("bin/containerd-shim-brig-other-v2");
    symlink("brig", &link).expect("link");
    let output = Command::new(&link).arg("-v").output().expect("-v runs");
    assert!(
        String::from_utf8(output.stdout)
            .expect("text")
            .starts_with("containerd-shim-brig-other-v2: version ")
    );
    let output = Command::new(&link)
        .arg("-info")
        .stdin(Stdio::null())
        .output()
        .expect("-info runs");
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(String::from_utf8_lossy(&output.stdout).contains("containerd-shim-brig-other-v2"));
}

#[test]
fn delete_answers_with_and_without_anything_alive() {
    let host = Host::new("delete");
    let bundle = host.bundle("c1", "{}");
    let delete = |bundle: &Path| {
        let output = host
            .shim("c1", bundle, "delete")
            .output()
            .expect("delete runs");
        assert!(output.status.success() && output.stderr.is_empty());
        response(&output.stdout)
    };
    // Nothing was ever started.
    assert_eq!(delete(&bundle), (None, Some(137)));
    // No config.json, no address, a socket nobody serves, a socket that never answers.
    fs::remove_file(bundle.join("config.json")).expect("config.json");
    assert_eq!(delete(&bundle), (None, Some(137)));
    let socket = host.dir.join("silent.sock");
    let silent = UnixListener::bind(&socket).expect("socket");
    fs::write(
        bundle.join("address"),
        format!("unix://{}", socket.display()),
    )
    .expect("address");
    assert_eq!(delete(&bundle), (None, Some(137)));
    drop(silent);
    assert_eq!(delete(&bundle), (None, Some(137)));
}

#[test]
fn delete_ends_what_a_dead_keeper_has_left() {
    let host = Host::new("leftovers");
    host.address("c1", "{}");
    let bundle = host.dir.join("bundles/c1");
    end(host.keeper(), Signal::KILL);

    let mut workload = Command::new("cat")
        .stdin(Stdio::piped())
        .spawn()
        .expect("workload");
    let stat = fs::read_to_string(format!("/proc/{}/stat", workload.id())).expect("stat");
    let start_time = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.split(' ').nth(19));
    let process = ProcessRecord {
        pid: workload.id().cast_signed(),
        start_time: start_time
            .and_then(|time| time.parse().ok())
            .expect("start time"),
        ..ProcessRecord::default()
    };
    let container = ContainerRecord {
        container_id: "c1".to_owned(),
        processes: vec![process],
        ..ContainerRecord::default()
    };
    let ran = host.dir.join("poststop");
    let hook = Hook {
        path: "/bin/sh".to_owned(),
        args: ["sh", "-c", &format!("cat >> {}", ran.display())]
            .map(str::to_owned)
            .to_vec(),
        ..Hook::default()
    };
    let care = ContainerCare {
        poststop_hooks: vec![hook.encode_to_vec()],
        poststop_state: b"{\"status\":\"stopped\"}".to_vec(),
        ..ContainerCare::default()
    };
    let record = PodRecord {
        hello: Some(Hello {
            containerd_address: ADDRESS.to_owned(),
            namespace: NAMESPACE.to_owned(),
            containers: vec![container],
            ..Hello::default()
        }),
        cares: vec![CareRecord {
            container_id: "c1".to_owned(),
            care: Some(care),
        }],
        ..PodRecord::default()
    };
    let pod = host.dir.join("run/pods/x");
    fs::create_dir_all(&pod).expect("pod's directory");
    fs::write(pod.join("record"), record.encode_to_vec()).expect("record");

    let delete = || {
        let output = host
            .shim("c1", &bundle, "delete")
            .output()
            .expect("delete runs");
        assert!(output.status.success() && output.stderr.is_empty());
        response(&output.stdout)
    };
    assert_eq!(delete(), (Some(workload.id().into()), Some(137)));
    assert_eq!(
        workload.wait().expect("its end").signal(),
        Some(libc::SIGKILL)
    );
    assert!(!pod.exists());
    let state = "{\"status\":\"stopped\"}";
    assert_eq!(fs::read_to_string(&ran).expect("the hook has run"), state);
    assert_eq!(
        fs::read_dir(host.dir.join("s")).expect("sockets").count(),
        0
    );
    assert_eq!(delete(), (None, Some(137)));
    assert_eq!(
        fs::read_to_string(&ran).expect("the hook's file"),
        state,
        "its hooks run once"
    );
}
