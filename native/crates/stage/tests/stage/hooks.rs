//! Hooks: when and where they run, with what, and what becomes of a container whose hook fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use wire::Message;
use wire::keeper::source::Kind as SourceKind;
use wire::plan::Hook;
use wire::plan::hook::Point;
use wire::plan::namespace::Kind;

use crate::keeper::{StageProcess, fails};
use crate::plans::{RDONLY, Spec, all_but, bind, container};
use crate::world::{World, text};
use crate::{Test, cgroups};

pub const TESTS: &[Test] = tests![
    hooks_run_in_their_order_and_places_with_the_state,
    a_container_hook_reaches_the_root_in_a_closed_directory,
    what_a_container_hook_leaves_running_is_killed,
    a_container_hook_runs_in_all_namespaces_of_the_container,
    a_start_hook_runs_inside_before_the_program,
    a_failing_hook_fails_the_create_and_leaves_nothing,
    a_failing_start_hook_is_told_by_the_barrier,
    a_hook_that_takes_too_long_is_killed,
    all_hooks_of_a_request_run_though_one_fails,
    hooks_need_the_callers_place_of_the_root,
];

/// A script of the host, for the shell that the host has.
pub fn script(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.path(name);
    fs::write(
        &path,
        format!("#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n{text}\n"),
    )
    .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A container with the caller's place of the root, to which hooks are added.
pub fn hooked(world: &World, program: &str) -> Spec {
    cgroups::remove();
    let mut spec = container(world, &["sh", "-c", program]);
    fs::create_dir_all(world.path("bundle/rootfs")).unwrap();
    let handle = spec.add_source(text(&world.path("bundle/rootfs")), SourceKind::Bind);
    spec.plan.root.as_mut().unwrap().visible_handle = handle;
    spec.plan.state_json_parts = ["{\"status\":\"", "\",\"pid\":", "}"]
        .map(str::to_owned)
        .into();
    spec
}

pub fn add(spec: &mut Spec, point: Point, path: &std::path::Path, argument: &str) {
    let handle = match point {
        Point::StartContainer => 0,
        _ => spec.add_source(text(path), SourceKind::Executable),
    };
    spec.plan.hooks.push(Hook {
        point: point.into(),
        handle,
        path: text(path),
        args: vec![text(path), argument.into()],
        env: vec!["VARIABLE=value".into()],
        timeout_seconds: 30,
    });
}

fn hooks_run_in_their_order_and_places_with_the_state() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let log = world.path("log");
    let line = format!(
        "echo \"$1 $VARIABLE $(cat) $(readlink /proc/self/ns/pid) $(id -u)\" >> {}",
        log.display()
    );
    let hook = script(&world, "hook", &line);
    let mut spec = hooked(&world, "true");
    for point in [
        Point::Poststop,
        Point::CreateRuntime,
        Point::Prestart,
        Point::CreateRuntime,
    ] {
        let number = spec.plan.hooks.len();
        add(&mut spec, point, &hook, &format!("{point:?}{number}"));
    }
    let running = spec.create(&world).unwrap();
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    let state = format!("{{\"status\":\"creating\",\"pid\":{}}}", running.pid);
    let expected = ["Prestart2", "CreateRuntime1", "CreateRuntime3"]
        .map(|name| format!("{name} value {state} {} 0\n", own.display()));
    assert_eq!(fs::read_to_string(&log).unwrap(), expected.concat());
    assert_eq!(running.finish().status, 0);
}

/// Bundles are closed to all but root.
fn a_container_hook_reaches_the_root_in_a_closed_directory() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let hook = script(
        &world,
        "hook",
        "bundle=$(dirname $1)\ncat $bundle/config.json > $1/read && test ! -e $bundle/secret",
    );
    let mut spec = hooked(&world, "cat /read");
    fs::write(world.path("bundle/config.json"), "configuration").unwrap();
    fs::write(world.path("bundle/secret"), "").unwrap();
    fs::set_permissions(world.path("bundle"), fs::Permissions::from_mode(0o700)).unwrap();
    let config = spec.add_source(text(&world.path("bundle/config.json")), SourceKind::Bind);
    spec.plan.root.as_mut().unwrap().shown_handles = vec![config];
    let root = text(&world.path("bundle/rootfs"));
    add(&mut spec, Point::CreateContainer, &hook, &root);
    assert_eq!(
        spec.create(&world).unwrap().finish().output,
        "configuration"
    );
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

fn what_a_container_hook_leaves_running_is_killed() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let hook = script(
        &world,
        "hook",
        "(setsid sleep 1000 & setsid sh -c 'sleep 1001 & sleep 1002' &) >/dev/null 2>&1",
    );
    let mut spec = hooked(&world, "ls -d /proc/[0-9]* | wc -l");
    add(&mut spec, Point::CreateContainer, &hook, "");
    // The shell, ls and wc, or fewer when they are quick.
    let count = spec.create(&world).unwrap().finish().output;
    assert!(count.trim().parse::<u32>().unwrap() <= 3, "{count}");
}

