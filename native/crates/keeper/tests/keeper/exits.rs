//! Ends of processes: the status, the order, and what is held back.

use std::time::Duration;

use wire::keeper::step::Action;
use wire::keeper::{Execute, OpenStage, RemoveProcess, Signal};

use crate::support::daemon::{Daemon, execute, executed, failure, is_done};
use crate::support::frames::ids;
use crate::support::{Pod, until};

fn pod() -> (Pod, Daemon, crate::support::client::Client, u64) {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    (pod, daemon, client, seq)
}

/// An exec in container c by steps from `step` on; its pid.
pub fn exec(daemon: &mut Daemon, seq: u64, step: u32, exec: &str, script: &str) -> i32 {
    let open = OpenStage {
        container_id: "c".into(),
        exec_id: exec.into(),
        ..OpenStage::default()
    };
    daemon.step(seq, step, Action::OpenStage(open));
    let launch = Execute {
        release: true,
        ..execute("c", exec, script)
    };
    executed(daemon.step(seq, step + 1, Action::Execute(launch))).pid
}

fn kill(exec: &str, signal: u32) -> Action {
    Action::Signal(Signal {
        container_id: "c".into(),
        exec_id: exec.into(),
        signal,
        ..Signal::default()
    })
}

#[test]
fn the_status_is_the_exit_code_or_128_and_the_signal() {
    let (_pod, mut daemon, _client, seq) = pod();
    daemon.start(seq, execute("c", "", "exec sleep 100"));
    for (number, (script, status)) in [
        ("exit 0", 0),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ]
    .into_iter()
    .enumerate()
    {
        let name = number.to_string();
        let pid = exec(&mut daemon, seq, 10 + 2 * number as u32, &name, script);
        let notice = daemon.exited();
        assert_eq!((notice.container_id.as_str(), notice.exec_id), ("c", name));
        assert_eq!((notice.pid, notice.exit_status), (pid, status), "{script}");
        assert!(notice.exited_at_seconds > 1_600_000_000);
    }
}

#[test]
fn an_init_s_exit_is_told_after_the_exits_of_all_its_execs() {
    let (_pod, mut daemon, _client, seq) = pod();
    daemon.start(seq, execute("c", "", "exec sleep 100"));
    exec(&mut daemon, seq, 10, "one", "exec sleep 100");
    exec(&mut daemon, seq, 12, "two", "exec sleep 100");
    daemon.step(seq, 20, kill("", 9));
    assert!(daemon.is_silent_for(Duration::from_millis(100)));
    daemon.step(seq, 21, kill("two", 9));
    assert_eq!(daemon.exited().exec_id, "two");
    assert!(daemon.is_silent_for(Duration::from_millis(100)));
    daemon.step(seq, 22, kill("one", 15));
    assert_eq!(daemon.exited().exec_id, "one");
    assert_eq!(daemon.exited().exec_id, "");
}

#[test]
fn an_exit_is_told_once_however_often_the_daemon_dies_and_kept_until_it_was_answered() {
    let (pod, mut daemon, _client, seq) = pod();
    daemon.start(seq, execute("c", "", "exit 5"));
    let first = daemon.request_of("Exited");
    drop(daemon);
    let mut daemon = pod.daemon();
    assert!(!daemon.hello.containers[0].processes[0].exit_told);
    let again = daemon.request_of("Exited");
    assert_eq!(
        (again.seq, again.replayed, &again.payload),
        (first.seq, true, &first.payload)
    );
    daemon.done(again.seq);
    until("the answer is noted", || {
        pod.record().unwrap().hello.unwrap().containers[0].processes[0].exit_told
    });
    drop(daemon);
    let mut daemon = pod.daemon();
    assert_eq!(daemon.request().method, "Create");
    assert!(daemon.is_silent_for(Duration::from_millis(50)));
}

#[test]
fn a_process_killed_at_its_barrier_has_an_exit_like_any_other() {
    let (_pod, mut daemon, _client, seq) = pod();
    executed(daemon.launch(seq, execute("c", "", "exec sleep 100")));
    assert!(is_done(daemon.step(seq, 3, kill("", 9))));
    assert_eq!(daemon.exited().exit_status, 137);
    assert_eq!(failure(daemon.step(seq, 4, kill("", 9))).errno, libc::ESRCH);
}

#[test]
fn orphans_of_the_pod_are_collected() {
    let (pod, mut daemon, _client, seq) = pod();
    let file = pod.path("orphans");
    let script = format!("for i in 1 2 3; do (sh -c 'echo $$ >> {file}' &) ; done; exec sleep 100");
    daemon.start(seq, execute("c", "", &script));
    until("the orphans were there", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.lines().count() == 3)
    });
    let children =
        || std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", pod.pid())).unwrap();
    until("only init is left", || {
        children().split_whitespace().count() == 1
    });
}

#[test]
fn a_hundred_processes_that_end_at_once_are_each_told_once() {
    let (_pod, mut daemon, _client, seq) = pod();
    daemon.start(seq, execute("c", "", "exec sleep 100"));
    for number in 0..100u32 {
        exec(
            &mut daemon,
            seq,
            10 + 2 * number,
            &number.to_string(),
            &format!("exit {number}"),
        );
    }
    let mut seen: Vec<_> = (0..100).map(|_| daemon.exited()).collect();
    seen.sort_by_key(|notice| notice.exit_status);
    for (number, notice) in seen.iter().enumerate() {
        assert_eq!(
            (notice.exec_id.clone(), notice.exit_status),
            (number.to_string(), number as u32)
        );
    }
    assert!(daemon.is_silent_for(Duration::from_millis(50)));
}

#[test]
fn an_exited_process_is_forgotten_with_the_reply_that_removed_it_and_not_before() {
    let (pod, mut daemon, mut client, seq) = pod();
    daemon.start(seq, execute("c", "", "exec sleep 100"));
    exec(&mut daemon, seq, 10, "e", "true");
    daemon.exited();
    let remove = |exec: &str| {
        Action::RemoveProcess(RemoveProcess {
            container_id: "c".into(),
            exec_id: exec.into(),
        })
    };
    assert_eq!(failure(daemon.step(seq, 20, remove(""))).errno, libc::EBUSY);
    client.ask("Delete", ids("c", "e"));
    let delete = daemon.request_of("Delete").seq;
    assert!(is_done(daemon.step(delete, 1, remove("e"))));
    drop(daemon);
    let mut daemon = pod.daemon();
    assert_eq!(daemon.hello.containers[0].processes.len(), 2);
    assert!(is_done(daemon.step(delete, 1, remove("e"))));
    daemon.done(delete);
    until("it is forgotten", || {
        pod.record().unwrap().hello.unwrap().containers[0]
            .processes
            .len()
            == 1
    });
}
