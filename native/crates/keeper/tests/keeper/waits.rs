//! Waits: as many as are bounded, and gone with the client that asked.

use crate::support::frames::ids;
use crate::support::{Pod, Setting, until};

/// Private memory of a process in kB.
fn private(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let of = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.unwrap().split_whitespace().next().unwrap();
        number.parse().unwrap()
    };
    of("Private_Clean:") + of("Private_Dirty:")
}

/// A Wait for a process of its own, as large as one may be made by what the service doesn't know.
fn large_wait(number: usize) -> Vec<u8> {
    let mut payload = ids("c", &format!("exec-{number}"));
    payload.extend([0xa2, 0x06, 0x80, 0x40]);
    payload.resize(payload.len() + 8192, b'x');
    payload
}

#[test]
fn a_thousand_waits_go_with_the_client_that_asked_and_so_does_their_memory() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let before = private(pod.pid());
    let mut client = pod.client();
    for number in 0..1000 {
        client.ask("Wait", large_wait(number));
    }
    let mut waits: Vec<u64> = (0..1000).map(|_| daemon.request_of("Wait").seq).collect();
    assert!(private(pod.pid()) > before + 8000, "they are kept");
    drop(client);
    for _ in 0..1000 {
        let cancelled = daemon.cancelled();
        waits.retain(|seq| *seq != cancelled);
    }
    assert!(waits.is_empty());
    // A keeper that has worked has touched more of its program's pages than a fresh one; what was kept is far more than that.
    until("the memory is given back", || {
        private(pod.pid()) < before + 2000
    });
    // The next daemon hears nothing of them.
    drop(daemon);
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.ask("Kill", Vec::new());
    assert_eq!(daemon.request().method, "Kill");
}

#[test]
fn a_wait_that_two_clients_ask_stays_until_both_are_gone() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let (mut first, mut second) = (pod.client(), pod.client());
    first.ask("Wait", ids("c", ""));
    let seq = daemon.request_of("Wait").seq;
    let stream = second.ask("Wait", ids("c", ""));
    // Answered in order: the second Wait has arrived as well by then.
    let mark = second.ask("Kill", Vec::new());
    let kill = daemon.request_of("Kill").seq;
    drop(first);
    daemon.done(kill);
    second.answer(mark);
    daemon.done(seq);
    assert_eq!(second.answer(stream).code(), 0);
}

#[test]
fn calls_of_a_connection_are_bounded_and_other_connections_are_served() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut greedy = pod.client();
    let streams: Vec<u32> = (0..2049)
        .map(|_| greedy.ask("Wait", ids("c", "")))
        .collect();
    let refused = greedy.answer(streams[2048]).status.unwrap();
    assert_eq!(refused.code, 8);
    assert!(refused.message.contains("2048 calls"), "{refused:?}");
    let seq = daemon.request_of("Wait").seq;
    let mut other = pod.client();
    let stream = other.ask("Kill", Vec::new());
    let kill = daemon.request_of("Kill").seq;
    daemon.done(kill);
    assert_eq!(other.answer(stream).code(), 0);
    daemon.done(seq);
    for stream in &streams[..2048] {
        assert_eq!(greedy.answer(*stream).code(), 0);
    }
    let again = greedy.ask("Kill", Vec::new());
    let kill = daemon.request_of("Kill").seq;
    daemon.done(kill);
    assert_eq!(greedy.answer(again).code(), 0);
}

#[test]
fn a_daemon_of_an_older_version_hears_of_no_cancel() {
    let pod = Pod::with(Setting::default());
    let mut daemon = pod.silent_daemon();
    daemon.welcome_as(1000);
    let mut client = pod.client();
    client.ask("Wait", ids("c", ""));
    let seq = daemon.request_of("Wait").seq;
    drop(client);
    let mut client = pod.client();
    let stream = client.ask("Kill", Vec::new());
    // Whatever was said before it would have come before it.
    let kill = daemon.request_of("Kill").seq;
    assert!(daemon.no_cancel_came());
    daemon.done(seq);
    daemon.done(kill);
    assert_eq!(client.answer(stream).code(), 0);
}
