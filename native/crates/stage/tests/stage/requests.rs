//! What the stage is asked and refuses: plans below the floor, of another contract, beyond all bounds; and that whatever fails
//! leaves nothing behind.

use std::fs;

use wire::keeper::source::Kind as SourceKind;
use wire::keeper::{Failure, Source};
use wire::plan::namespace::Kind;
use wire::plan::{CgroupWrite, ExecPlan, LaunchPlan, SeccompFilter, launch_plan};

use crate::Test;
use crate::cgroups;
use crate::exec::waiting;
use crate::keeper::{CLASS, StageProcess, source};
use crate::plans::{ALLOW, NOTIFY, Spec, all_but, bind, container, exec_plan, filter, process};
use crate::world::{World, text};

pub const TESTS: &[Test] = &[
    ("a_plan_at_the_floor_runs", a_plan_at_the_floor_runs),
    (
        "a_forged_plan_below_the_floor_is_refused_before_anything_is_done",
        a_forged_plan_below_the_floor_is_refused_before_anything_is_done,
    ),
    (
        "a_class_without_a_floor_is_refused",
        a_class_without_a_floor_is_refused,
    ),
    (
        "the_shipped_floor_is_understood",
        the_shipped_floor_is_understood,
    ),
    (
        "an_exec_below_the_floor_is_refused",
        an_exec_below_the_floor_is_refused,
    ),
    (
        "a_plan_of_another_contract_is_refused",
        a_plan_of_another_contract_is_refused,
    ),
    (
        "garbage_is_answered_with_a_failure",
        garbage_is_answered_with_a_failure,
    ),
    (
        "a_plan_names_only_what_was_opened",
        a_plan_names_only_what_was_opened,
    ),
    (
        "sources_are_reported_as_the_kernel_sees_them",
        sources_are_reported_as_the_kernel_sees_them,
    ),
    (
        "every_failed_step_leaves_nothing_behind",
        every_failed_step_leaves_nothing_behind,
    ),
    (
        "a_stage_killed_in_the_middle_takes_its_container_along",
        a_stage_killed_in_the_middle_takes_its_container_along,
    ),
    (
        "a_placeholder_stands_in_a_cgroup_until_the_container_does",
        a_placeholder_stands_in_a_cgroup_until_the_container_does,
    ),
    (
        "a_placeholder_ends_with_its_stage",
        a_placeholder_ends_with_its_stage,
    ),
    ("a_stage_ends_with_its_keeper", a_stage_ends_with_its_keeper),
    (
        "an_existing_cgroup_is_another_containers",
        an_existing_cgroup_is_another_containers,
    ),
    (
        "limits_of_cgroups_are_those_of_the_plan",
        limits_of_cgroups_are_those_of_the_plan,
    ),
    (
        "a_cgroup_path_stays_below_its_hierarchy",
        a_cgroup_path_stays_below_its_hierarchy,
    ),
    (
        "a_seccomp_listener_comes_back",
        a_seccomp_listener_comes_back,
    ),
];

