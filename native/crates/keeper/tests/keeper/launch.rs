//! From Execute to a running process, and every way in which that fails.

use wire::keeper::step::Action;
use wire::keeper::{
    Abort, Execute, OpenStage, ProcessInfo, Release, RunHooks, Signal, Source, step_result,
};

use crate::support::daemon::{Daemon, execute, executed, failure, is_done};
use crate::support::frames::ids;
use crate::support::{Pod, until};

/// A pod, its daemon, and the number of a Create that is under way.
fn pod() -> (Pod, Daemon, crate::support::client::Client, u64) {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    (pod, daemon, client, seq)
}

fn release(container: &str) -> Action {
    Action::Release(Release {
        container_id: container.into(),
        ..Release::default()
    })
}

fn abort(container: &str) -> Action {
    Action::Abort(Abort {
        container_id: container.into(),
        ..Abort::default()
    })
}

fn is_alive(pid: i32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_process_stands_at_its_barrier_until_it_is_released_and_is_the_keeper_s_child() {
    let (pod, mut daemon, _client, seq) = pod();
    let mark = pod.path("mark");
    let pid = executed(daemon.launch(
        seq,
        execute("c", "", &format!("echo x > {mark}; exec sleep 100")),
    ))
    .pid;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert_eq!(stat.split(' ').nth(3).unwrap(), pod.pid().to_string());
    assert!(!std::path::Path::new(&mark).exists());
    assert!(is_done(daemon.step(seq, 3, release("c"))));
    until("it runs", || std::path::Path::new(&mark).exists());
    assert_eq!(failure(daemon.step(seq, 4, release("c"))).step, "release");
}

#[test]
fn an_execve_that_fails_fails_the_release_after_the_process_is_gone_and_is_no_exit() {
    let (pod, mut daemon, _client, seq) = pod();
    let pid = executed(daemon.launch(seq, execute("c", "", "!noexec"))).pid;
    let failure = failure(daemon.step(seq, 3, release("c")));
    assert_eq!((failure.step.as_str(), failure.errno), ("exec", 2));
    assert!(!is_alive(pid));
    assert!(daemon.is_silent_for(std::time::Duration::from_millis(100)));
    drop(daemon);
    let process = &pod.daemon().hello.containers[0].processes[0];
    assert!(process.exited && process.exit_told);
}

#[test]
fn an_execute_with_release_ends_after_execve_either_way() {
    let (_pod, mut daemon, _client, seq) = pod();
    let execute = |exec, script| Execute {
        release: true,
        ..execute("c", exec, script)
    };
    daemon.start(
        seq,
        crate::support::daemon::execute("c", "", "exec sleep 100"),
    );
    let open = |exec: &str| {
        Action::OpenStage(OpenStage {
            container_id: "c".into(),
            exec_id: exec.into(),
            ..OpenStage::default()
        })
    };
    daemon.step(seq, 10, open("good"));
    let pid =
        executed(daemon.step(seq, 11, Action::Execute(execute("good", "exec sleep 100")))).pid;
    assert!(is_alive(pid));
    daemon.step(seq, 20, open("bad"));
    assert_eq!(
        failure(daemon.step(seq, 21, Action::Execute(execute("bad", "!noexec")))).step,
        "exec"
    );
}

/// The line of that name in a process's status.
fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default()
        .trim_start_matches(':')
        .trim()
        .to_owned()
}

#[test]
fn a_release_tells_what_the_kernel_says_after_execve_however_short_the_program() {
    for script in ["exec sleep 100", "exit 0"] {
        let (_pod, mut daemon, _client, seq) = pod();
        let pid = executed(daemon.launch(seq, execute("c", "", script))).pid;
        let told = match daemon.step(seq, 3, release("c")) {
            step_result::Result::Done(done) => done.after_exec.expect("it was read"),
            other => panic!("release: {other:?}"),
        };
        assert_eq!(field(&told.status, "Pid"), pid.to_string());
        let name = field(&told.status, "Name");
        // BusyBox runs its own sleep as /proc/self/exe.
        assert!(
            ["sh", "dash", "busybox", "sleep", "exe"].contains(&name.as_str()),
            "{script}: {name} is not the program after execve"
        );
        assert_eq!(field(&told.status, "CapBnd").len(), 16);
        let own = std::fs::read_link("/proc/self/ns/user").unwrap();
        assert_eq!(told.user_namespace, own.to_str().unwrap());
    }
}

