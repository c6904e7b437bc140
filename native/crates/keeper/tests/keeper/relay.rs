//! Requests, steps and replies: relayed, kept, replayed, bounded, answered in the daemon's absence.

use std::io::Write;
use std::time::{Duration, Instant};

use prost::Message;
use wire::keeper::step::Action;
use wire::keeper::{
    ContainerPatch, ProcessInfo, ProcessPatch, ReadFile, Remember, Reply, step_result,
};

use crate::support::client::TASK;
use crate::support::daemon::execute;
use crate::support::frames::{Ids, ids, ttrpc_frame};
use crate::support::{Pod, Setting, until};

fn created(id: &str) -> ContainerPatch {
    with_status(id, 2)
}

fn with_status(id: &str, status: i32) -> ContainerPatch {
    let info = ProcessInfo {
        bundle: "/bundle".into(),
        stdout: "/fifo".into(),
        status,
        ..ProcessInfo::default()
    };
    ContainerPatch {
        container_id: id.into(),
        state: Some(b"state".to_vec()),
        processes: vec![ProcessPatch {
            info: Some(info),
            ..ProcessPatch::default()
        }],
        ..ContainerPatch::default()
    }
}

#[test]
fn a_request_goes_to_the_daemon_as_it_came_and_its_reply_back() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let stream = client.ask_as("any.Service", "Method", b"payload".to_vec(), 5_000_000_000);
    let request = daemon.request();
    assert_eq!(
        (request.service.as_str(), request.method.as_str()),
        ("any.Service", "Method")
    );
    assert_eq!(
        (request.payload.as_slice(), request.replayed),
        (&b"payload"[..], false)
    );
    assert!(request.timeout_nanos > 4_000_000_000 && request.timeout_nanos < 5_000_000_000);
    let (message, payload) = ("no such thing".to_owned(), Vec::new());
    daemon.reply(Reply {
        seq: request.seq,
        code: 5,
        message,
        payload,
        ..Reply::default()
    });
    let status = client.answer(stream).status.unwrap();
    assert_eq!((status.code, status.message.as_str()), (5, "no such thing"));
}

#[test]
fn answers_come_in_the_daemon_s_order_not_in_that_of_the_requests() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let streams: Vec<u32> = (0..100)
        .map(|number: u32| client.ask("Kill", number.to_string().into_bytes()))
        .collect();
    let requests: Vec<_> = (0..100).map(|_| daemon.request()).collect();
    for request in requests.iter().rev() {
        daemon.reply(Reply {
            seq: request.seq,
            payload: request.payload.clone(),
            ..Reply::default()
        });
    }
    for (number, stream) in streams.into_iter().enumerate() {
        assert_eq!(
            client.answer(stream).payload,
            number.to_string().into_bytes()
        );
    }
}

#[test]
fn a_lost_daemon_s_requests_are_replayed_to_the_next_with_the_results_of_the_steps_carried_out() {
    let pod = Pod::new();
    let mut first = pod.daemon();
    let mut client = pod.client();
    let stream = client.ask("Create", ids("c", ""));
    let seq = first.request().seq;
    let remember = |value: &str| {
        Action::Remember(Remember {
            value: value.into(),
        })
    };
    first.step(seq, 1, remember("first"));
    drop(first);

    let mut second = pod.daemon();
    let request = second.request();
    assert_eq!(
        (request.seq, request.replayed, request.method.as_str()),
        (seq, true, "Create")
    );
    match second.step(seq, 1, remember("second")) {
        step_result::Result::Remembered(remembered) => assert_eq!(remembered.value, b"first"),
        other => panic!("{other:?}"),
    }
    second.done(seq);
    assert_eq!(client.answer(stream).code(), 0);
}

#[test]
fn a_reply_that_had_come_before_the_daemon_died_is_not_lost_to_a_write_that_failed() {
    let pod = Pod::new();
    let mut first = pod.daemon();
    let (mut client, mut other) = (pod.client(), pod.client());
    let stream = client.ask("Create", ids("c", ""));
    let seq = first.request().seq;
    // Wakes the keeper by a request that it will try to send on, before it gets to read the reply.
    pod.stop();
    let kill = other.ask("Kill", Vec::new());
    first.reply(Reply {
        seq,
        payload: b"answered".to_vec(),
        patches: vec![created("c")],
        ..Reply::default()
    });
    drop(first);
    pod.go_on();
    assert_eq!(client.answer(stream).payload, b"answered");
    let mut second = pod.daemon();
    assert_eq!(second.hello.containers[0].state, b"state");
    let request = second.request();
    assert_eq!(request.method, "Kill");
    second.done(request.seq);
    assert_eq!(other.answer(kill).code(), 0);
}

