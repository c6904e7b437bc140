//! Events: published in order, one at a time, until containerd has them.

use std::time::Duration;

use wire::keeper::{Event, Reply};

use crate::support::client::Events;
use crate::support::daemon::Daemon;
use crate::support::frames::{Response, Status, ids};
use crate::support::{Pod, Setting};

fn reply_with(daemon: &mut Daemon, topics: &[&str]) {
    let seq = daemon.request().seq;
    let event = |topic: &&str| Event {
        topic: (*topic).into(),
        type_url: "containerd.events.X".into(),
        value: b"value".to_vec(),
        timestamp_seconds: 1,
        timestamp_nanos: 2,
    };
    daemon.reply(Reply {
        seq,
        events: topics.iter().map(event).collect(),
        ..Reply::default()
    });
}

#[test]
fn events_are_published_in_order_and_one_at_a_time() {
    let pod = Pod::new();
    let listener = Events::listen(&pod.dir);
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.ask("Create", Vec::new());
    reply_with(&mut daemon, &["/tasks/create", "/tasks/start"]);
    client.ask("Kill", Vec::new());
    reply_with(&mut daemon, &["/tasks/exit"]);
    let mut containerd = Events::accept(&listener);
    for topic in ["/tasks/create", "/tasks/start", "/tasks/exit"] {
        let (number, envelope) = containerd.next().unwrap();
        assert_eq!(
            (envelope.topic.as_str(), envelope.namespace.as_str()),
            (topic, "ns")
        );
        let event = envelope.event.unwrap();
        assert_eq!(
            (event.type_url.as_str(), event.value.as_slice()),
            ("containerd.events.X", &b"value"[..])
        );
        assert!(
            containerd.is_silent_for(Duration::from_millis(20)),
            "the next only after the answer"
        );
        containerd.answer(number, &Response::default());
    }
}

#[test]
fn an_event_is_sent_again_until_containerd_takes_it() {
    let pod = Pod::with(Setting(vec![("forward", 200)]));
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let stream = client.ask("Create", Vec::new());
    reply_with(&mut daemon, &["/tasks/create", "/tasks/start"]);
    assert_eq!(client.answer(stream).code(), 0, "nobody waits for events");
    // Nobody listens, then one hangs up, one does not answer, one fails, and the last one takes it.
    let listener = Events::listen(&pod.dir);
    let hangs_up = Events::accept(&listener);
    assert_eq!(hangs_up.next().unwrap().1.topic, "/tasks/create");
    drop(hangs_up);
    let is_silent = Events::accept(&listener);
    assert_eq!(is_silent.next().unwrap().1.topic, "/tasks/create");
    let mut containerd = Events::accept(&listener);
    let (number, _) = containerd.next().unwrap();
    let status = Some(Status {
        code: 14,
        message: "not now".into(),
    });
    containerd.answer(
        number,
        &Response {
            status,
            ..Response::default()
        },
    );
    for topic in ["/tasks/create", "/tasks/start"] {
        let (number, envelope) = containerd.next().unwrap();
        assert_eq!(envelope.topic, topic);
        containerd.answer(number, &Response::default());
    }
}

#[test]
fn an_event_that_containerd_refuses_for_good_does_not_hold_up_the_others() {
    let pod = Pod::new();
    let listener = Events::listen(&pod.dir);
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.ask("Create", Vec::new());
    reply_with(&mut daemon, &["no topic", "/tasks/start"]);
    let mut containerd = Events::accept(&listener);
    let (number, _) = containerd.next().unwrap();
    let status = Some(Status {
        code: 3,
        message: "topic".into(),
    });
    containerd.answer(
        number,
        &Response {
            status,
            ..Response::default()
        },
    );
    assert_eq!(containerd.next().unwrap().1.topic, "/tasks/start");
}

#[test]
fn events_that_nobody_takes_are_bounded_and_what_is_lost_of_them_is_counted_for_each_daemon() {
    const ROUNDS: u64 = 30;
    const EACH: u64 = 100;
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let topics = vec!["/tasks/exec-added"; usize::try_from(EACH).unwrap()];
    for _ in 0..ROUNDS {
        let stream = client.ask("Kill", Vec::new());
        reply_with(&mut daemon, &topics);
        client.answer(stream);
    }
    // The queue takes 2,048.
    let lost = ROUNDS * EACH - 2048;
    while daemon.drops().events < lost {}
    drop(daemon);
    let mut next = pod.daemon();
    assert_eq!(next.hello.drops.unwrap_or_default().events, lost);
    let stream = client.ask("Kill", Vec::new());
    reply_with(&mut next, &topics);
    client.answer(stream);
    while next.drops().events < lost + EACH {}
}

#[test]
fn a_shutdown_answers_publishes_what_is_left_and_ends_the_keeper() {
    let mut pod = Pod::new();
    let listener = Events::listen(&pod.dir);
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let stream = client.ask("Shutdown", Vec::new());
    let seq = daemon.request().seq;
    let event = Event {
        topic: "/tasks/delete".into(),
        ..Event::default()
    };
    daemon.reply(Reply {
        seq,
        events: vec![event],
        shutdown: true,
        ..Reply::default()
    });
    assert_eq!(client.answer(stream).code(), 0);
    let mut containerd = Events::accept(&listener);
    let (number, _) = containerd.next().unwrap();
    containerd.answer(number, &Response::default());
    assert!(pod.keeper.wait().unwrap().success());
    assert!(!pod.socket().exists() && pod.record().is_none());
}

#[test]
fn a_shutdown_said_while_something_is_under_way_ends_the_keeper_afterwards() {
    let mut pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    let create = client.ask("Create", ids("c", ""));
    let under_way = daemon.request().seq;
    let stream = client.ask("Shutdown", Vec::new());
    let seq = daemon.request().seq;
    daemon.reply(Reply {
        seq,
        shutdown: true,
        ..Reply::default()
    });
    assert_eq!(client.answer(stream).code(), 0);
    assert!(pod.keeper.try_wait().unwrap().is_none());
    daemon.reply(Reply {
        seq: under_way,
        code: 2,
        ..Reply::default()
    });
    assert_eq!(client.answer(create).code(), 2);
    assert!(pod.keeper.wait().unwrap().success());
}
