//! What hooks mount: the container has it, locked, and the host keeps nothing of it.

use std::fs;

use wire::keeper::source::Kind as SourceKind;
use wire::plan::hook::Point;

use crate::hooks::{add, hooked, script};
use crate::keeper::fails;
use crate::locking::{answers, orders};
use crate::plans::{ALL_CAPABILITIES, RDONLY, bind, capabilities};
use crate::world::{World, give, text};
use crate::{Test, cgroups};

pub const TESTS: &[Test] = tests![
    what_a_host_hook_mounts_into_the_root_is_there_and_locked,
    a_host_hook_finds_the_root_at_the_callers_place,
    a_container_hook_may_mount_and_what_it_mounts_is_locked,
    after_hooks_no_host_path_is_left,
    mounts_are_locked_with_hooks_too,
    unbindable_mounts_and_hooks_do_not_go_together,
];

/// The pattern of GPU hooks: enter the mount namespace of the container's process, mount from the host into the root at the
/// caller's path. nsenter and mount are the host's own, linked dynamically where the host's are.
fn what_a_host_hook_mounts_into_the_root_is_there_and_locked() {
    for order in orders() {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        let driver = world.directory_with("driver", "library", "from the host\n");
        let root = world.path("bundle/rootfs");
        let hook = script(
            &world,
            "gpu-hook",
            &format!(
                "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/') || exit 1\n\
                 exec nsenter -t $pid -m mount --bind {driver} {root}/srv",
                root = root.display(),
                driver = driver.display()
            ),
        );
        fs::create_dir(world.upper().join("srv")).unwrap();
        let mut spec = hooked(
            &world,
            "cat /srv/library; umount /srv 2>&1 | sed 's/.*: //'; mount -o remount,rw / && echo writable",
        );
        spec.order = Some(order);
        spec.plan.root.as_mut().unwrap().readonly = true;
        spec.process().capabilities = Some(capabilities(ALL_CAPABILITIES));
        add(&mut spec, Point::Prestart, &hook, "");
        let output = spec.create(&world).unwrap().finish().output;
        assert!(
            output.starts_with("from the host\nInvalid argument\n"),
            "{order:?}: {output}"
        );
        assert!(!output.contains("writable"), "{order:?}: {output}");
        assert_eq!(
            fs::read_dir(&root).unwrap().count(),
            0,
            "something was made on the host"
        );
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(
            !mountinfo.contains("brig-stage-tests"),
            "mounted on the host: {mountinfo}"
        );
    }
}

/// The other pattern: the hook finds the root where the caller has it, as under a runtime that mounts it on the host.
fn a_host_hook_finds_the_root_at_the_callers_place() {
    for order in orders() {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        let library = world.directory_with("driver", "library", "from the host\n");
        let root = world.path("bundle/rootfs");
        let hook = script(
            &world,
            "hook",
            &format!(
                "cd {root} && test -e bin/busybox && touch srv/target && ln -s target srv/link &&\n\
                 exec mount --bind {library}/library srv/target",
                root = root.display(),
                library = library.display()
            ),
        );
        let after = script(
            &world,
            "after",
            &format!("exec cat {}/srv/target", root.display()),
        );
        fs::create_dir(world.upper().join("srv")).unwrap();
        if !world.idmaps() {
            give(&world.upper().join("srv"));
        }
        let mut spec = hooked(
            &world,
            "cat /srv/link; stat -c %u /srv/link; umount /srv/target 2>&1 | sed 's/.*: //'; rm /srv/link",
        );
        spec.order = Some(order);
        spec.process().capabilities = Some(capabilities(ALL_CAPABILITIES));
        add(&mut spec, Point::CreateRuntime, &hook, "");
        add(&mut spec, Point::CreateContainer, &after, "");
        let output = spec.create(&world).unwrap().finish().output;
        assert_eq!(
            output, "from the host\n65534\nInvalid argument\n",
            "{order:?}"
        );
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
        assert!(!world.upper().join("srv/link").exists());
    }
}