#[test]
fn an_exec_tells_what_the_kernel_says_after_execve_and_what_its_domain_refuses() {
    let (_pod, mut daemon, _client, seq) = pod();
    let first = executed(daemon.launch(seq, execute("c", "", "exec sleep 100")));
    assert_eq!(first.after_exec, None, "it stands at its barrier");
    daemon.step(seq, 3, release("c"));
    let open = OpenStage {
        container_id: "c".into(),
        exec_id: "e".into(),
        ..OpenStage::default()
    };
    daemon.step(seq, 4, Action::OpenStage(open));
    let execute = Execute {
        release: true,
        ..execute("c", "e", "exit 3")
    };
    let second = executed(daemon.step(seq, 5, Action::Execute(execute)));
    let told = second.after_exec.expect("it was read");
    assert_eq!(field(&told.status, "Pid"), second.pid.to_string());
    assert_eq!(second.landlock, first.landlock, "one domain for all");
}

#[test]
fn the_domain_is_probed_before_and_within() {
    let (_pod, mut daemon, _client, seq) = pod();
    let probe = executed(daemon.launch(seq, execute("c", "", "exec sleep 100")))
        .landlock
        .expect("probed");
    assert_eq!(
        (probe.abi, probe.failed.as_str()),
        (sys::landlock::abi(), "")
    );
    let tried: Vec<_> = probe
        .trials
        .iter()
        .map(|trial| (trial.access.as_str(), trial.before, trial.within))
        .collect();
    // Scopes came with ABI 6, Linux 6.12.
    if probe.abi < 6 {
        assert!(tried.is_empty(), "{tried:?}");
    } else {
        assert_eq!(
            tried,
            [
                ("signal", 0, libc::EPERM),
                ("abstract socket", 0, libc::EPERM)
            ]
        );
    }
}

#[test]
fn what_a_stage_says_is_the_step_s_failure_and_a_stage_that_dies_is_named() {
    let (_pod, mut daemon, _client, seq) = pod();
    assert_eq!(
        failure(daemon.launch(seq, execute("c", "", "!fail"))).object,
        "/x"
    );
    let open = Action::OpenStage(OpenStage {
        container_id: "c".into(),
        ..OpenStage::default()
    });
    daemon.step(seq, 3, open);
    let failure = failure(daemon.step(seq, 4, Action::Execute(execute("c", "", "!die"))));
    assert_eq!(failure.step, "stage");
    assert!(failure.cause.contains("status 3"), "{}", failure.cause);
}

#[test]
fn a_stage_that_hangs_hangs_its_own_container_alone_and_is_gone_after_abort() {
    let (pod, mut daemon, mut client, seq) = pod();
    let open = |id: &str| {
        Action::OpenStage(OpenStage {
            container_id: id.into(),
            ..OpenStage::default()
        })
    };
    daemon.ask(seq, 1, open("hang-open"));
    client.ask("Create", ids("d", ""));
    let other = daemon.request().seq;
    daemon.step(other, 1, open("d"));
    daemon.ask(other, 2, Action::Execute(execute("d", "", "!hang")));
    client.ask("Create", ids("e", ""));
    let third = daemon.request().seq;
    daemon.start(third, execute("e", "", "exec sleep 100"));
    let children =
        || std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", pod.pid())).unwrap();
    assert_eq!(children().split_whitespace().count(), 3);
    assert!(is_done(daemon.step(seq, 2, abort("hang-open"))));
    assert_eq!(failure(daemon.result(seq, 1)).errno, libc::ECANCELED);
    assert!(is_done(daemon.step(other, 3, abort("d"))));
    assert_eq!(failure(daemon.result(other, 2)).errno, libc::ECANCELED);
    assert_eq!(children().split_whitespace().count(), 1);
}

#[test]
fn a_stage_left_open_ends_with_its_request() {
    let (pod, mut daemon, _client, seq) = pod();
    let open = Action::OpenStage(OpenStage {
        container_id: "c".into(),
        ..OpenStage::default()
    });
    daemon.step(seq, 1, open);
    daemon.done(seq);
    let children =
        || std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", pod.pid())).unwrap();
    until("the stage is gone", || children().is_empty());
}

#[test]
fn an_abort_kills_a_process_at_its_barrier_and_it_is_no_exit() {
    let (pod, mut daemon, _client, seq) = pod();
    let pid = executed(daemon.launch(seq, execute("c", "", "exec sleep 100"))).pid;
    assert!(is_done(daemon.step(seq, 3, abort("c"))));
    assert!(!is_alive(pid));
    assert!(is_done(daemon.step(seq, 4, abort("c"))), "again is fine");
    daemon.done(seq);
    until("it is forgotten", || {
        pod.record().unwrap().hello.unwrap().containers.is_empty()
    });
    assert!(daemon.is_silent_for(std::time::Duration::from_millis(50)));
}

