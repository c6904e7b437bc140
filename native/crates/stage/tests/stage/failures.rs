//! Whatever fails, and whoever dies, leaves nothing behind.

use std::fs;

use wire::keeper::source::Kind as SourceKind;
use wire::plan::namespace::Kind;
use wire::plan::{CgroupWrite, launch_plan};

use crate::keeper::StageProcess;
use crate::plans::{ALLOW, Spec, container, filter, refused};
use crate::world::{World, text};
use crate::{Test, cgroups};

pub const TESTS: &[Test] = tests![
    every_failed_step_leaves_nothing_behind,
    a_stage_killed_in_the_middle_takes_its_container_along,
    a_stage_ends_with_its_keeper,
];

/// What is named in the failure, and what brings it about.
pub type Fault = (&'static str, fn(&mut Spec));

/// No cgroup, no mount, no process.
pub fn nothing_is_left(what: &str) {
    for directory in cgroups::directories() {
        assert!(!directory.exists(), "{what}: {directory:?}");
        assert!(
            !directory.parent().unwrap().exists(),
            "{what}: {directory:?}'s parent"
        );
    }
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mountinfo.contains("brig-stage-tests"),
        "{what}: {mountinfo}"
    );
    let children =
        fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())).unwrap();
    assert_eq!(children, "", "{what}: processes");
}

/// A failure in each part of the work, from the first to the last.
fn every_failed_step_leaves_nothing_behind() {
    let world = World::new();
    let faults: [Fault; 14] = [
        ("limit cgroup", |spec| write(spec, "no.such.file", "1")),
        ("make cgroup", |spec| {
            spec.plan
                .cgroups
                .as_mut()
                .unwrap()
                .dirs
                .last_mut()
                .unwrap()
                .mount_point = "/proc".into()
        }),
        ("map ids", |spec| {
            spec.plan.gid_maps = vec![spec.plan.gid_maps[0]; 2]
        }),
        ("mount root", |spec| overlay_option(spec, "nonsense=1")),
        ("mount", |spec| {
            spec.plan
                .mounts
                .push(crate::plans::fresh("/x", "no-such-type", 0, &[]))
        }),
        ("make device", |spec| spec.plan.devices[0].uid = 1_000_000),
        ("make link", |spec| {
            spec.plan.symlinks[0].path = "/bin/busybox".into()
        }),
        ("write sysctl", |spec| sysctl(spec)),
        ("set ids", |spec| spec.process().gid = 1_000_000),
        ("install seccomp filter", |spec| {
            spec.process().seccomp = vec![filter(&[(6, 0, 0, ALLOW), (0xffff, 0, 0, 0)])]
        }),
        ("exec", |spec| spec.process().args = vec!["/no/such".into()]),
        ("enter working directory", |spec| {
            spec.process().cwd = "/bin/busybox".into()
        }),
        ("set limit", |spec| {
            spec.process().rlimits = vec![wire::plan::Rlimit {
                resource: 99,
                soft: 1,
                hard: 1,
            }]
        }),
        ("set capabilities", |spec| {
            spec.process().capabilities.as_mut().unwrap().ambient = 1 << 21
        }),
    ];
    for (step, fault) in faults {
        let mut spec = container(&world, &["true"]);
        fault(&mut spec);
        let failure = refused(spec, &world);
        assert_eq!(failure.step, step, "{failure:?}");
        nothing_is_left(step);
    }
}

fn write(spec: &mut Spec, file: &str, value: &str) {
    let write = CgroupWrite {
        file: file.into(),
        value: value.into(),
        ..CgroupWrite::default()
    };
    spec.plan.cgroups.as_mut().unwrap().writes.push(write);
}

fn overlay_option(spec: &mut Spec, option: &str) {
    match spec.plan.root.as_mut().unwrap().source.as_mut().unwrap() {
        wire::plan::root::Source::Overlay(overlay) => overlay.options.push(option.into()),
        _ => unreachable!(),
    }
}

fn sysctl(spec: &mut Spec) {
    spec.plan.sysctls.push(wire::plan::Sysctl {
        path: "net/no/such".into(),
        value: "1".into(),
        namespace: Kind::Network.into(),
        ignore_missing: false,
    });
}

/// A stage in the middle of a create: a hook that never ends holds it, the container's process waits for it.
fn hanging(world: &World) -> StageProcess {
    fs::create_dir_all(world.path("bundle/rootfs")).unwrap();
    let hook = world.path("hook");
    fs::write(
        &hook,
        format!(
            "#!/bin/sh\necho > {}\nexec sleep 1000\n",
            world.path("running").display()
        ),
    )
    .unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        world.path("running"),
        fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let mut spec = container(world, &["true"]);
    let place = spec.add_source(text(&world.path("bundle/rootfs")), SourceKind::Bind);
    let handle = spec.add_source(text(&hook), SourceKind::Executable);
    spec.plan.root.as_mut().unwrap().visible_handle = place;
    spec.plan.state_json_parts = vec![String::new(); 3];
    spec.plan.hooks.push(wire::plan::Hook {
        point: wire::plan::hook::Point::Prestart.into(),
        handle,
        path: text(&hook),
        env: vec!["PATH=/usr/bin:/bin".into()],
        ..Default::default()
    });
    let stage = StageProcess::fork(world.floor_dir(), None);
    stage.open(std::mem::take(&mut spec.sources)).unwrap();
    stage.start(launch_plan::Kind::Create(spec.plan));
    // The hook runs when its end of the FIFO opens.
    fs::read(world.path("running")).unwrap();
    stage
}

fn children() -> Vec<i32> {
    let children =
        fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())).unwrap();
    children
        .split_ascii_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn all_end(pids: Vec<i32>) {
    for pid in pids {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        assert!(crate::ended(&pidfd).is_some(), "{pid:?}");
    }
}

fn a_stage_killed_in_the_middle_takes_its_container_along() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let stage = hanging(&world);
    assert_eq!(children().len(), 2, "the stage and the container's process");
    stage.kill();
    all_end(children());
}

fn a_stage_ends_with_its_keeper() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    crate::keeper::become_keeper();
    let keeper = match unsafe { sys::clone::fork(sys::clone::ForkFlags::empty(), None) }.unwrap() {
        sys::clone::Forked::Child => {
            let _stage = hanging(&world);
            sys::process::exit_now(0)
        }
        sys::clone::Forked::Parent { pidfd, .. } => pidfd,
    };
    assert_eq!(crate::ended(&keeper), Some(0));
    // Stage, hook and the container's process are ours now.
    while !children().is_empty() {
        all_end(children());
    }
}
