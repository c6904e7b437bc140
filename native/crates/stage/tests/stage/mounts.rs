//! Volumes and other mounts: what they show, who owns what, what reaches them from the host.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use wire::keeper::Source;
use wire::keeper::source::Kind as SourceKind;
use wire::plan::id_mapping::Mode;
use wire::plan::{Bind, Copy, IdMap, IdMapping, Mount, Overlay, mount};

use crate::keeper::{StageProcess, source};
use crate::locking::orders;
use crate::plans::{
    ALL_CAPABILITIES, HOST_ID, IDS, NODEV, NOEXEC, NOSUID, RDONLY, Spec, bind, capabilities, fresh,
    output, run_script,
};
use crate::world::{HostMount, World, give, text};
use crate::{Test, cgroups};

pub const TESTS: &[Test] = tests![
    a_bind_is_what_its_options_say,
    a_recursive_bind_is_read_only_all_the_way_down,
    an_idmapped_bind_shows_the_ids_of_its_source,
    a_recursive_idmap_shifts_every_mount_of_the_tree,
    a_file_is_bound_over_a_file_that_is_made,
    a_slave_mount_sees_what_the_host_mounts_later,
    a_private_mount_does_not,
    tmpcopyup_shows_what_the_image_had,
    small_configuration_is_copied,
    a_copy_beyond_its_bounds_is_refused,
    an_overlay_serves_as_a_volume,
    a_shared_volume_is_shared_inside_and_with_the_host_where_it_may,
];

fn a_bind_is_what_its_options_say() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let volume = world.directory_with("volume", "file", "content\n");
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o777)).unwrap();
    let with = |attr_set: u64| {
        let volume = text(&volume);
        move |spec: &mut Spec| {
            let handle = spec.add_source(volume, SourceKind::Bind);
            spec.plan.mounts.push(bind("/data", handle, attr_set));
        }
    };
    let script = "cat /data/file; grep ' /data ' /proc/self/mountinfo | cut -d' ' -f6; touch /data/new 2>&1 || true";
    let shown = output(&world, with(RDONLY | NOSUID | NODEV | NOEXEC), script);
    assert_eq!(
        shown,
        "content\nro,nosuid,nodev,noexec,relatime\ntouch: /data/new: Read-only file system\n"
    );
    let shown = output(&world, with(libc::MOUNT_ATTR_NOATIME), script);
    assert_eq!(shown, "content\nrw,noatime\n");
    assert!(volume.join("new").exists());
}

fn a_recursive_bind_is_read_only_all_the_way_down() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let volume = world.directory_with("volume", "file", "");
    let _below = HostMount::tmpfs(volume.join("below"));
    for (recursive, last) in [(true, "ro,nodev,relatime"), (false, "rw,nodev,relatime")] {
        let change = |spec: &mut Spec| {
            let handle = spec.add_source(text(&volume), SourceKind::Bind);
            let mut mount = bind("/data", handle, if recursive { 0 } else { RDONLY });
            mount.attr_set_recursive = NODEV | if recursive { RDONLY } else { 0 };
            spec.plan.mounts.push(mount);
        };
        let shown = output(
            &world,
            change,
            "grep ' /data' /proc/self/mountinfo | cut -d' ' -f5,6",
        );
        assert_eq!(
            shown,
            format!("/data ro,nodev,relatime\n/data/below {last}\n")
        );
    }
}

fn an_idmapped_bind_shows_the_ids_of_its_source() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    if !world.idmaps() {
        println!("the file system can't be idmapped");
        return;
    }
    let volume = world.directory_with("volume", "file", "");
    std::os::unix::fs::chown(volume.join("file"), Some(1000), Some(1000)).unwrap();
    let container_maps = IdMapping {
        mode: Mode::Container.into(),
        ..IdMapping::default()
    };
    // Id 1000 on disk is 5 inside, everything else is nobody.
    let own = vec![IdMap {
        container_id: 1000,
        host_id: HOST_ID + 5,
        size: 1,
    }];
    let own_maps = IdMapping {
        mode: Mode::Own.into(),
        uid_maps: own.clone(),
        gid_maps: own,
        recursive: false,
    };
    for (idmap, owner) in [
        (None, "65534:65534"),
        (Some(container_maps), "1000:1000"),
        (Some(own_maps), "5:5"),
    ] {
        let change = |spec: &mut Spec| {
            let handle = spec.add_source(text(&volume), SourceKind::Bind);
            spec.plan.mounts.push(Mount {
                idmap,
                ..bind("/data", handle, 0)
            });
        };
        assert_eq!(
            output(&world, change, "stat -c %u:%g /data/file"),
            format!("{owner}\n")
        );
    }
}

