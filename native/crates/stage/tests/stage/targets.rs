//! Where mounts may go and where their sources lead, whatever the image, or a process that exchanges names meanwhile, does.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use wire::keeper::source::Kind as SourceKind;
use wire::plan::namespace::Kind;

use crate::plans::{Spec, bind, container, device, fresh, output, run_script};
use crate::world::{World, text};
use crate::{Test, cgroups};

pub const TESTS: &[Test] = tests![
    mount_targets_are_made_inside_whatever_links_say,
    proc_and_sys_are_not_mounted_through_links,
    no_link_of_the_image_leads_a_mount_into_procfs,
    a_mount_over_the_root_is_refused,
    an_unknown_option_is_named,
    a_source_swapped_while_containers_start_diverts_nothing,
    a_target_swapped_while_containers_start_diverts_nothing,
];

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
        let failure = run_script(&world, |_| {}, "true").err().unwrap();
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
        let failure = run_script(
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
    let failure = run_script(
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
    let failure = run_script(
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
        if let Ok(running) = run_script(&world, change, "true") {
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
