//! Cgroups: read, written, killed, removed; and OOM kills in them.

use wire::keeper::cgroup_op::Write;
use wire::keeper::step::Action;
use wire::keeper::{CgroupOp, ContainerCare, Execute, RemoveContainer, Signal, step_result};

use crate::exits::exec;
use crate::support::daemon::{Daemon, execute, failure, is_done};
use crate::support::frames::ids;
use crate::support::{Cgroup, Pod, until};

/// A pod whose container c runs this script in a cgroup of this controller.
fn running(
    controller: &str,
    change: impl Fn(&mut ContainerCare),
    script: &str,
) -> (Pod, Cgroup, Daemon, u64) {
    let mut pod = Pod::new();
    let cgroup = pod.cgroup(controller);
    let mut daemon = pod.daemon();
    pod.client().ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    let mut care = cgroup.care();
    change(&mut care);
    let script = format!("{} {script}", cgroup.enter());
    daemon.start(
        seq,
        Execute {
            care: Some(care),
            ..execute("c", "", &script)
        },
    );
    (pod, cgroup, daemon, seq)
}

fn signal_all(signal: u32) -> Action {
    Action::Signal(Signal {
        container_id: "c".into(),
        signal,
        all: true,
        ..Signal::default()
    })
}

#[test]
fn a_signal_to_all_reaches_every_process_of_the_cgroup_and_says_when_none_is_left() {
    let script = "sleep 100 & sleep 100 & setsid sleep 100 & wait";
    let (_pod, cgroup, mut daemon, seq) = running("pids", |_| (), script);
    until("all are there", || cgroup.pids().len() == 4);
    assert!(is_done(daemon.step(seq, 10, signal_all(9))));
    until("all are gone", || cgroup.pids().is_empty());
    daemon.exited();
    assert_eq!(
        failure(daemon.step(seq, 11, signal_all(9))).errno,
        libc::ESRCH
    );
}

#[test]
fn what_outlives_an_init_without_a_pid_namespace_is_killed_before_the_exit_is_told() {
    let kills = |care: &mut ContainerCare| care.kill_all_on_exit = true;
    let (_pod, cgroup, mut daemon, _seq) = running("pids", kills, "setsid sleep 100 & exit 3");
    assert_eq!(daemon.exited().exit_status, 3);
    assert_eq!(cgroup.pids(), []);
}

#[test]
fn a_container_is_removed_with_its_processes_and_nested_cgroups_and_forgotten_with_the_reply() {
    let (pod, cgroup, mut daemon, seq) =
        running("pids", |_| (), "setsid sleep 100 & exec sleep 100");
    std::fs::create_dir_all(format!("{}/a/b", cgroup.dir)).unwrap();
    until("both are there", || cgroup.pids().len() == 2);
    let remove = Action::RemoveContainer(RemoveContainer {
        container_id: "c".into(),
    });
    assert!(is_done(daemon.step(seq, 10, remove)));
    assert!(!std::path::Path::new(&cgroup.dir).exists());
    assert_eq!(pod.record().unwrap().hello.unwrap().containers.len(), 1);
    daemon.done(seq);
    until("it is forgotten", || {
        pod.record().unwrap().hello.unwrap().containers.is_empty()
    });
}

#[test]
fn a_process_that_can_not_be_taken_over_leaves_no_cgroup() {
    let mut pod = Pod::new();
    let cgroup = pod.cgroup("pids");
    let made = format!("{}/made", cgroup.dir);
    let mut daemon = pod.daemon();
    pod.client().ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    let care = ContainerCare {
        cgroup_dirs: vec![made.clone()],
        ..cgroup.care()
    };
    let launch = Execute {
        care: Some(care),
        ..execute("c", "", &format!("!stranger {made}"))
    };
    let failure = failure(daemon.launch(seq, launch));
    assert_eq!(failure.cause, "it is not a child of the keeper");
    until("its cgroup is gone", || {
        !std::path::Path::new(&made).exists()
    });
}