#[test]
fn a_process_that_runs_is_killed_not_aborted() {
    let (_pod, mut daemon, _client, seq) = pod();
    daemon.start(seq, execute("c", "", "exec sleep 100"));
    assert_eq!(failure(daemon.step(seq, 4, abort("c"))).errno, libc::EBUSY);
    let kill = Signal {
        container_id: "c".into(),
        signal: 9,
        ..Signal::default()
    };
    assert!(is_done(daemon.step(seq, 5, Action::Signal(kill))));
    assert_eq!(daemon.exited().exit_status, 137);
}

#[test]
fn an_exec_needs_a_container_whose_init_lives() {
    let (_pod, mut daemon, _client, seq) = pod();
    assert_eq!(
        failure(daemon.launch(seq, execute("c", "exec", "true"))).errno,
        libc::ESRCH
    );
}

#[test]
fn a_record_that_can_not_be_written_fails_the_launch_before_anything_is_made() {
    let (pod, mut daemon, _client, seq) = pod();
    std::fs::write(pod.dir.join("run/pods"), "in the way").unwrap();
    let failure = failure(daemon.launch(seq, execute("c", "", "true")));
    assert_eq!(failure.step, "write the record");
}

#[test]
fn hooks_run_in_order_and_the_step_waits_for_them() {
    let (pod, mut daemon, _client, seq) = pod();
    let file = pod.path("hooks");
    let hooks = ["one", "two"]
        .map(|word| format!("echo {word} >> {file}").into_bytes())
        .to_vec();
    let run = RunHooks {
        container_id: "c".into(),
        hooks,
        ..RunHooks::default()
    };
    assert!(is_done(daemon.step(seq, 1, Action::RunHooks(run))));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "one\ntwo\n");
}

#[test]
fn poststop_hooks_that_have_run_are_not_in_the_record_any_more() {
    let (pod, mut daemon, _client, seq) = pod();
    let file = pod.path("hooks");
    let hook = |word| vec![format!("echo {word} >> {file}").into_bytes()];
    let care = wire::keeper::ContainerCare {
        poststop_hooks: hook("poststop"),
        poststop_state: b"{}".to_vec(),
        ..Default::default()
    };
    let launch = Execute {
        care: Some(care),
        ..execute("c", "", "exec sleep 100")
    };
    executed(daemon.launch(seq, launch));
    let mut run = |step, word| {
        let run = RunHooks {
            container_id: "c".into(),
            hooks: hook(word),
            ..RunHooks::default()
        };
        assert!(is_done(daemon.step(seq, step, Action::RunHooks(run))));
        let care = pod.record().unwrap().cares[0].care.clone().unwrap();
        (care.poststop_hooks.len(), care.poststop_state.len())
    };
    assert_eq!(run(10, "poststart"), (1, 2));
    assert_eq!(run(11, "poststop"), (0, 0));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "poststart\npoststop\n"
    );
}

#[test]
fn the_record_names_the_process_and_its_cgroups_as_soon_as_it_stands() {
    let (pod, mut daemon, _client, seq) = pod();
    let info = ProcessInfo {
        bundle: "/b".into(),
        ..ProcessInfo::default()
    };
    let care = wire::keeper::ContainerCare {
        cgroup_dirs: vec!["/none".into()],
        ..Default::default()
    };
    let launch = Execute {
        info: Some(info),
        care: Some(care),
        ..execute("c", "", "exec sleep 100")
    };
    let executed = executed(daemon.launch(seq, launch));
    let record = pod.record().unwrap();
    assert_eq!(
        record.keeper_start_time,
        brig_keeper::record::start_time(pod.pid()).unwrap()
    );
    assert_eq!(
        record.cares[0].care.as_ref().unwrap().cgroup_dirs,
        ["/none"]
    );
    let process = &record.hello.unwrap().containers[0].processes[0];
    assert_eq!(
        (process.pid, process.start_time),
        (executed.pid, executed.start_time)
    );
    assert_eq!(process.info.as_ref().unwrap().bundle, "/b");
}

