//! Mounts: what they show, who owns what, where they may go.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use wire::keeper::source::Kind as SourceKind;
use wire::keeper::{Failure, Source};
use wire::plan::id_mapping::Mode;
use wire::plan::namespace::Kind;
use wire::plan::{Bind, Copy, IdMap, IdMapping, Mount, Overlay, Root, mount, root};

use crate::Test;
use crate::cgroups;
use crate::keeper::{Running, StageProcess, source};
use crate::locking::orders;
use crate::plans::{
    ALL_CAPABILITIES, HOST_ID, IDS, NODEV, NOEXEC, NOSUID, RDONLY, Spec, bind, capabilities,
    container, device, fresh,
};
use crate::world::{World, give, text};

pub const TESTS: &[Test] = &[
    (
        "files_written_in_an_idmapped_overlay_keep_unshifted_ids",
        files_written_in_an_idmapped_overlay_keep_unshifted_ids,
    ),
    (
        "an_upper_layer_can_keep_its_ids",
        an_upper_layer_can_keep_its_ids,
    ),
    (
        "a_read_only_root_refuses_writes",
        a_read_only_root_refuses_writes,
    ),
    (
        "a_plain_directory_serves_as_root",
        a_plain_directory_serves_as_root,
    ),
    (
        "a_file_system_mounted_anew_serves_as_root",
        a_file_system_mounted_anew_serves_as_root,
    ),
    (
        "a_bind_is_what_its_options_say",
        a_bind_is_what_its_options_say,
    ),
    (
        "a_recursive_bind_is_read_only_all_the_way_down",
        a_recursive_bind_is_read_only_all_the_way_down,
    ),
    (
        "an_idmapped_bind_shows_the_ids_of_its_source",
        an_idmapped_bind_shows_the_ids_of_its_source,
    ),
    (
        "a_recursive_idmap_shifts_every_mount_of_the_tree",
        a_recursive_idmap_shifts_every_mount_of_the_tree,
    ),
    (
        "a_file_is_bound_over_a_file_that_is_made",
        a_file_is_bound_over_a_file_that_is_made,
    ),
    (
        "a_slave_mount_sees_what_the_host_mounts_later",
        a_slave_mount_sees_what_the_host_mounts_later,
    ),
    ("a_private_mount_does_not", a_private_mount_does_not),
    (
        "tmpcopyup_shows_what_the_image_had",
        tmpcopyup_shows_what_the_image_had,
    ),
    (
        "small_configuration_is_copied",
        small_configuration_is_copied,
    ),
    (
        "a_copy_beyond_its_bounds_is_refused",
        a_copy_beyond_its_bounds_is_refused,
    ),
    (
        "an_overlay_serves_as_a_volume",
        an_overlay_serves_as_a_volume,
    ),
    (
        "mount_targets_are_made_inside_whatever_links_say",
        mount_targets_are_made_inside_whatever_links_say,
    ),
    (
        "proc_and_sys_are_not_mounted_through_links",
        proc_and_sys_are_not_mounted_through_links,
    ),
    (
        "no_link_of_the_image_leads_a_mount_into_procfs",
        no_link_of_the_image_leads_a_mount_into_procfs,
    ),
    (
        "a_mount_over_the_root_is_refused",
        a_mount_over_the_root_is_refused,
    ),
    ("an_unknown_option_is_named", an_unknown_option_is_named),
    (
        "a_shared_root_is_shared_inside",
        a_shared_root_is_shared_inside,
    ),
    (
        "a_shared_volume_is_shared_inside_and_with_the_host_where_it_may",
        a_shared_volume_is_shared_inside_and_with_the_host_where_it_may,
    ),
    (
        "the_layers_of_a_mounted_overlay_serve_a_second_time",
        the_layers_of_a_mounted_overlay_serve_a_second_time,
    ),
    (
        "a_block_device_serves_as_root",
        a_block_device_serves_as_root,
    ),
    (
        "a_source_swapped_while_containers_start_diverts_nothing",
        a_source_swapped_while_containers_start_diverts_nothing,
    ),
    (
        "a_target_swapped_while_containers_start_diverts_nothing",
        a_target_swapped_while_containers_start_diverts_nothing,
    ),
];