fn a_recursive_idmap_shifts_every_mount_of_the_tree() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let volume = world.directory_with("volume", "file", "");
    let below = volume.join("below");
    fs::create_dir(&below).unwrap();
    sys::namespaces::unshare(libc::CLONE_NEWNS).unwrap();
    let private =
        rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).unwrap();
    rustix::mount::mount(
        "tmpfs",
        &below,
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        None,
    )
    .unwrap();
    fs::write(below.join("file"), "").unwrap();
    for file in [volume.join("file"), below.join("file")] {
        std::os::unix::fs::chown(file, Some(1000), Some(1000)).unwrap();
    }
    let stage = StageProcess::fork(world.floor_dir(), None);
    let source = Source {
        want_mount: true,
        ..source(1, text(&volume), SourceKind::Bind)
    };
    let report = stage.open(vec![source]).unwrap().remove(0);
    stage.kill();
    assert!(report.has_mounts_below);
    if !report.can_idmap_tree {
        // Linux before 6.3, whose tmpfs can't.
        return;
    }
    for (recursive, owner) in [(true, "1000:1000"), (false, "65534:65534")] {
        let change = |spec: &mut Spec| {
            let handle = spec.add_source(text(&volume), SourceKind::Bind);
            let mut mount = bind("/data", handle, 0);
            mount.source = Some(mount::Source::Bind(Bind {
                handle,
                recursive: true,
            }));
            mount.idmap = Some(IdMapping {
                mode: Mode::Container.into(),
                recursive,
                ..IdMapping::default()
            });
            spec.plan.mounts.push(mount);
        };
        assert_eq!(
            output(&world, change, "stat -c %u:%g /data/file /data/below/file"),
            format!("1000:1000\n{owner}\n")
        );
    }
}

fn a_file_is_bound_over_a_file_that_is_made() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let volume = world.directory_with("volume", "resolv.conf", "nameserver 192.0.2.1\n");
    let change = |spec: &mut Spec| {
        let handle = spec.add_source(text(&volume.join("resolv.conf")), SourceKind::Bind);
        spec.plan
            .mounts
            .push(bind("/etc/resolv.conf", handle, RDONLY));
    };
    assert_eq!(
        output(&world, change, "cat /etc/resolv.conf"),
        "nameserver 192.0.2.1\n"
    );
    assert_eq!(
        fs::metadata(world.upper().join("etc/resolv.conf"))
            .unwrap()
            .len(),
        0
    );
}

fn mounted_later(propagation: u64) -> String {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let shared = HostMount::tmpfs(world.path("shared"));
    rustix::mount::mount_change(&shared.0, rustix::mount::MountPropagationFlags::SHARED).unwrap();
    let change = |spec: &mut Spec| {
        let handle = spec.add_source(text(&shared.0), SourceKind::Bind);
        spec.plan.mounts.push(Mount {
            propagation: propagation as u32,
            ..bind("/data", handle, 0)
        });
    };
    let mut running = run_script(&world, change, "read go; ls /data/later").unwrap();
    running.release().unwrap();
    fs::create_dir(shared.0.join("later")).unwrap();
    let later = HostMount::tmpfs(shared.0.join("later"));
    fs::write(later.0.join("seen"), "").unwrap();
    drop(running.input.take());
    let line = running.read_line();
    crate::ended(&running.pidfd).unwrap();
    line
}

fn a_slave_mount_sees_what_the_host_mounts_later() {
    assert_eq!(mounted_later(libc::MS_SLAVE | libc::MS_REC), "seen");
}

fn a_private_mount_does_not() {
    assert_eq!(mounted_later(0), "");
}

fn tmpcopyup_shows_what_the_image_had() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let had = world.upper().join("srv/deep");
    fs::create_dir_all(&had).unwrap();
    fs::write(had.join("file"), "kept").unwrap();
    fs::set_permissions(had.join("file"), fs::Permissions::from_mode(0o4750)).unwrap();
    symlink("deep/file", world.upper().join("srv/link")).unwrap();
    if !world.idmaps() {
        give(&world.upper());
    }
    std::os::unix::fs::chown(had.join("file"), Some(world.root_on_disk() + 1000), None).unwrap();
    fs::set_permissions(had.join("file"), fs::Permissions::from_mode(0o4750)).unwrap();
    let change = |spec: &mut Spec| {
        let mut mount = fresh("/srv", "tmpfs", RDONLY, &["mode=700"]);
        mount.tmpcopyup = true;
        spec.plan.mounts.push(mount);
    };
    let shown = output(
        &world,
        change,
        "cat /srv/link; stat -c ' %u %a' /srv/deep/file; touch /srv/x 2>&1 || true",
    );
    assert_eq!(
        shown,
        "kept 1000 4750\ntouch: /srv/x: Read-only file system\n"
    );
}