#[test]
fn a_pod_s_processes_signal_each_other_and_nobody_outside() {
    if sys::landlock::abi() < 6 {
        // What an older kernel lacks is said in HostFacts.
        let (_pod, daemon, _client, _seq) = pod();
        assert_eq!(
            daemon.hello.host.unwrap().landlock_abi,
            sys::landlock::abi()
        );
        return;
    }
    let (pod, mut daemon, _client, seq) = pod();
    let (inside, outside) = (pod.path("inside"), pod.path("outside"));
    let init = daemon.start(seq, execute("c", "", "exec sleep 100"));
    let test = std::process::id();
    let script = format!("kill -0 {init}; echo $? > {inside}; kill -0 {test}; echo $? > {outside}");
    let open = OpenStage {
        container_id: "c".into(),
        exec_id: "e".into(),
        ..OpenStage::default()
    };
    daemon.step(seq, 10, Action::OpenStage(open));
    daemon.step(
        seq,
        11,
        Action::Execute(Execute {
            release: true,
            ..execute("c", "e", &script)
        }),
    );
    assert_eq!(daemon.exited().exec_id, "e");
    assert_eq!(std::fs::read_to_string(inside).unwrap(), "0\n");
    assert_eq!(std::fs::read_to_string(outside).unwrap(), "1\n");
}

#[test]
fn the_first_container_may_name_namespaces_and_the_program_of_a_process_outside_the_pod() {
    use std::os::unix::fs::MetadataExt;
    use wire::keeper::{Source, source, step_result};
    let (_pod, mut daemon, _client, seq) = pod();
    let named = [
        (source::Kind::Namespace, "ns/net"),
        (source::Kind::Executable, "exe"),
    ]
    .map(|(kind, name)| (kind, format!("/proc/{}/{name}", std::process::id())));
    let inodes = named
        .each_ref()
        .map(|(_, path)| std::fs::metadata(path).unwrap().ino());
    let sources = (1..).zip(named).map(|(handle, (kind, path))| Source {
        handle,
        path,
        kind: kind.into(),
        want_mount: false,
    });
    let open = OpenStage {
        container_id: "c".into(),
        sources: sources.collect(),
        ..OpenStage::default()
    };
    // The second time the pod's domain stands already.
    for step in [1, 3] {
        match daemon.step(seq, step, Action::OpenStage(open.clone())) {
            step_result::Result::StageOpened(opened) => {
                let seen: Vec<(i32, u64)> = opened
                    .sources
                    .iter()
                    .map(|report| (report.errno, report.inode))
                    .collect();
                assert_eq!(seen, inodes.map(|inode| (0, inode)));
                daemon.step(seq, step + 1, abort("c"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_execute_opens_the_stage_itself_where_none_is_open() {
    let (_pod, mut daemon, _client, seq) = pod();
    daemon.start(seq, execute("c", "", "exec sleep 100"));
    let whole = |exec, script| {
        Action::Execute(Execute {
            release: true,
            open: Some(OpenStage::default()),
            ..execute("c", exec, script)
        })
    };
    let first = executed(daemon.step(seq, 4, whole("e", "exit 3")));
    assert!(first.after_exec.is_some(), "it went on to execve");
    let failed = failure(daemon.step(seq, 5, whole("f", "!fail")));
    assert_eq!(failed.step, "mount", "{failed:?}");
    let died = failure(daemon.step(seq, 6, whole("g", "!die")));
    assert_eq!(died.step, "stage", "{died:?}");
    // The step is kept as any other.
    let again = executed(daemon.step(seq, 4, whole("e", "exit 3")));
    assert_eq!(again, first);
}

#[test]
fn an_execute_takes_the_stage_that_another_daemon_has_opened() {
    let (_pod, mut daemon, _client, seq) = pod();
    daemon.start(seq, execute("c", "", "exec sleep 100"));
    let opened = OpenStage {
        container_id: "c".into(),
        exec_id: "e".into(),
        ..OpenStage::default()
    };
    daemon.step(seq, 4, Action::OpenStage(opened));
    let hanging = Source {
        path: "hang".into(),
        ..Source::default()
    };
    let whole = Execute {
        release: true,
        // Were it opened once more, it would hang.
        open: Some(OpenStage {
            sources: vec![hanging],
            ..OpenStage::default()
        }),
        ..execute("c", "e", "exit 3")
    };
    let executed = executed(daemon.step(seq, 5, Action::Execute(whole)));
    assert!(executed.after_exec.is_some());
}

#[test]
fn what_is_to_be_remembered_comes_back_with_the_stage_and_is_the_first_daemon_s() {
    let (pod, mut daemon, _client, seq) = pod();
    let open = |value: &[u8]| {
        Action::OpenStage(OpenStage {
            container_id: "c".into(),
            remember: value.to_vec(),
            ..OpenStage::default()
        })
    };
    let remembered = |result| match result {
        step_result::Result::StageOpened(opened) => opened.remembered,
        other => panic!("OpenStage: {other:?}"),
    };
    assert_eq!(remembered(daemon.step(seq, 1, open(b"first"))), b"first");
    drop(daemon);
    let mut next = pod.daemon();
    assert_eq!(next.request().seq, seq);
    assert_eq!(remembered(next.step(seq, 1, open(b"second"))), b"first");
}