fn run(world: &World, change: impl FnOnce(&mut Spec), script: &str) -> Result<Running, Failure> {
    cgroups::remove();
    let mut spec = container(world, &["sh", "-c", script]);
    change(&mut spec);
    spec.create(world)
}

fn output(world: &World, change: impl FnOnce(&mut Spec), script: &str) -> String {
    let outcome = run(world, change, script).unwrap().finish();
    assert_eq!(outcome.status, 0, "{}", outcome.output);
    outcome.output
}

fn files_written_in_an_idmapped_overlay_keep_unshifted_ids() {
    for order in orders() {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        let script = "touch /root/mine /tmp/users; chown 1000:1000 /tmp/users; rm /etc/passwd; stat -c %u:%g / /tmp/users /root/mine";
        let shown = output(&world, |spec| spec.order = Some(order), script);
        assert_eq!(shown, "0:0\n1000:1000\n0:0\n");
        let owner = |name: &str| {
            fs::symlink_metadata(world.upper().join(name))
                .unwrap()
                .uid()
        };
        let base = world.root_on_disk();
        assert_eq!(owner("root/mine"), base);
        assert_eq!(owner("tmp/users"), base + 1000);
        // The whiteout of the removed file.
        assert_eq!(
            fs::symlink_metadata(world.upper().join("etc/passwd"))
                .unwrap()
                .rdev(),
            0
        );
    }
}

fn an_upper_layer_can_keep_its_ids() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    give(&world.path("upper"));
    let keep = |spec: &mut Spec| match spec.plan.root.as_mut().unwrap().source.as_mut().unwrap() {
        root::Source::Overlay(overlay) => overlay.keep_upper_ids = true,
        _ => unreachable!(),
    };
    assert_eq!(
        output(&world, keep, "touch /root/mine; stat -c %u /root/mine /bin"),
        "0\n0\n"
    );
    assert_eq!(
        fs::metadata(world.upper().join("root/mine")).unwrap().uid(),
        HOST_ID
    );
}

fn a_read_only_root_refuses_writes() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let shown = output(
        &world,
        |spec| spec.plan.root.as_mut().unwrap().readonly = true,
        "touch /x 2>&1; touch /dev/shm/y && echo shm",
    );
    assert_eq!(shown, "touch: /x: Read-only file system\nshm\n");
}

fn a_plain_directory_serves_as_root() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let plain = |spec: &mut Spec| {
        let handle = spec.add_source(text(&world.image()), SourceKind::Bind);
        let root = spec.plan.root.as_mut().unwrap();
        root.source = Some(root::Source::Bind(Bind {
            handle,
            recursive: false,
        }));
        root.readonly = true;
        // Nothing can be made in it: only what the image has.
        spec.plan
            .mounts
            .retain(|mount| ["/proc", "/dev"].contains(&mount.destination.as_str()));
        spec.plan.masked_paths.clear();
    };
    assert_eq!(
        output(&world, plain, "stat -c %u /bin; touch /x 2>&1 || true"),
        "0\ntouch: /x: Read-only file system\n"
    );
}

fn a_file_system_mounted_anew_serves_as_root() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let anew = |spec: &mut Spec| {
        let Some(mount::Source::Fresh(tmpfs)) = fresh("/", "tmpfs", 0, &["mode=755"]).source else {
            unreachable!()
        };
        spec.plan.root = Some(Root {
            source: Some(root::Source::Fresh(tmpfs)),
            ..Root::default()
        });
        let image = spec.add_source(text(&world.image().join("bin")), SourceKind::Bind);
        let mut bin = bind("/bin", image, RDONLY);
        if world.idmaps() {
            bin.idmap = Some(IdMapping {
                mode: Mode::Container.into(),
                ..IdMapping::default()
            });
        }
        spec.plan.mounts.insert(0, bin);
    };
    let shown = output(
        &world,
        anew,
        "grep ' / / ' /proc/self/mountinfo | sed 's/.* - //'; stat -c %u /",
    );
    assert!(shown.starts_with("tmpfs tmpfs rw"), "{shown}");
    assert!(shown.ends_with("\n0\n"), "{shown}");
}

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

