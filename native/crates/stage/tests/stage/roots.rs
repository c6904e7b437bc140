//! Root file systems: of what they can be made, whose the files are, what of them is the host's.

use std::fs;
use std::os::unix::fs::MetadataExt;

use wire::keeper::source::Kind as SourceKind;
use wire::plan::id_mapping::Mode;
use wire::plan::{Bind, IdMapping, Root, mount, root};

use crate::locking::orders;
use crate::plans::{HOST_ID, RDONLY, Spec, bind, fresh, output};
use crate::world::{HostMount, World, give, text};
use crate::{Test, cgroups};

pub const TESTS: &[Test] = tests![
    files_written_in_an_idmapped_overlay_keep_unshifted_ids,
    an_upper_layer_can_keep_its_ids,
    a_read_only_root_refuses_writes,
    a_plain_directory_serves_as_root,
    a_file_system_mounted_anew_serves_as_root,
    a_shared_root_is_shared_inside,
    the_layers_of_a_mounted_overlay_serve_a_second_time,
    a_block_device_serves_as_root,
];

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