#[test]
fn a_process_is_made_once_even_if_the_daemon_dies_while_it_is_made() {
    let pod = Pod::new();
    let mut first = pod.daemon();
    let mut client = pod.client();
    let stream = client.ask("Create", ids("c", ""));
    let seq = first.request().seq;
    let mark = pod.path("mark");
    let pid = match first.launch(
        seq,
        execute("c", "", &format!("echo once >> {mark}; exec sleep 100")),
    ) {
        step_result::Result::Executed(executed) => executed.pid,
        other => panic!("{other:?}"),
    };
    drop(first);

    let mut second = pod.daemon();
    assert!(second.request().replayed);
    assert_eq!(second.hello.containers[0].processes[0].pid, pid);
    assert_eq!(second.start(seq, execute("c", "", "never run")), pid);
    until("the command runs", || {
        std::fs::read_to_string(&mark).is_ok_and(|text| text == "once\n")
    });
    second.reply(Reply {
        seq,
        patches: vec![created("c")],
        ..Reply::default()
    });
    assert_eq!(client.answer(stream).code(), 0);
    let record = pod.record().unwrap();
    assert_eq!(record.hello.unwrap().containers[0].state, b"state");
}

#[test]
fn the_record_is_on_disk_before_the_answer_is_sent() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    for number in 0..50 {
        let stream = client.ask("Create", ids("c", ""));
        let seq = daemon.request().seq;
        let patch = ContainerPatch {
            state: Some(vec![number]),
            ..created("c")
        };
        daemon.reply(Reply {
            seq,
            patches: vec![patch],
            ..Reply::default()
        });
        client.answer(stream);
        assert_eq!(
            pod.record().unwrap().hello.unwrap().containers[0].state,
            [number]
        );
    }
}

#[test]
fn without_a_daemon_the_keeper_starts_one_and_answers_what_containerd_must_know() {
    let mut pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let stream = client.ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    let pid = daemon.start(seq, execute("c", "", "exec sleep 100"));
    daemon.reply(Reply {
        seq,
        patches: vec![created("c")],
        ..Reply::default()
    });
    client.answer(stream);
    pod.stop_listening_as_daemon();
    std::fs::remove_file(pod.dir.join("run/brigd.sock")).unwrap();
    drop(daemon);
    until("the keeper starts a daemon", || {
        pod.dir.join("run/started").exists()
    });

    #[derive(Clone, PartialEq, Message)]
    struct State {
        #[prost(string, tag = "1")]
        id: String,
        #[prost(string, tag = "2")]
        bundle: String,
        #[prost(uint32, tag = "3")]
        pid: u32,
        #[prost(int32, tag = "4")]
        status: i32,
        #[prost(string, tag = "6")]
        stdout: String,
    }
    let stream = client.ask("State", ids("c", ""));
    let state = State::decode(client.answer(stream).payload.as_slice()).unwrap();
    let expected = State {
        id: "c".into(),
        bundle: "/bundle".into(),
        pid: pid as u32,
        status: 2,
        stdout: "/fifo".into(),
    };
    assert_eq!(state, expected);

    #[derive(Clone, PartialEq, Message)]
    struct Connect {
        #[prost(uint32, tag = "1")]
        shim: u32,
        #[prost(uint32, tag = "2")]
        task: u32,
    }
    let connect = |client: &mut crate::support::client::Client, id: &str| {
        let stream = client.ask("Connect", ids(id, ""));
        Connect::decode(client.answer(stream).payload.as_slice()).unwrap()
    };
    let shim = pod.pid() as u32;
    assert_eq!(
        connect(&mut client, "c"),
        Connect {
            shim,
            task: pid as u32
        }
    );
    assert_eq!(connect(&mut client, "unknown"), Connect { shim, task: 0 });
    let begin = Instant::now();
    let (state, pids) = (
        client.ask("State", ids("unknown", "")),
        client.ask("Pids", ids("c", "")),
    );
    assert_eq!(client.answer(state).code(), 5);
    assert!(
        begin.elapsed() >= Duration::from_millis(500)
            && begin.elapsed() < Duration::from_millis(1500)
    );
    // PidsResponse{1: ProcessInfo{1: pid}}
    let listed = client.answer(pids).payload;
    assert_eq!(listed[..2], [0x0a, listed[1]]);
    assert_eq!(Ids::decode(&b""[..]).unwrap(), Ids::default());

    pod.listen_as_daemon();
    let mut daemon = pod.daemon();
    assert_eq!(daemon.hello.containers[0].processes[0].pid, pid);
    let stream = client.ask("State", ids("unknown", ""));
    let request = daemon.request();
    assert!(
        !request.replayed,
        "what was answered and never sent is forgotten"
    );
    daemon.reply(Reply {
        seq: request.seq,
        payload: b"daemon".to_vec(),
        ..Reply::default()
    });
    assert_eq!(client.answer(stream).payload, b"daemon");
}

