//! The table of what a workload with all capabilities in its user namespace may do to its mounts: nothing that helps it.

use std::collections::BTreeMap;

use brig_stage::MountOrder;

use crate::Test;
use crate::cgroups;
use crate::plans::{ALL_CAPABILITIES, capabilities, container};
use crate::world::World;

pub const TESTS: &[Test] = tests![
    mounts_are_locked_in_the_detached_order,
    mounts_are_locked_in_the_attached_order,
    no_host_path_shows_in_either_order,
    without_the_last_unshare_the_masks_would_come_off,
];

/// Orders that this kernel can carry out.
pub fn orders() -> Vec<MountOrder> {
    match brig_stage::Template::make(None).unwrap().order {
        MountOrder::Detached => vec![MountOrder::Detached, MountOrder::Attached],
        MountOrder::Attached => vec![MountOrder::Attached],
    }
}

fn mounts_are_locked_in_the_detached_order() {
    if orders().contains(&MountOrder::Detached) {
        mounts_are_locked(MountOrder::Detached);
    } else {
        println!("this kernel has only the attached order");
    }
}

fn mounts_are_locked_in_the_attached_order() {
    mounts_are_locked(MountOrder::Attached);
}

pub fn answers(output: &str) -> BTreeMap<&str, &str> {
    output
        .lines()
        .map(|line| line.rsplit_once('=').unwrap_or_else(|| panic!("{output}")))
        .collect()
}

fn mounts_are_locked(order: MountOrder) {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(&world, &["/probe", "locking"]);
    spec.order = Some(order);
    spec.process().capabilities = Some(capabilities(ALL_CAPABILITIES));
    // Needs something behind it to be worth masking.
    spec.plan.masked_paths.push("/proc/version".into());
    let running = spec.create(&world).unwrap();
    assert_eq!(running.executed.mount_order, order.name());
    let outcome = running.finish();
    let answers = answers(&outcome.output);

    let expect = |name: &str, allowed: &[&str]| {
        let answer = answers
            .get(name)
            .unwrap_or_else(|| panic!("{name} in {}", outcome.output));
        assert!(
            allowed.contains(answer),
            "{name}: {answer}, expected {allowed:?}"
        );
    };
    for prefix in ["", "second: ", "nested: "] {
        let name = |attempt: &str| format!("{prefix}{attempt}");
        for mask in ["/proc/sys", "/proc", "/sys", "/dev"] {
            expect(&name(&format!("umount {mask}")), &["EINVAL"]);
        }
        for path in ["/proc/sys", "/sys"] {
            expect(&name(&format!("remount-rw {path}")), &["EPERM"]);
        }
        expect(&name("bind /proc"), &["EINVAL"]);
        expect(&name("clone /proc"), &["EINVAL"]);
        expect(&name("bind /sys"), &["EINVAL"]);
        expect(&name("fresh proc"), &["EPERM"]);
        expect(&name("fresh proc, pids alone"), &["EPERM"]);
        expect(&name("fsmount proc"), &["EPERM"]);
        expect(&name("fresh sysfs"), &["EPERM"]);
        expect(&name("umount /"), &["EINVAL", "EBUSY"]);
        expect(&name("umount /.."), &["EINVAL", "EBUSY"]);
        expect(&name("move /"), &["EINVAL", "EBUSY"]);
    }
    expect("rbind /proc", &["ok"]);
    expect("rbind, then umount kcore", &["EINVAL", "ENOENT"]);
    expect("rbind, then sys", &["EROFS", "EACCES"]);
    expect("escape by chroot", &["EPERM"]);
    expect("second mount namespace", &["ok"]);
    expect("nested user namespace", &["ok"]);
    assert_eq!(outcome.status, 0);
}

fn no_host_path_shows_in_either_order() {
    for order in orders() {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        let mut spec = container(&world, &["cat", "/proc/self/mountinfo"]);
        spec.order = Some(order);
        let output = spec.create(&world).unwrap().finish().output;

        assert!(!output.contains("brig-stage-tests"), "{order:?}: {output}");
        assert!(!output.contains(&cgroups::path()), "{order:?}: {output}");
        assert_eq!(
            output
                .lines()
                .filter(|line| line.contains(" - overlay "))
                .count(),
            1,
            "{output}"
        );
    }
}

/// The check above can fail: the same attempts in a container without a user namespace of its own, whose mounts nothing locks.
fn without_the_last_unshare_the_masks_would_come_off() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(&world, &["/probe", "locking"]);
    spec.without_user_namespace();
    spec.process().capabilities = Some(capabilities(ALL_CAPABILITIES & !(1 << 24)));
    let outcome = spec.create(&world).unwrap().finish();
    assert_eq!(answers(&outcome.output)["umount /proc/sys"], "ok");
}
