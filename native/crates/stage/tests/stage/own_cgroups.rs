//! A container's own cgroups: whose they are, what they are limited to, who stands in them until it does.

use std::fs;

use wire::plan::{CgroupWrite, launch_plan};

use crate::keeper::StageProcess;
use crate::plans::{container, refused};
use crate::world::World;
use crate::{Test, cgroups};

pub const TESTS: &[Test] = tests![
    a_placeholder_stands_in_a_cgroup_until_the_container_does,
    a_placeholder_ends_with_its_stage,
    an_existing_cgroup_is_another_containers,
    limits_of_cgroups_are_those_of_the_plan,
    a_cgroup_path_stays_below_its_hierarchy,
];

fn a_placeholder_stands_in_a_cgroup_until_the_container_does() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(&world, &["sleep", "100"]);
    let plan = spec.plan.cgroups.as_mut().unwrap();
    plan.dirs
        .retain(|dir| dir.controllers.split(',').any(|name| name == "pids"));
    let dir = &mut plan.dirs[0];
    dir.create = false;
    if dir.v2 {
        dir.enable = vec!["pids".into()];
    }
    plan.writes = vec![wire::plan::CgroupWrite {
        file: "pids.max".into(),
        value: "1".into(),
        ..Default::default()
    }];
    // As systemd does: a directory, with a process in it.
    let cgroup = std::path::Path::new(&dir.mount_point).join(&dir.path);
    fs::create_dir_all(&cgroup).unwrap();
    let stage = StageProcess::fork(world.floor_dir(), None);
    let placeholder = stage.open_with_placeholder(std::mem::take(&mut spec.sources));
    fs::write(cgroup.join("cgroup.procs"), placeholder.to_string()).unwrap();
    let open = fs::read_dir(format!("/proc/{placeholder}/fd")).unwrap();
    let beyond = open.filter(|entry| {
        let number = entry.as_ref().unwrap().file_name();
        number.to_str().unwrap().parse::<u32>().unwrap() > 2
    });
    assert_eq!(beyond.count(), 0, "it holds nothing open");
    let running = stage
        .execute(launch_plan::Kind::Create(spec.plan), None)
        .unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{placeholder}")).exists());
    let members = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap();
    assert_eq!(members.trim(), running.pid.to_string());
    let count = fs::read_to_string(cgroup.join("pids.current")).unwrap();
    assert_eq!(count.trim(), "1");
    running.kill();
}

fn a_placeholder_ends_with_its_stage() {
    let world = World::new();
    let stage = StageProcess::fork(world.floor_dir(), None);
    let placeholder = stage.open_with_placeholder(Vec::new());
    let pid = rustix::process::Pid::from_raw(placeholder).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    stage.kill();
    assert!(crate::ended(&pidfd).is_some());
}

fn an_existing_cgroup_is_another_containers() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let running = container(&world, &["true"]).create(&world).unwrap();
    let failure = refused(container(&World::new(), &["true"]), &world);
    assert_eq!(
        (failure.step.as_str(), failure.errno),
        ("make cgroup", libc::EEXIST)
    );
    for directory in cgroups::directories() {
        assert!(directory.exists(), "the first one's cgroup was removed");
    }
    running.kill();
}

fn limits_of_cgroups_are_those_of_the_plan() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(&world, &["cat", "/proc/self/cgroup"]);
    let cgroups = spec.plan.cgroups.as_mut().unwrap();
    let v1 = cgroups
        .dirs
        .iter()
        .position(|dir| !dir.v2 && dir.controllers.split(',').any(|name| name == "pids"));
    let dir = match v1 {
        Some(dir) => dir,
        None => {
            let dir = cgroups.dirs.iter().position(|dir| dir.v2).unwrap();
            cgroups.dirs[dir].enable = vec!["pids".into(), "memory".into()];
            dir
        }
    };
    let limit = |file: &str, ignore_missing: bool| CgroupWrite {
        dir: dir as u32,
        file: file.into(),
        value: "33".into(),
        asked_by: "linux.resources.pids.limit".into(),
        ignore_missing,
    };
    cgroups.writes = vec![limit("pids.max", false), limit("pids.nothing", true)];
    let running = spec.create(&world).unwrap();
    assert_eq!(
        running.executed.skipped,
        ["pids.nothing (linux.resources.pids.limit)"]
    );
    let directory = &cgroups::directories()[dir];
    assert_eq!(
        fs::read_to_string(directory.join("pids.max")).unwrap(),
        "33\n"
    );
    // In its own cgroup namespace the process is at the root of each hierarchy it was put into.
    let output = running.finish().output;
    let below = output
        .lines()
        .filter(|line| line.contains("brig-test"))
        .count();
    assert_eq!(below, 0, "{output}");
}

fn a_cgroup_path_stays_below_its_hierarchy() {
    let world = World::new();
    for path in ["../brig-escape", "/absolute", "a/../../b", "."] {
        let mut spec = container(&world, &["true"]);
        spec.plan.cgroups.as_mut().unwrap().dirs[0].path = path.into();
        let failure = refused(spec, &world);
        assert_eq!(
            failure.cause, "the path must be relative and without dots",
            "{path}"
        );
    }
}