/// A mount on the host, gone at the end.
struct HostMount(std::path::PathBuf);

impl HostMount {
    fn tmpfs(place: std::path::PathBuf) -> HostMount {
        fs::create_dir_all(&place).unwrap();
        rustix::mount::mount(
            "tmpfs",
            &place,
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            None,
        )
        .unwrap();
        HostMount(place)
    }
}

impl Drop for HostMount {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
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
    let mut running = run(&world, change, "read go; ls /data/later").unwrap();
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
    let outcome = run(&world, change, script).unwrap().finish();
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
        run(&world, change, "true").err().unwrap()
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

fn mount_targets_are_made_inside_whatever_links_say() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let outside = world.directory_with("outside", "marker", "");
    symlink(&outside, world.upper().join("absolute")).unwrap();
    symlink(
        "../../../../../../../../../..".to_owned() + &text(&outside),
        world.upper().join("climbing"),
    )
    .unwrap();
    let volume = world.directory_with("volume", "file", "");
    let change = |spec: &mut Spec| {
        let handle = spec.add_source(text(&volume), SourceKind::Bind);
        for destination in ["/absolute/a", "/climbing/b", "/var/run/c", "/x/../../../y"] {
            spec.plan.mounts.push(bind(destination, handle, 0));
        }
    };
    let script = format!(
        "ls -d {}/a/file {}/b/file /run/c/file /y/file",
        outside.display(),
        outside.display()
    );
    let shown = output(&world, change, &script);
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert_eq!(
        fs::read_dir(&outside).unwrap().count(),
        1,
        "something was made on the host"
    );
}

fn proc_and_sys_are_not_mounted_through_links() {
    for name in ["proc", "sys"] {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        fs::create_dir(world.upper().join("evil")).unwrap();
        symlink("/evil", world.upper().join(name)).unwrap();
        let failure = run(&world, |_| {}, "true").err().unwrap();
        assert_eq!(
            (failure.step.as_str(), failure.object.as_str()),
            ("mount", format!("/{name}").as_str())
        );
        assert_eq!(failure.remedy, "make it an ordinary directory in the image");
    }
}

fn no_link_of_the_image_leads_a_mount_into_procfs() {
    for target in ["/proc", "../../proc/1", "/proc/sys/kernel"] {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        symlink(target, world.upper().join("innocent")).unwrap();
        let failure = run(
            &world,
            |spec| spec.plan.mounts.push(fresh("/innocent", "tmpfs", 0, &[])),
            "true",
        )
        .err()
        .unwrap();
        assert_eq!(failure.cause, "leads into procfs by a link", "{target}");
    }
}

fn a_mount_over_the_root_is_refused() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let failure = run(
        &world,
        |spec| spec.plan.mounts.push(fresh("/./", "tmpfs", 0, &[])),
        "true",
    )
    .err()
    .unwrap();
    assert_eq!(failure.cause, "a mount over the root itself");
}

fn an_unknown_option_is_named() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let failure = run(
        &world,
        |spec| {
            spec.plan
                .mounts
                .push(fresh("/x", "tmpfs", 0, &["nonsense=1"]))
        },
        "true",
    )
    .err()
    .unwrap();
    assert!(failure.cause.contains("nonsense"), "{failure:?}");
    assert_eq!(failure.errno, libc::EINVAL);
}

