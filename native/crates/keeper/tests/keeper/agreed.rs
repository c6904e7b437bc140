//! State and Connect: answered from the record exactly where the daemon would say the same.

use prost::Message;
use wire::keeper::step::Action;
use wire::keeper::{ContainerPatch, ProcessInfo, ProcessPatch, Release, Reply};

use crate::support::Pod;
use crate::support::client::Client;
use crate::support::daemon::{Daemon, execute, executed, failure};
use crate::support::frames::ids;

const CREATED: i32 = 1;
const RUNNING: i32 = 2;
const STOPPED: i32 = 3;
const PAUSED: i32 = 4;

#[derive(Clone, PartialEq, Message)]
struct State {
    #[prost(uint32, tag = "3")]
    pid: u32,
    #[prost(int32, tag = "4")]
    status: i32,
    #[prost(uint32, tag = "9")]
    exit_status: u32,
    #[prost(string, tag = "11")]
    exec_id: String,
}

/// A pod with one client whose State is answered or not.
struct Scene {
    pod: Pod,
    daemon: Daemon,
    client: Client,
}

impl Scene {
    fn new() -> Scene {
        let pod = Pod::new();
        let (daemon, client) = (pod.daemon(), pod.client());
        Scene {
            pod,
            daemon,
            client,
        }
    }

    /// Asks for the state; the keeper must not have to ask.
    fn own_answer(&mut self, exec: &str) -> State {
        let stream = self.client.ask("State", ids("c", exec));
        let answer = self.client.answer(stream);
        assert_eq!(answer.code(), 0);
        let state = State::decode(answer.payload.as_slice()).unwrap();
        assert_eq!(state.exec_id, exec);
        state
    }

    /// Asks for the state; the daemon must be asked.
    fn daemons_answer(&mut self, exec: &str) {
        let stream = self.client.ask("State", ids("c", exec));
        let seq = self.daemon.request_of("State").seq;
        self.daemon.reply(Reply {
            seq,
            code: 5,
            message: "daemon".into(),
            ..Reply::default()
        });
        assert_eq!(self.client.answer(stream).code(), 5);
    }

    /// Has a request answered with a new status of a process; `code` as of the reply.
    fn reply(&mut self, seq: u64, exec: &str, status: i32, code: i32) {
        let info = ProcessInfo {
            status,
            ..ProcessInfo::default()
        };
        let patch = ContainerPatch {
            container_id: "c".into(),
            state: Some(b"state".to_vec()),
            processes: vec![ProcessPatch {
                exec_id: exec.into(),
                info: Some(info),
                ..ProcessPatch::default()
            }],
            ..ContainerPatch::default()
        };
        self.daemon.reply(Reply {
            seq,
            code,
            patches: vec![patch],
            ..Reply::default()
        });
    }

    fn changes(&mut self, method: &str, exec: &str, status: i32) {
        let stream = self.client.ask(method, ids("c", exec));
        let seq = self.daemon.request_of(method).seq;
        self.reply(seq, exec, status, 0);
        assert_eq!(self.client.answer(stream).code(), 0);
    }
}

#[test]
fn every_state_that_the_daemon_has_replied_is_answered_without_it_and_none_that_is_under_way() {
    let mut scene = Scene::new();
    let gate = scene.pod.fifo("gate");
    scene.daemons_answer("");
    let create = scene.client.ask("Create", ids("c", ""));
    let seq = scene.daemon.request_of("Create").seq;
    let script = format!("read x < {gate}; exit 7");
    let pid = executed(scene.daemon.launch(seq, execute("c", "", &script))).pid as u32;
    scene.daemons_answer("");
    scene.reply(seq, "", CREATED, 0);
    assert_eq!(scene.client.answer(create).code(), 0);
    let state = scene.own_answer("");
    assert_eq!((state.pid, state.status), (pid, CREATED));

    let start = scene.client.ask("Start", ids("c", ""));
    let seq = scene.daemon.request_of("Start").seq;
    scene.daemon.step(
        seq,
        1,
        Action::Release(Release {
            container_id: "c".into(),
            ..Release::default()
        }),
    );
    assert_eq!(scene.own_answer("").status, CREATED, "not replied to yet");
    scene.reply(seq, "", RUNNING, 0);
    assert_eq!(scene.client.answer(start).code(), 0);
    assert_eq!(scene.own_answer("").status, RUNNING);
    scene.changes("Pause", "", PAUSED);
    assert_eq!(scene.own_answer("").status, PAUSED);
    scene.changes("Resume", "", RUNNING);
    assert_eq!(scene.own_answer("").status, RUNNING);

    std::fs::write(&gate, "\n").unwrap();
    let exited = scene.daemon.request_of("Exited").seq;
    scene.daemons_answer("");
    scene.reply(exited, "", STOPPED, 0);
    // Its reply has no client to wait for; the answer to a later request comes after it.
    let kill = scene.client.ask("Kill", ids("c", ""));
    let seq = scene.daemon.request_of("Kill").seq;
    scene.daemon.done(seq);
    scene.client.answer(kill);
    let state = scene.own_answer("");
    assert_eq!(
        (state.pid, state.status, state.exit_status),
        (pid, STOPPED, 7)
    );

    let delete = scene.client.ask("Delete", ids("c", ""));
    let seq = scene.daemon.request_of("Delete").seq;
    scene.daemon.reply(Reply {
        seq,
        patches: vec![ContainerPatch {
            container_id: "c".into(),
            remove: true,
            ..ContainerPatch::default()
        }],
        ..Reply::default()
    });
    scene.client.answer(delete);
    scene.daemons_answer("");
}