#[test]
fn a_wait_is_answered_from_the_record_when_the_exit_comes_without_a_daemon() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let stream = client.ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    let gate = pod.fifo("gate");
    daemon.start(seq, execute("c", "", &format!("read x < {gate}; exit 7")));
    daemon.reply(Reply {
        seq,
        patches: vec![created("c")],
        ..Reply::default()
    });
    client.answer(stream);
    let wait = client.ask("Wait", ids("c", ""));
    daemon.request_of("Wait");
    drop(daemon);
    std::fs::write(&gate, "\n").unwrap();
    assert_eq!(client.answer(wait).payload[..2], [0x08, 7]);
    let mut daemon = pod.daemon();
    let notice = daemon.request_of("Exited");
    assert_eq!(notice.service, "brig.keeper.v1.Notice");
}

#[test]
fn a_reply_that_comes_after_the_keeper_s_own_answer_is_applied_and_not_sent() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let stream = client.ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    daemon.reply(Reply {
        seq,
        // Stopped, though the keeper has seen no end: no answer but an absent daemon's.
        patches: vec![with_status("c", 3)],
        ..Reply::default()
    });
    client.answer(stream);
    let state = client.ask("State", ids("c", ""));
    let late = daemon.request().seq;
    assert_eq!(client.answer(state).code(), 0);
    let patch = ContainerPatch {
        state: Some(b"late".to_vec()),
        ..created("c")
    };
    daemon.reply(Reply {
        seq: late,
        code: 5,
        patches: vec![patch],
        ..Reply::default()
    });
    until("the late reply is applied", || {
        pod.record().unwrap().hello.unwrap().containers[0].state == b"late"
    });
    let next = client.ask("Kill", Vec::new());
    let seq = daemon.request_of("Kill").seq;
    daemon.done(seq);
    assert_eq!(client.answer(next).code(), 0);
}

#[test]
fn a_request_whose_time_is_over_is_answered_and_never_sent_to_a_daemon_that_comes_later() {
    let mut pod = Pod::without_daemon(Setting::default());
    let mut client = pod.client();
    let late = client.ask_as(TASK, "Kill", Vec::new(), 50_000_000);
    assert_eq!(client.answer(late).code(), 4);
    let patient = client.ask_as(TASK, "Resume", Vec::new(), 19_000_000_000);
    pod.listen_as_daemon();
    let mut daemon = pod.daemon();
    let request = daemon.request();
    assert_eq!(
        (request.method.as_str(), request.replayed),
        ("Resume", false)
    );
    assert!(request.timeout_nanos < 19_000_000_000, "waiting counts");
    daemon.done(request.seq);
    assert_eq!(client.answer(patient).code(), 0);
}

#[test]
fn a_frame_over_the_limit_is_refused_and_skipped_and_the_connection_lives_on() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let mut long = ttrpc_frame(1, 1, &[]);
    long[..4].copy_from_slice(&(5u32 << 20).to_be_bytes());
    client.send(&long);
    client.send(&vec![0xff; 5 << 20]);
    assert_eq!(client.answer(1).code(), 8);
    client.send(&ttrpc_frame(3, 1, &[]));
    let seq = daemon.request().seq;
    daemon.done(seq);
    assert_eq!(client.answer(3).code(), 0);
}

#[test]
fn stream_ids_that_are_even_or_do_not_grow_and_requests_that_are_none_are_refused() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.send(&ttrpc_frame(2, 1, &[]));
    assert_eq!(client.answer(2).code(), 3);
    client.send(&ttrpc_frame(7, 1, &[0xff, 0xff]));
    assert_eq!(client.answer(7).code(), 3);
    client.send(&ttrpc_frame(5, 1, &[]));
    assert_eq!(client.answer(5).code(), 3);
    client.send(&ttrpc_frame(9, 3, b"data"));
    client.send(&ttrpc_frame(9, 1, &[]));
    let seq = daemon.request().seq;
    daemon.done(seq);
    assert_eq!(client.answer(9).code(), 0);
}

#[test]
fn a_client_can_not_speak_as_the_keeper() {
    let pod = Pod::new();
    let mut client = pod.client();
    let forged = client.ask_as("brig.keeper.v1.Notice", "Exited", Vec::new(), 0);
    assert_eq!(client.answer(forged).code(), 12);
    let unknown = client.ask_as("brig.keeper.v1.Control", "Format", Vec::new(), 0);
    assert_eq!(client.answer(unknown).code(), 12);
}