fn a_shared_root_is_shared_inside() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let shared = |spec: &mut Spec| {
        spec.plan.root.as_mut().unwrap().propagation = (libc::MS_SHARED | libc::MS_REC) as u32
    };
    let shown = output(&world, shared, "grep ' / / ' /proc/self/mountinfo");
    assert!(shown.contains(" shared:"), "{shown}");
    let shown = output(&world, |_| {}, "grep ' / / ' /proc/self/mountinfo");
    assert!(
        !shown.contains("shared:") && !shown.contains("master:"),
        "{shown}"
    );
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

/// As Docker, Podman and CRI-O give their roots: an overlay that is mounted already, and can't itself be idmapped.
fn the_layers_of_a_mounted_overlay_serve_a_second_time() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let merged = world.path("merged");
    fs::create_dir(&merged).unwrap();
    let options = format!(
        "lowerdir={}:{},upperdir={},workdir={},index=off",
        text(&world.probe_layer()),
        text(&world.image()),
        text(&world.upper()),
        text(&world.path("upper/work"))
    );
    let options = std::ffi::CString::new(options).unwrap();
    rustix::mount::mount(
        "overlay",
        &merged,
        "overlay",
        rustix::mount::MountFlags::empty(),
        options.as_c_str(),
    )
    .unwrap();
    let mounted = HostMount(merged);
    let beside = |spec: &mut Spec| {
        if let Some(root::Source::Overlay(overlay)) = spec
            .plan
            .root
            .as_mut()
            .and_then(|root| root.source.as_mut())
        {
            overlay.work_is_shared = true;
        }
    };
    assert_eq!(
        output(
            &world,
            beside,
            "echo written > /root/file; stat -c %u /root/file"
        ),
        "0\n"
    );
    assert_eq!(
        fs::read_to_string(mounted.0.join("root/file")).unwrap(),
        "written\n"
    );
    assert_eq!(
        fs::metadata(mounted.0.join("root/file")).unwrap().uid(),
        world.root_on_disk()
    );
    // The other mount still writes: it has its work directory for itself.
    fs::set_permissions(
        mounted.0.join("bin/busybox"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
}

/// An ext4 image on a loop device, as block snapshotters give one.
fn a_block_device_serves_as_root() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let Some(device) = loop_device(&world) else {
        println!("no mkfs.ext4 or no loop device here");
        return;
    };
    let from_device = |spec: &mut Spec| {
        let handle = spec.add_source(device.clone(), SourceKind::Device);
        let fs_type = "ext4".to_owned();
        let fresh = wire::plan::Fresh {
            fs_type,
            handle,
            ..wire::plan::Fresh::default()
        };
        spec.plan.root = Some(Root {
            source: Some(root::Source::Fresh(fresh)),
            idmap: true,
            ..Root::default()
        });
    };
    let shown = output(
        &world,
        from_device,
        "stat -c %u / /bin/sh; grep ' / / ' /proc/self/mountinfo; touch /made",
    );
    let detached = std::process::Command::new("losetup")
        .args(["-d", &device])
        .status()
        .unwrap();
    assert!(detached.success());
    assert!(
        shown.starts_with("0\n0\n") && shown.contains(" - ext4 "),
        "{shown}"
    );
    assert!(
        !shown.contains("loop") && !shown.contains("brig-stage-tests"),
        "{shown}"
    );
}

/// A loop device over an ext4 file system that holds the image.
fn loop_device(world: &World) -> Option<String> {
    use std::process::Command;
    let file = text(&world.path("disk"));
    fs::File::create(&file).unwrap().set_len(64 << 20).unwrap();
    let made = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-d", &text(&world.image()), &file])
        .status()
        .ok()?;
    let attached = Command::new("losetup")
        .args(["-f", "--show", &file])
        .output()
        .ok()?;
    (made.success() && attached.status.success())
        .then(|| String::from_utf8_lossy(&attached.stdout).trim().to_owned())
}

/// Exchanges two names for ever, in a process of its own; ends with the value.
struct Swapper(std::os::fd::OwnedFd);

