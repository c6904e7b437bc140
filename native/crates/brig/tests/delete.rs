//! `delete` of the real program, as containerd calls it: it answers whoever is alive, and clears what a dead keeper has left.

#![allow(
    clippy::expect_used,
    reason = "in a test program a failed expectation is the result"
)]

mod host;

use std::fs;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use wire::Message;
use wire::keeper::{CareRecord, ContainerCare, ContainerRecord, Hello, PodRecord, ProcessRecord};
use wire::plan::Hook;

use host::{ADDRESS, Host, NAMESPACE, end};

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
    keeper::record::store(&pod, &record).expect("record");

    let delete = || {
        let output = host
            .shim("c1", &bundle, "delete")
            .output()
            .expect("delete runs");
        assert!(output.status.success());
        let said = String::from_utf8(output.stderr).expect("text");
        (response(&output.stdout), said)
    };
    let (answer, said) = delete();
    assert_eq!(answer, (Some(workload.id().into()), Some(137)));
    assert!(said.contains("container c1: its keeper"), "{said}");
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
    assert_eq!(delete(), ((None, Some(137)), String::new()));
    assert_eq!(
        fs::read_to_string(&ran).expect("the hook's file"),
        state,
        "its hooks run once"
    );
}
