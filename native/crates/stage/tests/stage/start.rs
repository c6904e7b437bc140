//! A container starts and is what its plan says, as far as /proc shows it.

use crate::Test;
use crate::cgroups;
use crate::plans::{CAPABILITIES, HOST_ID, container};
use crate::world::{World, text};

pub const TESTS: &[Test] = tests![
    a_container_runs_its_program_and_passes_its_exit_code_on,
    a_plain_directory_as_root_of_the_runtime_will_do,
    the_kernel_confirms_the_plan_at_the_barrier,
];

fn a_container_runs_its_program_and_passes_its_exit_code_on() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let outcome = container(
        &world,
        &[
            "sh",
            "-c",
            "echo hello from $(id -u) on $(cat /proc/sys/kernel/hostname), pid $$; exit 42",
        ],
    )
    .create(&world)
    .unwrap()
    .finish();
    assert_eq!(outcome.output, "hello from 0 on inside, pid 1\n");
    assert_eq!(outcome.status, 42);
}

/// As where containerd runs by chroot(8): the root is no mount, and so can be neither changed nor pivoted away.
fn a_plain_directory_as_root_of_the_runtime_will_do() {
    use rustix::mount::MountPropagationFlags;
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let root = world.path("plain");
    sys::namespaces::unshare(libc::CLONE_NEWNS).unwrap();
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).unwrap();
    // What lies beneath the directory for temporary files comes without the mounts that follow.
    let temporary = text(&std::env::temp_dir());
    for path in [temporary.as_str(), "/proc", "/sys", "/dev"] {
        let at = root.join(&path[1..]);
        std::fs::create_dir_all(&at).unwrap();
        if path == temporary {
            rustix::mount::mount_bind(path, &at).unwrap();
        } else {
            rustix::mount::mount_bind_recursive(path, &at).unwrap();
        }
    }
    rustix::process::chroot(&root).unwrap();
    rustix::process::chdir("/").unwrap();
    let outcome = container(
        &world,
        &["sh", "-c", "ls -d /plain /bin; cat /proc/self/mountinfo"],
    )
    .create(&world)
    .unwrap()
    .finish();
    assert!(outcome.output.contains("/bin"), "{}", outcome.output);
    assert!(!outcome.output.contains("plain\n"), "{}", outcome.output);
    assert!(
        !outcome.output.contains("brig-stage-tests"),
        "{}",
        outcome.output
    );
}

fn the_kernel_confirms_the_plan_at_the_barrier() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let running = container(&world, &["true"]).create(&world).unwrap();
    assert_eq!(
        running.status("Uid").split_ascii_whitespace().next(),
        Some(HOST_ID.to_string().as_str())
    );
    assert_eq!(running.status("CapEff"), format!("{CAPABILITIES:016x}"));
    assert_eq!(running.status("CapPrm"), format!("{CAPABILITIES:016x}"));
    assert_eq!(running.status("CapBnd"), format!("{CAPABILITIES:016x}"));
    assert_eq!(running.status("CapInh"), "0000000000000000");
    assert_eq!(running.status("CapAmb"), "0000000000000000");
    assert_eq!(running.status("NoNewPrivs"), "1");
    assert_eq!(running.status("Seccomp"), "2");
    let map: Vec<&str> = running.executed.uid_map.split_ascii_whitespace().collect();
    assert_eq!(map, ["0", "200000", "65536"]);
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        let own = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(
            running.executed.namespaces[name],
            own.to_str().unwrap(),
            "{name} namespace"
        );
    }
    assert!(running.executed.after_barrier.is_empty());
    assert_eq!(running.finish().status, 0);
}