impl Swapper {
    fn start(one: std::path::PathBuf, other: std::path::PathBuf) -> Swapper {
        match unsafe { sys::clone::fork(sys::clone::ForkFlags::empty(), None) }.unwrap() {
            sys::clone::Forked::Child => {
                sys::credentials::die_with_parent().unwrap();
                loop {
                    let flags = rustix::fs::RenameFlags::EXCHANGE;
                    rustix::fs::renameat_with(
                        rustix::fs::CWD,
                        &one,
                        rustix::fs::CWD,
                        &other,
                        flags,
                    )
                    .unwrap();
                }
            }
            sys::clone::Forked::Parent { pidfd, .. } => Swapper(pidfd),
        }
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        rustix::process::pidfd_send_signal(&self.0, rustix::process::Signal::KILL).unwrap();
        crate::ended(&self.0);
    }
}

/// What a race is not about, and takes most of the time of a round.
fn quick(spec: &mut Spec) {
    spec.plan.cgroups = None;
    spec.plan
        .mounts
        .retain(|mount| mount.destination != "/sys/fs/cgroup");
    spec.without_namespace(Kind::Network);
    spec.plan.masked_paths.clear();
    spec.plan.readonly_paths.clear();
}

/// The source of a mount is a directory one moment and a link to the host's secret the next. What was reported is what is
/// mounted, whichever it was.
fn a_source_swapped_while_containers_start_diverts_nothing() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let plain = world.directory_with("volume", "which", "plain");
    let secret = world.directory_with("secret", "which", "secret");
    symlink(&secret, world.path("link")).unwrap();
    let swapper = Swapper::start(plain.clone(), world.path("link"));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..crate::rounds() {
        let mut spec = container(&world, &["true"]);
        quick(&mut spec);
        let handle = spec.add_source(text(&plain), SourceKind::Bind);
        spec.plan.mounts.push(bind("/data", handle, 0));
        let stage = crate::keeper::StageProcess::fork(world.floor_dir(), None);
        let reports = stage.open(std::mem::take(&mut spec.sources)).unwrap();
        let reported = reports.last().unwrap().inode;
        let is_secret = reported == fs::metadata(&secret).unwrap().ino();
        let running = stage
            .execute(wire::plan::launch_plan::Kind::Create(spec.plan), None)
            .unwrap();
        // Through the root of the process that stands at its barrier.
        let inside = format!("/proc/{}/root/data/which", running.pid);
        let content = fs::read_to_string(inside).unwrap();
        assert_eq!(content, if is_secret { "secret" } else { "plain" });
        seen.insert(content);
        running.kill();
    }
    drop(swapper);
    println!("{} rounds, seen: {seen:?}", crate::rounds());
}

/// The target of a nested mount lies on a volume in which another process exchanges a directory with a link to the host's root.
fn a_target_swapped_while_containers_start_diverts_nothing() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let volume = world.directory_with("volume", "file", "");
    let outside = world.directory_with("outside", "marker", "");
    fs::create_dir(volume.join("target")).unwrap();
    symlink(&outside, volume.join("link")).unwrap();
    let swapper = Swapper::start(volume.join("target"), volume.join("link"));
    let mut started = 0;
    for _ in 0..crate::rounds() {
        let change = |spec: &mut Spec| {
            quick(spec);
            let handle = spec.add_source(text(&volume), SourceKind::Bind);
            spec.plan.mounts.push(bind("/data", handle, 0));
            spec.plan
                .mounts
                .push(fresh("/data/target/made", "tmpfs", 0, &[]));
            spec.plan.devices.push(device("/data/target/node", 1, 3));
            spec.process().cwd = "/data/target/cwd".into();
        };
        // It may fail, where the kernel can't tell where a name leads.
        if let Ok(running) = run(&world, change, "true") {
            running.kill();
            started += 1;
        }
    }
    drop(swapper);
    println!("{} rounds, {started} started", crate::rounds());
    assert!(started > 0);
    let made: Vec<_> = fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(made, ["marker"], "made on the host");
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mountinfo.contains("brig-stage-tests"),
        "mounted on the host: {mountinfo}"
    );
}