fn small_configuration_is_copied() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let volume = world.directory_with("volume", "file", "configuration\n");
    fs::create_dir(volume.join("..data")).unwrap();
    symlink("..data", volume.join("link")).unwrap();
    std::os::unix::fs::chown(volume.join("file"), Some(1000), Some(2000)).unwrap();
    let change = |spec: &mut Spec| {
        for (destination, path) in [
            ("/etc/tree", volume.clone()),
            ("/etc/single", volume.join("file")),
        ] {
            let handle = spec.add_source(text(&path), SourceKind::Bind);
            let source = Some(mount::Source::Copy(Copy {
                handle,
                max_bytes: 1000,
            }));
            spec.plan.mounts.push(Mount {
                destination: destination.into(),
                source,
                attr_set: RDONLY,
                ..Mount::default()
            });
        }
    };
    let script = "cat /etc/tree/file /etc/single; stat -c %u:%g /etc/tree/file /etc/single; readlink /etc/tree/link; echo x > /etc/single";
    let outcome = run_script(&world, change, script).unwrap().finish();
    assert_eq!(
        outcome.output,
        "configuration\nconfiguration\n1000:2000\n1000:2000\n..data\nsh: can't create /etc/single: Read-only file system\n"
    );
}

fn a_copy_beyond_its_bounds_is_refused() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let volume = world.directory_with("volume", "file", "configuration\n");
    let refused = |max_bytes: u32| {
        let change = |spec: &mut Spec| {
            let handle = spec.add_source(text(&volume), SourceKind::Bind);
            let source = Some(mount::Source::Copy(Copy { handle, max_bytes }));
            spec.plan.mounts.push(Mount {
                destination: "/etc/tree".into(),
                source,
                ..Mount::default()
            });
        };
        run_script(&world, change, "true").err().unwrap()
    };
    assert_eq!(refused(5).errno, libc::EFBIG);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        volume.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert_eq!(refused(500).errno, libc::EOPNOTSUPP);
    fs::remove_file(volume.join("fifo")).unwrap();
    std::os::unix::fs::chown(volume.join("file"), Some(IDS + 1), None).unwrap();
    assert_eq!(refused(500).errno, libc::EOVERFLOW);
}

fn an_overlay_serves_as_a_volume() {
    for order in orders() {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        let one = world.directory_with("one", "a", "one\n");
        let two = world.directory_with("two", "b", "two\n");
        if !world.idmaps() {
            give(&one);
            give(&two);
        }
        let change = |spec: &mut Spec| {
            spec.order = Some(order);
            let lower = [&one, &two]
                .map(|path| spec.add_source(text(path), SourceKind::Bind))
                .into();
            let source = Some(mount::Source::Overlay(Overlay {
                lower,
                ..Overlay::default()
            }));
            let mode = if world.idmaps() {
                Mode::Container
            } else {
                Mode::None
            };
            let idmap = Some(IdMapping {
                mode: mode.into(),
                ..IdMapping::default()
            });
            spec.plan.mounts.push(Mount {
                destination: "/volume".into(),
                source,
                idmap,
                ..Mount::default()
            });
        };
        assert_eq!(
            output(
                &world,
                change,
                "cat /volume/a /volume/b; stat -c %u /volume/a"
            ),
            "one\ntwo\n0\n"
        );
    }
}

fn a_shared_volume_is_shared_inside_and_with_the_host_where_it_may() {
    for user_namespace in [true, false] {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        let shared = HostMount::tmpfs(world.path("shared"));
        rustix::mount::mount_change(&shared.0, rustix::mount::MountPropagationFlags::SHARED)
            .unwrap();
        fs::create_dir(shared.0.join("inside")).unwrap();
        let change = |spec: &mut Spec| {
            if !user_namespace {
                spec.without_user_namespace();
            }
            let handle = spec.add_source(text(&shared.0), SourceKind::Bind);
            let propagation = (libc::MS_SHARED | libc::MS_REC) as u32;
            spec.plan.mounts.push(Mount {
                propagation,
                ..bind("/data", handle, 0)
            });
            spec.process().capabilities = Some(capabilities(ALL_CAPABILITIES & !(1 << 24)));
        };
        let script = "grep ' /data ' /proc/self/mountinfo | grep -c shared:; mount -t tmpfs none /data/inside";
        assert_eq!(output(&world, change, script), "1\n");
        // A mount made inside reaches the host only where the container's mounts are the host's equals.
        let reached = fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .contains("shared/inside");
        assert_eq!(reached, !user_namespace);
        if reached {
            rustix::mount::unmount(shared.0.join("inside"), rustix::mount::UnmountFlags::DETACH)
                .unwrap();
        }
    }
}