/// Root of the container, and yet the mount namespace is its to mount in; afterwards nothing can be taken away again.
fn a_container_hook_may_mount_and_what_it_mounts_is_locked() {
    for order in orders() {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        let driver = world.directory_with("driver", "library", "from the host\n");
        let root = world.path("bundle/rootfs");
        let hook = script(
            &world,
            "hook",
            &format!(
                "mount -t tmpfs tmpfs {root}/srv && mkdir {root}/srv/driver && touch {root}/made &&\n\
                 mount --bind {driver} {root}/srv/driver || exit 1\n\
                 umount {root}/proc && exit 2\n\
                 umount {root} && exit 3\n\
                 exit 0",
                root = root.display(),
                driver = driver.display()
            ),
        );
        fs::create_dir(world.upper().join("srv")).unwrap();
        let mut spec = hooked(
            &world,
            "cat /srv/driver/library; for at in /srv/driver /srv; do umount $at 2>&1 | sed 's/.*: //'; done; stat -c %u /made",
        );
        spec.order = Some(order);
        spec.process().capabilities = Some(capabilities(ALL_CAPABILITIES));
        spec.plan.masked_paths = vec!["/proc/kcore".into()];
        add(&mut spec, Point::CreateContainer, &hook, "");
        let output = spec.create(&world).unwrap().finish().output;
        assert_eq!(
            output, "from the host\nInvalid argument\nInvalid argument\n0\n",
            "{order:?}"
        );
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mountinfo.contains("brig-stage-tests"), "{mountinfo}");
    }
}

fn after_hooks_no_host_path_is_left() {
    for order in orders() {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        let hook = script(&world, "hook", "true");
        let mut spec = hooked(
            &world,
            "cat /proc/self/mountinfo; ls -A /; ls -A /..; ls /w /bundle 2>/dev/null",
        );
        spec.order = Some(order);
        add(&mut spec, Point::CreateRuntime, &hook, "");
        let with = spec.create(&world).unwrap().finish().output;
        assert!(!with.contains("brig-stage-tests"), "{order:?}: {with}");
        let world = World::new();
        let mut spec = hooked(
            &world,
            "cat /proc/self/mountinfo; ls -A /; ls -A /..; ls /w /bundle 2>/dev/null",
        );
        spec.order = Some(order);
        let without = spec.create(&world).unwrap().finish().output;
        // Mount and device numbers apart, a container that had hooks sees what one without sees.
        let shape = |output: &str| -> Vec<String> {
            output
                .lines()
                .map(
                    |line| match line.split(' ').collect::<Vec<_>>().as_slice() {
                        [_, _, _, root, point, rest @ ..] => format!(
                            "{} {point} {rest:?}",
                            root.trim_start_matches([
                                '/', '6', '7', '4', '5', '1', '2', '3', '8', '9'
                            ])
                        ),
                        _ => line.to_owned(),
                    },
                )
                .collect()
        };
        assert_eq!(shape(&with), shape(&without), "{order:?}");
    }
}

fn mounts_are_locked_with_hooks_too() {
    for order in orders() {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        let hook = script(&world, "hook", "true");
        let mut spec = hooked(&world, "");
        spec.process().args = vec!["/probe".into(), "locking".into()];
        spec.process().capabilities = Some(capabilities(ALL_CAPABILITIES));
        spec.order = Some(order);
        add(&mut spec, Point::CreateRuntime, &hook, "");
        let output = spec.create(&world).unwrap().finish().output;
        let answers = answers(&output);
        for prefix in ["", "second: ", "nested: "] {
            for (attempt, answer) in [
                ("umount /proc/sys", "EINVAL"),
                ("umount /proc", "EINVAL"),
                ("umount /sys", "EINVAL"),
                ("remount-rw /proc/sys", "EPERM"),
                ("bind /proc", "EINVAL"),
                ("fresh proc", "EPERM"),
                ("fsmount proc", "EPERM"),
                ("fresh sysfs", "EPERM"),
            ] {
                assert_eq!(
                    answers[format!("{prefix}{attempt}").as_str()],
                    answer,
                    "{order:?} {prefix}{attempt}"
                );
            }
        }
        assert_eq!(answers["escape by chroot"], "EPERM", "{order:?}");
    }
}

fn unbindable_mounts_and_hooks_do_not_go_together() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let hook = script(&world, "hook", "true");
    let mut spec = hooked(&world, "true");
    let volume = world.directory_with("volume", "file", "");
    let handle = spec.add_source(text(&volume), SourceKind::Bind);
    let mut mount = bind("/data", handle, RDONLY);
    mount.propagation = rustix::mount::MountPropagationFlags::UNBINDABLE.bits();
    spec.plan.mounts.push(mount);
    add(&mut spec, Point::CreateContainer, &hook, "");
    let failure = fails(spec.create(&world));
    assert_eq!(
        (failure.step.as_str(), failure.object.as_str()),
        ("run hook", "/data")
    );
}
