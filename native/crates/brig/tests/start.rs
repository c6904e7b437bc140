//! `start` of the real program, as containerd calls it, with a daemon that never answers: the address, the pod's one keeper and
//! what it keeps of its caller.

#![allow(
    clippy::expect_used,
    reason = "in a test program a failed expectation is the result"
)]

mod host;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal};

use host::{Host, end};

fn socket_of(address: &str) -> &Path {
    Path::new(address.strip_prefix("unix://").expect("a plain address"))
}

fn proc(pid: Pid, file: &str) -> String {
    fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_nonzero())).expect(file)
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
