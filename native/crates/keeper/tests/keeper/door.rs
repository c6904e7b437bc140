//! Calls that come to the daemon over gRPC, and where a launcher finds the daemon's socket.

use std::path::{Path, PathBuf};

use prost::Message;
use wire::keeper::{Call, CancelCall, GrpcAddress, Reply, Welcome, to_keeper};

use crate::support::client::TASK;
use crate::support::daemon::Daemon;
use crate::support::frames::ids;
use crate::support::{Pod, Setting};

const CONTROL: &str = "brig.keeper.v1.Control";

fn grpc_pod(idle: u64) -> Pod {
    Pod::with(Setting(vec![("grpc", 1), ("idle", idle)]))
}

fn call(daemon: &mut Daemon, id: u32, method: &str, timeout_nanos: i64) {
    daemon.send(to_keeper::Message::Call(Call {
        id,
        service: TASK.into(),
        method: method.into(),
        payload: ids("c", ""),
        timeout_nanos,
    }));
}

#[test]
fn a_call_over_grpc_is_numbered_and_kept_as_any_request_and_answered_to_the_daemon() {
    let pod = grpc_pod(60_000);
    let mut daemon = pod.daemon();
    assert!(daemon.hello.grpc);
    call(&mut daemon, 7, "Start", 5_000_000_000);
    let request = daemon.request();
    assert_eq!(
        (request.service.as_str(), request.method.as_str()),
        (TASK, "Start")
    );
    assert_eq!(request.payload, ids("c", ""));
    assert!(request.timeout_nanos > 4_000_000_000 && request.timeout_nanos < 5_000_000_000);
    daemon.reply(Reply {
        seq: request.seq,
        payload: b"started".to_vec(),
        ..Reply::default()
    });
    let answer = daemon.call_answer(7);
    assert_eq!(
        (answer.code, answer.payload.as_slice()),
        (0, &b"started"[..])
    );
    call(&mut daemon, 8, "Start", 0);
    let seq = daemon.request().seq;
    daemon.reply(Reply {
        seq,
        code: 5,
        message: "not found".into(),
        ..Reply::default()
    });
    let answer = daemon.call_answer(8);
    assert_eq!((answer.code, answer.message.as_str()), (5, "not found"));
}

#[test]
fn a_call_whose_daemon_died_is_carried_out_by_the_next_which_is_not_told_its_outcome() {
    let pod = grpc_pod(60_000);
    let mut first = pod.daemon();
    call(&mut first, 1, "Create", 0);
    let seq = first.request().seq;
    drop(first);
    let mut second = pod.daemon();
    let request = second.request();
    assert_eq!((request.seq, request.replayed), (seq, true));
    second.reply(Reply {
        seq,
        ..Reply::default()
    });
    // The same number is free again: its answer is the second daemon's own call's.
    call(&mut second, 1, "Pids", 0);
    let seq = second.request_of("Pids").seq;
    second.reply(Reply {
        seq,
        payload: b"pids".to_vec(),
        ..Reply::default()
    });
    assert_eq!(second.call_answer(1).payload, b"pids");
}

#[test]
fn a_cancelled_call_is_not_answered_and_goes_on() {
    let pod = grpc_pod(60_000);
    let mut daemon = pod.daemon();
    call(&mut daemon, 1, "Kill", 0);
    let kill = daemon.request().seq;
    daemon.send(to_keeper::Message::CancelCall(CancelCall { id: 1 }));
    call(&mut daemon, 2, "Start", 0);
    let start = daemon.request().seq;
    for seq in [kill, start] {
        daemon.reply(Reply {
            seq,
            payload: seq.to_be_bytes().to_vec(),
            ..Reply::default()
        });
    }
    // Answers come in the order of the replies: the first would be there.
    assert_eq!(daemon.call_answer(2).payload, start.to_be_bytes());
    assert_eq!(daemon.unread_call_answers(), 0);
}

#[test]
fn the_daemon_s_clients_can_not_speak_as_the_keeper() {
    let pod = grpc_pod(60_000);
    let mut daemon = pod.daemon();
    daemon.send(to_keeper::Message::Call(Call {
        id: 1,
        service: "brig.keeper.v1.Notice".into(),
        method: "Exited".into(),
        ..Call::default()
    }));
    assert_eq!(daemon.call_answer(1).code, 12);
}

#[test]
fn a_launcher_learns_the_address_once_the_daemon_serves_there() {
    let pod = grpc_pod(60_000);
    let mut client = pod.client();
    let early = client.ask_as(CONTROL, "GrpcAddress", Vec::new(), 0);
    let mut daemon = pod.silent_daemon();
    daemon.welcome_at("/run/door");
    let late = client.ask_as(CONTROL, "GrpcAddress", Vec::new(), 0);
    for stream in [early, late] {
        let payload = client.answer(stream).payload;
        let address = GrpcAddress::decode(payload.as_slice()).unwrap();
        assert_eq!(address.path, "/run/door");
    }
}

#[test]
fn a_launcher_learns_why_there_is_no_address() {
    let ttrpc = Pod::new();
    let _daemon = ttrpc.daemon();
    let mut client = ttrpc.client();
    let stream = client.ask_as(CONTROL, "GrpcAddress", Vec::new(), 0);
    let status = client.answer(stream).status.unwrap();
    assert_eq!(status.code, 9);
    assert!(status.message.contains("ttrpc"), "{}", status.message);

    let refused = grpc_pod(60_000);
    let mut client = refused.client();
    let stream = client.ask_as(CONTROL, "GrpcAddress", Vec::new(), 0);
    let mut daemon = refused.silent_daemon();
    daemon.send(to_keeper::Message::Welcome(Welcome {
        protocol_version: wire::KEEPER_VERSION,
        refused: "no socket to be had".into(),
        ..Welcome::default()
    }));
    let later = client.ask_as(CONTROL, "GrpcAddress", Vec::new(), 0);
    for stream in [stream, later] {
        let status = client.answer(stream).status.unwrap();
        assert_eq!(status.code, 9);
        assert!(
            status.message.contains("no socket to be had"),
            "{}",
            status.message
        );
    }
}

#[test]
fn a_keeper_that_ends_takes_away_the_socket_that_a_dead_daemon_has_left_and_no_other_file() {
    let mut pod = grpc_pod(200);
    let mut daemon = pod.silent_daemon();
    let doors = PathBuf::from(pod.path("run/grpc"));
    std::fs::create_dir_all(&doors).unwrap();
    let door = doors.join(&daemon.hello.instance);
    let other = pod.path("other");
    for file in [door.as_path(), Path::new(&other)] {
        std::fs::write(file, "").unwrap();
    }
    daemon.welcome_at(&other);
    drop(daemon);
    assert!(pod.keeper.wait().unwrap().success());
    assert!(!door.exists());
    assert!(Path::new(&other).exists());
}