fn a_container_hook_runs_in_all_namespaces_of_the_container() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    // Writes into the root at the caller's path, as container root: the file belongs to it.
    let root = world.path("bundle/rootfs");
    let hook = script(
        &world,
        "hook",
        &format!(
            "exec > {}/hooked\nid -u\ncat\necho\nfor name in pid net ipc uts cgroup user; do readlink /proc/self/ns/$name; done\necho $$",
            root.display()
        ),
    );
    let mut spec = hooked(&world, "cat /hooked; stat -c %u /hooked");
    add(&mut spec, Point::CreateContainer, &hook, "");
    let running = spec.create(&world).unwrap();
    let namespaces = running.executed.namespaces.clone();
    let outcome = running.finish();
    let lines: Vec<&str> = outcome.output.lines().collect();
    assert_eq!(
        lines[..2],
        ["0", "{\"status\":\"creating\",\"pid\":1}"],
        "{}",
        outcome.output
    );
    for (index, name) in ["pid", "net", "ipc", "uts", "cgroup", "user"]
        .into_iter()
        .enumerate()
    {
        // The host's procfs shows no pid namespace links wrongly: they are those of the reading process.
        assert_eq!(lines[2 + index], namespaces[name], "{name}");
    }
    assert_eq!(lines.last(), Some(&"0"));
}

fn a_start_hook_runs_inside_before_the_program() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let inside = world.upper().join("hook");
    fs::write(
        &inside,
        "#!/bin/sh\n/bin/cat > /tmp/state\necho $VARIABLE >> /tmp/state\n",
    )
    .unwrap();
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o755)).unwrap();
    let mut spec = hooked(&world, "cat /tmp/state");
    // Filters that see no flags of clone3 say that it isn't there, so that programs fall back to clone.
    spec.process().seccomp = vec![all_but(libc::SYS_clone3, 0x0005_0000 | libc::ENOSYS as u32)];
    add(
        &mut spec,
        Point::StartContainer,
        std::path::Path::new("/hook"),
        "",
    );
    let running = spec.create(&world).unwrap();
    assert!(
        !world.upper().join("tmp/state").exists(),
        "it ran before the start"
    );
    assert_eq!(
        running.finish().output,
        "{\"status\":\"created\",\"pid\":1}value\n"
    );
}

fn a_failing_hook_fails_the_create_and_leaves_nothing() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    for point in [
        Point::Prestart,
        Point::CreateRuntime,
        Point::CreateContainer,
    ] {
        let hook = script(&world, "hook", "echo no such GPU >&2; exit 7");
        let mut spec = hooked(&world, "true");
        add(&mut spec, point, &hook, "");
        let failure = fails(spec.create(&world));
        assert_eq!(failure.step, "run hook", "{point:?}");
        assert_eq!(failure.object, text(&hook));
        assert_eq!(failure.cause, "exit status 7, said: no such GPU");
        assert!(
            cgroups::directories()
                .iter()
                .all(|directory| !directory.exists())
        );
    }
}

fn a_failing_start_hook_is_told_by_the_barrier() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = hooked(&world, "true");
    add(
        &mut spec,
        Point::StartContainer,
        std::path::Path::new("/no/hook"),
        "",
    );
    let mut running = spec.create(&world).unwrap();
    let failure = running.release().unwrap_err();
    assert_eq!(
        (failure.step.as_str(), failure.object.as_str()),
        ("run hook", "/no/hook")
    );
    assert!(
        failure.cause.contains("no such file or directory"),
        "{}",
        failure.cause
    );
    assert_ne!(crate::ended(&running.pidfd), Some(0));
}

fn a_hook_that_takes_too_long_is_killed() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let hook = script(&world, "hook", "echo waiting; sleep 1000 & wait");
    let mut spec = hooked(&world, "true");
    add(&mut spec, Point::Prestart, &hook, "");
    spec.plan.hooks[0].timeout_seconds = 1;
    let failure = fails(spec.create(&world));
    assert_eq!(failure.cause, "not finished after 1 s, said: waiting");
    // What it had started has been killed with it: it ends as soon as it gets to run.
    let own_children = || {
        let left = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
            let parent: u32 = stat
                .rsplit_once(')')?
                .1
                .split_ascii_whitespace()
                .nth(1)?
                .parse()
                .ok()?;
            let zombie = stat.contains(") Z ");
            (parent == std::process::id() && !zombie).then_some(stat)
        });
        left.collect::<Vec<_>>()
    };
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !own_children().is_empty() {
        assert!(std::time::Instant::now() < end, "{:?}", own_children());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn all_hooks_of_a_request_run_though_one_fails() {
    let world = World::new();
    let log = world.path("log");
    let good = script(&world, "good", &format!("cat >> {}", log.display()));
    let bad = script(&world, "bad", "echo bad; exit 3");
    let hook = |path: &PathBuf| {
        Hook {
            point: Point::Poststop.into(),
            path: text(path),
            ..Hook::default()
        }
        .encode_to_vec()
    };
    let stage = StageProcess::fork(world.floor_dir(), None);
    let failure = stage
        .run_hooks(vec![hook(&good), hook(&bad), hook(&good)], b"state\n")
        .unwrap_err();
    assert_eq!(
        (failure.object, failure.cause),
        (text(&bad), "exit status 3, said: bad".to_owned())
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), "state\nstate\n");
}

fn hooks_need_the_callers_place_of_the_root() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let hook = script(&world, "hook", "true");
    let mut spec = hooked(&world, "true");
    spec.plan.root.as_mut().unwrap().visible_handle = 0;
    add(&mut spec, Point::Prestart, &hook, "");
    assert_eq!(fails(spec.create(&world)).step, "run hook");
    // Nor does a network namespace of its own stand in the way of any of this.
    let mut spec = hooked(&world, "true");
    spec.without_namespace(Kind::Network);
    add(&mut spec, Point::Prestart, &hook, "");
    let volume = world.directory_with("volume", "file", "");
    let handle = spec.add_source(text(&volume), SourceKind::Bind);
    spec.plan.mounts.push(bind("/data", handle, RDONLY));
    assert_eq!(spec.create(&world).unwrap().finish().status, 0);
}
