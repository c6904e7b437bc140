//! The stage's parsers of bytes from outside, for native/fuzz: each takes anything and comes to an end.

use wire::Message;
use wire::plan::{LaunchPlan, SeccompFilter, launch_plan};

use crate::floor::Floor;
use crate::idmap::IdMaps;
use crate::{bounds, child, mountinfo, seccomp};

/// A parser's name and what to feed.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("stage-plan", plan),
    ("stage-floor", floor),
    ("stage-seccomp", filter),
    ("stage-mountinfo", mounts),
    ("stage-passwd", passwd),
];

const FLOOR: &str = "require user-namespace\nrequire no-new-privileges\nrequire seccomp\nhost-ids-from 65536\nmask /proc/kcore\nread-only /proc/sys\n";

/// A plan, through all that is checked before anything is done.
fn plan(bytes: &[u8]) {
    let Ok(plan) = LaunchPlan::decode(bytes) else {
        return;
    };
    let Ok(floor) = Floor::parse(FLOOR, "class.floor") else {
        panic!("a floor as it is shipped");
    };
    match plan.kind {
        Some(launch_plan::Kind::Create(create)) => {
            let Ok(maps) = IdMaps::of_plan(&create.uid_maps, &create.gid_maps) else {
                return;
            };
            let _ = bounds::check_create(&create);
            if floor.check_create(&create, &maps).is_ok() {
                assert!(create.process.as_ref().is_some_and(
                    |process| process.no_new_privileges && !process.seccomp.is_empty()
                ));
            }
        }
        Some(launch_plan::Kind::Exec(exec)) => {
            let _ = floor.check_exec(&exec);
            let _ = exec.process.as_ref().map(bounds::check_process);
        }
        _ => {}
    }
}

fn floor(bytes: &[u8]) {
    let _ = Floor::parse(&String::from_utf8_lossy(bytes), "class.floor");
}

/// A filter's program, run over a call: it must come to an end.
fn filter(bytes: &[u8]) {
    let plan = SeccompFilter {
        program: bytes.to_vec(),
        ..SeccompFilter::default()
    };
    if let Ok(filters) = seccomp::of_plan(&[plan]) {
        let _ = seccomp::all_allow(&filters, libc::SYS_read, [1; 6]);
    }
}

fn mounts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(mountinfo::parse(&text).len() <= text.lines().count());
}

/// A passwd file of an image.
fn passwd(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(home) = child::lookup::home_in(&text, 1000) {
        assert!(home.starts_with('/'));
    }
}