#[test]
fn a_cgroup_that_went_and_came_again_is_another_containers() {
    let (_pod, cgroup, mut daemon, seq) = running("pids", |_| (), "true");
    daemon.exited();
    until("it is empty", || cgroup.pids().is_empty());
    // As systemd takes a scope away, and makes one of the same name for somebody else.
    std::fs::remove_dir(&cgroup.dir).unwrap();
    std::fs::create_dir(&cgroup.dir).unwrap();
    let mut other = std::process::Command::new("sleep")
        .arg("100")
        .spawn()
        .unwrap();
    let procs = format!("{}/cgroup.procs", cgroup.dir);
    std::fs::write(procs, other.id().to_string()).unwrap();
    let remove = Action::RemoveContainer(RemoveContainer {
        container_id: "c".into(),
    });
    assert!(is_done(daemon.step(seq, 11, remove)));
    assert_eq!(cgroup.pids().len(), 1, "the other's process is left alone");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn cgroup_files_are_written_in_order_awaited_and_read_and_nothing_outside_is_touched() {
    let (_pod, cgroup, mut daemon, seq) = running("pids", |_| (), "exec sleep 100");
    let path = |name: &str| format!("{}/{name}", cgroup.dir);
    let write = |name: &str, value: &str| Write {
        path: path(name),
        value: value.into(),
        ..Write::default()
    };
    let operation = CgroupOp {
        container_id: "c".into(),
        writes: vec![
            write("pids.max", "10"),
            Write {
                ignore_missing: true,
                ..write("no.such.file", "1")
            },
            write("pids.max", "20"),
        ],
        reads: vec![path("pids.max"), path("no.such.file")],
        await_file: path("pids.max"),
        await_content: "20".into(),
        await_millis: 1000,
    };
    match daemon.step(seq, 10, Action::Cgroup(operation.clone())) {
        step_result::Result::Cgroup(content) => {
            assert_eq!(content.files[0].content, b"20\n");
            assert!(!content.files[1].exists && content.files[1].errno == 0);
        }
        other => panic!("{other:?}"),
    }
    let never = CgroupOp {
        await_content: "30".into(),
        await_millis: 20,
        ..operation.clone()
    };
    assert_eq!(
        failure(daemon.step(seq, 11, Action::Cgroup(never))).errno,
        libc::ETIMEDOUT
    );
    let outside = CgroupOp {
        reads: vec![path("../pids.max")],
        ..CgroupOp {
            container_id: "c".into(),
            ..Default::default()
        }
    };
    assert_eq!(
        failure(daemon.step(seq, 12, Action::Cgroup(outside))).errno,
        libc::EPERM
    );
    let wrong = CgroupOp {
        writes: vec![write("pids.max", "x"), write("pids.max", "5")],
        reads: Vec::new(),
        ..operation
    };
    assert_eq!(
        failure(daemon.step(seq, 13, Action::Cgroup(wrong))).errno,
        libc::EINVAL
    );
    assert_eq!(std::fs::read_to_string(path("pids.max")).unwrap(), "20\n");
}

#[test]
fn an_oom_kill_is_told_before_the_exit_that_it_caused() {
    let mut pod = Pod::new();
    let cgroup = pod.cgroup("memory");
    let limit = if cgroup.v2 {
        "memory.max"
    } else {
        "memory.limit_in_bytes"
    };
    std::fs::write(format!("{}/{limit}", cgroup.dir), "16M").unwrap();
    let mut daemon = pod.daemon();
    pod.client().ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    let care = ContainerCare {
        oom_dir: cgroup.dir.clone(),
        ..cgroup.care()
    };
    // The shell's own memory grows until it is killed.
    let script = format!(
        "{} x=0123456789abcdef; while :; do x=$x$x; done",
        cgroup.enter()
    );
    daemon.start(
        seq,
        Execute {
            care: Some(care),
            ..execute("c", "", &script)
        },
    );
    let notice = daemon.request();
    assert_eq!(notice.method, "OomKilled");
    daemon.done(notice.seq);
    assert_eq!(daemon.exited().exit_status, 137);
}

#[test]
fn an_exec_killed_for_memory_is_told_as_such_while_the_container_lives_on() {
    let mut pod = Pod::new();
    let cgroup = pod.cgroup("memory");
    let limit = if cgroup.v2 {
        "memory.max"
    } else {
        "memory.limit_in_bytes"
    };
    std::fs::write(format!("{}/{limit}", cgroup.dir), "16M").unwrap();
    let mut daemon = pod.daemon();
    pod.client().ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    let care = ContainerCare {
        oom_dir: cgroup.dir.clone(),
        ..cgroup.care()
    };
    let init = format!("{} exec sleep 100", cgroup.enter());
    let pid = daemon.start(
        seq,
        Execute {
            care: Some(care),
            ..execute("c", "", &init)
        },
    );
    until("init is there", || cgroup.pids() == [pid]);
    for round in 0..2 {
        let hog = format!(
            "{} x=0123456789abcdef; while :; do x=$x$x; done",
            cgroup.enter()
        );
        exec(&mut daemon, seq, 10 + 2 * round, &round.to_string(), &hog);
        let notice = daemon.request();
        assert_eq!(notice.method, "OomKilled");
        daemon.done(notice.seq);
        assert_eq!(daemon.exited().exec_id, round.to_string());
    }
}

#[test]
fn a_file_that_can_not_be_read_is_no_reason_to_be_without_the_others() {
    let (_pod, cgroup, mut daemon, seq) = running("memory", |_| (), "exec sleep 100");
    until("it has entered", || !cgroup.pids().is_empty());
    // Made for writing only; reading it fails as reading pressure does where the kernel does not measure it.
    let unreadable = match cgroup.v2 {
        true => "memory.reclaim",
        false => "memory.force_empty",
    };
    let path = |name: &str| format!("{}/{name}", cgroup.dir);
    assert!(std::fs::read(path(unreadable)).is_err());
    let operation = CgroupOp {
        container_id: "c".into(),
        reads: vec![path(unreadable), path("cgroup.procs")],
        ..CgroupOp::default()
    };
    match daemon.step(seq, 10, Action::Cgroup(operation)) {
        step_result::Result::Cgroup(content) => {
            assert!(!content.files[0].exists && content.files[0].errno != 0);
            assert!(content.files[1].exists && !content.files[1].content.is_empty());
        }
        other => panic!("{other:?}"),
    }
}