#[test]
fn what_was_told_to_have_ended_does_not_run_again_while_a_fresh_daemon_learns_of_it() {
    let mut scene = Scene::new();
    let create = scene.client.ask("Create", ids("c", ""));
    let seq = scene.daemon.request_of("Create").seq;
    scene.daemon.start(seq, execute("c", "", "read x; exit 7"));
    scene.reply(seq, "", RUNNING, 0);
    scene.client.answer(create);
    // The daemon hangs: it takes the notice, and says nothing to anybody.
    let exited = scene.daemon.request_of("Exited").seq;
    let wait = scene.client.ask("Wait", ids("c", ""));
    assert_eq!(scene.client.answer(wait).code(), 0);
    let state = scene.own_answer("");
    assert_eq!((state.status, state.exit_status), (STOPPED, 7));
    scene.reply(exited, "", STOPPED, 0);
    let kill = scene.client.ask("Kill", ids("c", ""));
    let seq = scene.daemon.request_of("Kill").seq;
    scene.daemon.done(seq);
    scene.client.answer(kill);
    assert_eq!(scene.own_answer("").exit_status, 7);
}

#[test]
fn an_exec_is_answered_for_like_init_and_one_that_could_not_be_started_by_the_daemon_alone() {
    let mut scene = Scene::new();
    let create = scene.client.ask("Create", ids("c", ""));
    let seq = scene.daemon.request_of("Create").seq;
    scene.daemon.start(seq, execute("c", "", "exec sleep 100"));
    scene.reply(seq, "", RUNNING, 0);
    scene.client.answer(create);

    scene.daemons_answer("e");
    scene.changes("Exec", "e", CREATED);
    let state = scene.own_answer("e");
    assert_eq!((state.pid, state.status), (0, CREATED));

    let start = scene.client.ask("Start", ids("c", "e"));
    let seq = scene.daemon.request_of("Start").seq;
    let mut plan = execute("c", "e", "!noexec");
    plan.release = true;
    failure(scene.daemon.launch(seq, plan));
    scene.reply(seq, "e", STOPPED, 2);
    assert_eq!(scene.client.answer(start).code(), 2);
    scene.daemons_answer("e");
    assert_eq!(scene.own_answer("").status, RUNNING, "init is as it was");
}

#[test]
fn connect_says_the_daemons_version_and_names_init_as_soon_as_create_is_replied_to() {
    #[derive(Clone, PartialEq, Message)]
    struct Connect {
        #[prost(uint32, tag = "1")]
        shim: u32,
        #[prost(uint32, tag = "2")]
        task: u32,
        #[prost(string, tag = "3")]
        version: String,
    }
    let mut scene = Scene::new();
    let early = scene.client.ask("Connect", ids("c", ""));
    let seq = scene.daemon.request_of("Connect").seq;
    scene.daemon.done(seq);
    scene.client.answer(early);
    let create = scene.client.ask("Create", ids("c", ""));
    let seq = scene.daemon.request_of("Create").seq;
    let pid = scene.daemon.start(seq, execute("c", "", "exec sleep 100"));
    scene.reply(seq, "", RUNNING, 0);
    scene.client.answer(create);
    let stream = scene.client.ask("Connect", ids("c", ""));
    let answer = scene.client.answer(stream);
    assert_eq!(
        Connect::decode(answer.payload.as_slice()).unwrap(),
        Connect {
            shim: scene.pod.pid() as u32,
            task: pid as u32,
            version: crate::support::daemon::VERSION.into(),
        }
    );
}