/// What is named in the failure, and what brings it about.
type Fault = (&'static str, fn(&mut Spec));

const FLOOR: &str = "require user-namespace\nrequire no-new-privileges\nrequire seccomp\nhost-ids-from 65536\nmask /proc/kcore\nread-only /proc/sys\n";

fn refused(spec: Spec, world: &World) -> Failure {
    spec.create(world)
        .map(|running| running.kill())
        .expect_err("it started")
}

fn nothing_is_left(what: &str) {
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

fn a_plan_at_the_floor_runs() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    world.floor(FLOOR);
    assert_eq!(
        container(&world, &["true"])
            .create(&world)
            .unwrap()
            .finish()
            .status,
        0
    );
}

fn a_forged_plan_below_the_floor_is_refused_before_anything_is_done() {
    let world = World::new();
    world.floor(FLOOR);
    let forge: [Fault; 6] = [
        ("user-namespace", |spec| spec.without_user_namespace()),
        ("no-new-privileges", |spec| {
            spec.process().no_new_privileges = false
        }),
        ("seccomp", |spec| spec.process().seccomp.clear()),
        ("host-ids-from 65536", |spec| {
            spec.plan.uid_maps[0].host_id = 0
        }),
        ("mask /proc/kcore", |spec| {
            spec.plan.masked_paths.retain(|path| path != "/proc/kcore")
        }),
        ("read-only /proc/sys", |spec| {
            spec.plan.readonly_paths.clear()
        }),
    ];
    for (demand, change) in forge {
        let mut spec = container(&world, &["true"]);
        change(&mut spec);
        let failure = refused(spec, &world);
        assert_eq!(
            (failure.step.as_str(), failure.object.as_str()),
            ("check floor", demand)
        );
        nothing_is_left(demand);
        assert_eq!(
            fs::read_dir(world.path("upper/work")).unwrap().count(),
            0,
            "{demand}: an overlay was mounted"
        );
    }
}

fn a_class_without_a_floor_is_refused() {
    let world = World::new();
    fs::remove_file(world.floor_dir().join("test.floor")).unwrap();
    let failure = refused(container(&world, &["true"]), &world);
    assert_eq!(
        (failure.step.as_str(), failure.errno),
        ("check floor", libc::ENOENT)
    );
    world.floor("require everything\n");
    assert_eq!(
        refused(container(&world, &["true"]), &world).step,
        "check floor"
    );
    nothing_is_left("no floor");
}

fn the_shipped_floor_is_understood() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    world.floor(include_str!("../../../../../deploy/floor/brig.floor"));
    let mut spec = container(&world, &["true"]);
    spec.plan.masked_paths.push("/sys/firmware".into());
    assert_eq!(spec.create(&world).unwrap().finish().status, 0);
}

fn an_exec_below_the_floor_is_refused() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    world.floor(FLOOR);
    let init = waiting(&world);
    let join = [Kind::Mount, Kind::Pid].map(i32::from).to_vec();
    let plan = ExecPlan {
        join,
        process: Some(process(&["true"])),
        ..ExecPlan::default()
    };
    let failure = exec_plan(&world, &init, plan)
        .map(|running| running.kill())
        .expect_err("it started");
    assert_eq!(
        (failure.step.as_str(), failure.object.as_str()),
        ("check floor", "user-namespace")
    );
    init.kill();
}

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

fn a_seccomp_listener_comes_back() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(
        &world,
        &["/probe", "syscall", &libc::SYS_getpgrp.to_string()],
    );
    let socket = std::os::unix::net::UnixListener::bind(world.path("agent")).unwrap();
    let handle = spec.add_source(text(&world.path("agent")), SourceKind::Socket);
    let filter = SeccompFilter {
        listener_handle: handle,
        listener_metadata: "metadata".into(),
        ..all_but(libc::SYS_getpgrp, NOTIFY)
    };
    spec.process().seccomp = vec![filter];
    spec.plan.state_json_parts = ["{\"status\":\"", "\",\"pid\":", "}"]
        .map(str::to_owned)
        .into();
    let mut running = spec.create(&world).unwrap();
    assert_eq!(running.status("Seccomp"), "2");
    assert!(running.listener.is_some());
    // The agent was handed the same, with the state.
    let (message, listener) = crate::keeper::receive_one(socket.accept().unwrap().0.into());
    assert_eq!(
        String::from_utf8(message).unwrap(),
        format!(
            "{{\"ociVersion\":\"1.2.0\",\"fds\":[\"seccompFd\"],\"pid\":{pid},\"metadata\":\"metadata\",\"state\":{{\"status\":\"creating\",\"pid\":{pid}}}}}",
            pid = running.pid
        )
    );
    running.release().unwrap();
    // Every getpgrp is answered by EXDEV.
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| crate::probe::answer_one(&listener, libc::EXDEV));
        let mut output = String::new();
        use std::io::Read;
        std::fs::File::from(running.output.try_clone().unwrap())
            .read_to_string(&mut output)
            .unwrap();
        output
    });
    assert_eq!(answer, format!("{}={}\n", libc::SYS_getpgrp, libc::EXDEV));
    crate::ended(&running.pidfd);
}
