//! What the stage is asked, and answers or refuses: plans of another contract, what is no request, handles that were not opened.

use std::fs;

use wire::keeper::Source;
use wire::keeper::source::Kind as SourceKind;
use wire::plan::{LaunchPlan, launch_plan};

use crate::exec::waiting;
use crate::failures::nothing_is_left;
use crate::keeper::{CLASS, StageProcess, source};
use crate::plans::{bind, container, refused};
use crate::world::{World, text};
use crate::{Test, cgroups};

pub const TESTS: &[Test] = tests![
    a_plan_of_another_contract_is_refused,
    garbage_is_answered_with_a_failure,
    a_plan_names_only_what_was_opened,
    sources_are_reported_as_the_kernel_sees_them,
];

fn a_plan_of_another_contract_is_refused() {
    let world = World::new();
    for version in [0, 999, wire::PLAN_VERSION + 1, wire::PLAN_VERSION + 1000] {
        let spec = container(&world, &["true"]);
        let stage = StageProcess::fork(world.floor_dir(), None);
        stage.open(spec.sources).unwrap();
        let plan = LaunchPlan {
            contract_version: version,
            class_name: CLASS.into(),
            kind: Some(launch_plan::Kind::Create(spec.plan)),
            ..LaunchPlan::default()
        };
        let failure = stage
            .execute_plan(&plan, None)
            .map(|running| running.kill())
            .expect_err("it started");
        assert_eq!(failure.step, "read plan");
        nothing_is_left("contract");
    }
}

fn garbage_is_answered_with_a_failure() {
    let world = World::new();
    for garbage in [
        &b"\xff\xff\xff\xff"[..],
        b"",
        b"\x0a\x05hello",
        b"\x12\x03\x0a\x01\xff",
    ] {
        let stage = StageProcess::fork(world.floor_dir(), None);
        let failure = stage.say(garbage);
        assert!(
            ["read request", "read plan"].contains(&failure.step.as_str()),
            "{failure:?}"
        );
    }
    // A frame beyond the bound ends the conversation before it is read.
    let stage = StageProcess::fork(world.floor_dir(), None);
    stage.announce(wire::MAX_FRAME as u32 + 1);
}

fn a_plan_names_only_what_was_opened() {
    let world = World::new();
    let mut spec = container(&world, &["true"]);
    spec.plan.mounts.push(bind("/data", 77, 0));
    assert_eq!(
        refused(spec, &world).cause,
        "no source was opened under this handle"
    );
    // Nor may a handle be used for something else than it was opened for.
    let mut spec = container(&world, &["true"]);
    let handle = spec.add_source("/proc/self/ns/net", SourceKind::Namespace);
    spec.plan.mounts.push(bind("/data", handle, 0));
    assert_eq!(
        refused(spec, &world).cause,
        "opened as Namespace, used as Bind"
    );
    nothing_is_left("handles");
}

fn sources_are_reported_as_the_kernel_sees_them() {
    let world = World::new();
    let directory = world.directory_with("volume", "file", "12345");
    std::os::unix::fs::symlink(&directory, world.path("link")).unwrap();
    std::os::unix::fs::chown(directory.join("file"), Some(5), Some(6)).unwrap();
    let stage = StageProcess::fork(world.floor_dir(), None);
    let want = |handle: u32, path: String, kind: SourceKind| Source {
        want_mount: true,
        ..source(handle, path, kind)
    };
    let reports = stage
        .open(vec![
            want(1, text(&world.path("link")), SourceKind::Bind),
            want(2, text(&world.path("link/file")), SourceKind::Bind),
            want(3, text(&world.path("missing")), SourceKind::Bind),
            want(4, "/dev/null".into(), SourceKind::Device),
            want(5, "/proc/self/ns/user".into(), SourceKind::Namespace),
            want(6, "/proc".into(), SourceKind::Bind),
            want(7, "relative".into(), SourceKind::Bind),
            want(8, "/proc/self/ns/net".into(), SourceKind::Namespace),
        ])
        .unwrap();
    let canonical = fs::canonicalize(&directory).unwrap();
    assert_eq!(reports[0].canonical_path, text(&canonical));
    assert_eq!(reports[0].can_idmap, world.idmaps());
    assert!(
        ["ext4", "tmpfs", "xfs", "btrfs", "overlay"].contains(&reports[0].fs_type.as_str()),
        "{:?}",
        reports[0]
    );
    assert!(canonical.starts_with(&reports[0].mount_point));
    assert_eq!(
        (
            reports[1].uid,
            reports[1].gid,
            reports[1].mode & libc::S_IFMT
        ),
        (5, 6, libc::S_IFREG)
    );
    use std::os::unix::fs::MetadataExt;
    assert_eq!(
        reports[1].inode,
        fs::metadata(directory.join("file")).unwrap().ino()
    );
    assert_eq!(reports[2].errno, libc::ENOENT);
    assert_eq!((reports[3].rdev_major, reports[3].rdev_minor), (1, 3));
    assert!(reports[4].own_namespace);
    assert_eq!(
        reports[4]
            .uid_map
            .split_ascii_whitespace()
            .collect::<Vec<_>>(),
        ["0", "0", "4294967295"]
    );
    assert_eq!(
        (
            reports[5].fs_type.as_str(),
            reports[5].fs_magic,
            reports[5].can_idmap
        ),
        ("proc", 0x9fa0, false)
    );
    assert_eq!(reports[6].errno, libc::EINVAL);
    assert!(reports[7].own_namespace && reports[7].owned_by_initial_user_namespace);
    stage.kill();

    let _cleanup = cgroups::Cleanup;
    let init = waiting(&world);
    let stage = StageProcess::fork(world.floor_dir(), None);
    let inside = |name: &str| format!("/proc/{}/ns/{name}", init.pid);
    let reports = stage
        .open(vec![
            source(1, inside("user"), SourceKind::Namespace),
            source(2, inside("net"), SourceKind::Namespace),
        ])
        .unwrap();
    assert_eq!(
        reports[0]
            .uid_map
            .split_ascii_whitespace()
            .collect::<Vec<_>>(),
        ["0", "200000", "65536"]
    );
    assert!(!reports[0].own_namespace && !reports[1].own_namespace);
    assert!(!reports[1].owned_by_initial_user_namespace);
    stage.kill();
    init.kill();
}