#[test]
fn a_peer_of_another_user_is_not_served() {
    use std::os::unix::fs::PermissionsExt;
    let pod = Pod::new();
    for path in [pod.dir.clone(), pod.socket()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let socket = pod.socket();
    // Credentials are the connecting thread's; setresuid alone, by system call, changes this thread and no other.
    let other = std::thread::spawn(move || {
        let nobody = rustix::process::Uid::from_raw(65_534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        crate::support::client::Client::connect(&socket).is_closed()
    });
    assert!(other.join().unwrap());
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let stream = client.ask("Kill", Vec::new());
    let seq = daemon.request().seq;
    daemon.done(seq);
    assert_eq!(client.answer(stream).code(), 0);
}

#[test]
fn half_a_frame_and_silence_ends_the_connection_on_either_side() {
    let pod = Pod::with(Setting(vec![("frame_silence", 50)]));
    let daemon = pod.daemon();
    let mut client = pod.client();
    client.send(&[0, 0]);
    assert!(client.is_closed());
    (&daemon.stream).write_all(&[0, 0, 0]).unwrap();
    let again = pod.daemon();
    assert_eq!(again.hello.instance, daemon.hello.instance);
}

#[test]
fn a_daemon_that_does_not_greet_or_refuses_is_tried_again() {
    let mut pod = Pod::without_daemon(Setting(vec![("greeting", 50)]));
    pod.listen_as_daemon();
    let silent = pod.silent_daemon();
    let mut refusing = pod.silent_daemon();
    let welcome = wire::keeper::Welcome {
        refused: "too old".into(),
        ..Default::default()
    };
    refusing.send(wire::keeper::to_keeper::Message::Welcome(welcome));
    let daemon = pod.daemon();
    assert_eq!(daemon.hello.instance, silent.hello.instance);
}

#[test]
fn files_are_read_whole_or_not_at_all_and_anew_after_a_replay() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    let path = pod.path("file");
    let read = |max_bytes| {
        Action::ReadFile(ReadFile {
            path: path.clone(),
            max_bytes,
        })
    };
    let content = |result| match result {
        step_result::Result::File(file) => (file.exists, file.content),
        other => panic!("{other:?}"),
    };
    assert_eq!(content(daemon.step(seq, 1, read(10))), (false, Vec::new()));
    std::fs::write(&path, "0123456789").unwrap();
    assert_eq!(
        content(daemon.step(seq, 1, read(10))),
        (true, b"0123456789".to_vec())
    );
    assert!(matches!(
        daemon.step(seq, 2, read(9)),
        step_result::Result::Failure(_)
    ));
}

#[test]
fn a_wait_asked_again_by_a_containerd_that_was_restarted_takes_the_place_of_the_first() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut first = pod.client();
    first.ask("Wait", ids("c", "e"));
    let before = daemon.request().seq;
    drop(first);
    assert_eq!(daemon.cancelled(), before);
    let mut second = pod.client();
    let wait = second.ask("Wait", ids("c", "e"));
    let seq = daemon.request().seq;
    // The daemon may not have heard of it in time.
    daemon.done(before);
    daemon.reply(Reply {
        seq,
        payload: b"over".to_vec(),
        ..Reply::default()
    });
    assert_eq!(second.answer(wait).payload, b"over");
}

#[test]
fn a_keeper_with_nothing_to_keep_ends_and_leaves_nothing() {
    let mut pod = Pod::with(Setting(vec![("idle", 100)]));
    let _daemon = pod.daemon();
    assert!(pod.keeper.wait().unwrap().success());
    assert!(!pod.socket().exists());
    assert!(pod.record().is_none());
}

#[test]
fn a_term_signal_ends_a_keeper_only_when_it_has_nothing_to_keep() {
    let mut pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let stream = client.ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    daemon.reply(Reply {
        seq,
        patches: vec![created("c")],
        ..Reply::default()
    });
    client.answer(stream);
    let pid = rustix::process::Pid::from_raw(pod.pid()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let stream = client.ask("Delete", ids("c", ""));
    let seq = daemon.request().seq;
    let patch = ContainerPatch {
        container_id: "c".into(),
        remove: true,
        ..ContainerPatch::default()
    };
    daemon.reply(Reply {
        seq,
        patches: vec![patch],
        ..Reply::default()
    });
    client.answer(stream);
    drop(client);
    until("the connection's end is seen", || {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        pod.keeper.try_wait().unwrap().is_some()
    });
}
