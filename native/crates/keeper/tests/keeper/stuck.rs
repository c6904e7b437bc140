//! A stage that no signal ends: told as stuck, kept in the record, and said to the next daemon.

use wire::keeper::source::Kind;
use wire::keeper::step::Action;
use wire::keeper::{Abort, OpenStage, Reply, Source};

use crate::support::daemon::failure;
use crate::support::frames::ids;
use crate::support::fuse::SilentFuse;
use crate::support::{Pod, Setting, until};

#[test]
fn a_stage_that_hangs_in_the_kernel_is_known_to_every_daemon_and_to_the_record_until_it_goes() {
    let mut pod = Pod::with(Setting(vec![("idle", 200)]));
    let mut fuse = SilentFuse::mount(&pod.dir.join("fuse"));
    let mut first = pod.daemon();
    let mut client = pod.client();
    let stream = client.ask("Create", ids("c", ""));
    let seq = first.request().seq;
    let source = Source {
        handle: 1,
        path: pod.path("fuse/x"),
        kind: Kind::Bind.into(),
        want_mount: false,
    };
    let open = OpenStage {
        container_id: "c".into(),
        sources: vec![source],
        ..OpenStage::default()
    };
    first.ask(seq, 1, Action::OpenStage(open));
    fuse.await_question();
    let abort = Abort {
        container_id: "c".into(),
        ..Abort::default()
    };
    let told = failure(first.step(seq, 2, Action::Abort(abort)));
    assert_eq!(told.errno, libc::EBUSY, "{told:?}");
    let recorded = pod.record().unwrap().hello.unwrap().stuck_stages;
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0].container_id, "c");
    assert_eq!(
        brig_keeper::record::process_state(recorded[0].pid),
        Some('D')
    );
    first.reply(Reply {
        seq,
        code: 2,
        ..Reply::default()
    });
    assert_eq!(client.answer(stream).code(), 2);
    drop(client);

    drop(first);
    let second = pod.daemon();
    assert_eq!(second.hello.stuck_stages, recorded);
    assert!(second.hello.containers.is_empty());

    fuse.abort();
    until("the stage is gone", || {
        brig_keeper::record::process_state(recorded[0].pid).is_none()
    });
    assert!(
        pod.keeper.wait().unwrap().success(),
        "with it the last reason to stay"
    );
    assert!(pod.record().is_none());
    drop(second);
}
