//! Control/Delete, the launcher's way to be rid of a container whatever it is at.

use prost::Message;
use wire::keeper::step::Action;
use wire::keeper::{ContainerPatch, Execute, OpenStage, RemovedNotice, Reply};

use crate::support::client::Client;
use crate::support::daemon::{execute, failure};
use crate::support::frames::ids;
use crate::support::{Pod, Setting, until};

const CONTROL: &str = "brig.keeper.v1.Control";

#[derive(Clone, PartialEq, Message)]
struct Deleted {
    #[prost(uint32, tag = "1")]
    pid: u32,
    #[prost(uint32, tag = "2")]
    exit_status: u32,
}

fn delete(client: &mut Client, id: &str) -> u32 {
    client.ask_as(CONTROL, "Delete", ids(id, ""), 3_000_000_000)
}

fn deleted(client: &mut Client, stream: u32) -> Deleted {
    let answer = client.answer(stream);
    assert_eq!(answer.code(), 0);
    Deleted::decode(answer.payload.as_slice()).unwrap()
}

#[test]
fn a_container_nobody_knows_is_not_found() {
    let pod = Pod::new();
    let mut client = pod.client();
    let stream = delete(&mut client, "c");
    assert_eq!(client.answer(stream).code(), 5);
}

#[test]
fn a_running_container_is_killed_with_its_cgroup_and_the_daemon_is_told() {
    let mut pod = Pod::new();
    let cgroup = pod.cgroup("pids");
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    let script = format!("{} setsid sleep 100 & exec sleep 100", cgroup.enter());
    let launch = Execute {
        care: Some(cgroup.care()),
        ..execute("c", "", &script)
    };
    let pid = daemon.start(seq, launch);
    let patch = ContainerPatch {
        container_id: "c".into(),
        state: Some(vec![1]),
        ..ContainerPatch::default()
    };
    daemon.reply(Reply {
        seq,
        patches: vec![patch],
        ..Reply::default()
    });
    let other = client.ask("Create", ids("other", ""));
    let seq = daemon.request().seq;
    let survivor = daemon.start(seq, execute("other", "", "exec sleep 100"));
    daemon.done(seq);
    client.answer(other);

    let stream = delete(&mut client, "c");
    assert_eq!(
        deleted(&mut client, stream),
        Deleted {
            pid: pid as u32,
            exit_status: 137
        }
    );
    assert!(!std::path::Path::new(&cgroup.dir).exists());
    assert_eq!(daemon.exited().exit_status, 137);
    let removed = daemon.request_of("Removed");
    assert_eq!(
        RemovedNotice::decode(removed.payload.as_slice())
            .unwrap()
            .container_id,
        "c"
    );
    let again = delete(&mut client, "c");
    assert_eq!(deleted(&mut client, again).pid, pid as u32);
    daemon.done(removed.seq);
    until("it is forgotten", || {
        let hello = pod.record().unwrap().hello.unwrap();
        hello
            .containers
            .iter()
            .all(|container| container.container_id != "c")
    });
    assert!(
        std::path::Path::new(&format!("/proc/{survivor}")).exists(),
        "the others live on"
    );
}

#[test]
fn a_container_that_is_still_being_made_is_given_up_and_its_further_steps_fail() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.ask("Create", ids("hang-open", ""));
    let seq = daemon.request().seq;
    let open = OpenStage {
        container_id: "hang-open".into(),
        ..OpenStage::default()
    };
    daemon.ask(seq, 1, Action::OpenStage(open.clone()));
    let stream = delete(&mut client, "hang-open");
    assert_eq!(
        deleted(&mut client, stream),
        Deleted {
            pid: 0,
            exit_status: 137
        }
    );
    assert_eq!(failure(daemon.result(seq, 1)).errno, libc::ECANCELED);
    assert_eq!(
        failure(daemon.step(seq, 2, Action::OpenStage(open))).errno,
        libc::ECANCELED
    );
    daemon.reply(Reply {
        seq,
        code: 2,
        ..Reply::default()
    });
    let removed = daemon.request_of("Removed").seq;
    daemon.done(removed);
    until("it is forgotten", || {
        let stream = delete(&mut client, "hang-open");
        client.answer(stream).code() == 5
    });
}

#[test]
fn a_container_is_deleted_without_a_daemon_as_well() {
    let pod = Pod::with(Setting(vec![("drain", 100)]));
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    daemon.start(seq, execute("c", "", "exec sleep 100"));
    drop(daemon);
    let stream = delete(&mut client, "c");
    assert_eq!(deleted(&mut client, stream).exit_status, 137);
    let mut daemon = pod.daemon();
    assert_eq!(
        daemon.request_of("Removed").service,
        "brig.keeper.v1.Notice"
    );
}
