//! The floor: a plan beneath it is refused before anything is done, whoever made it.

use std::fs;

use wire::plan::namespace::Kind;
use wire::plan::{ExecPlan, LaunchPlan, launch_plan};

use crate::exec::waiting;
use crate::failures::{Fault, nothing_is_left};
use crate::keeper::{StageProcess, fails};
use crate::plans::{container, exec_plan, process, refused};
use crate::world::World;
use crate::{Test, cgroups};

pub const TESTS: &[Test] = tests![
    a_plan_at_the_floor_runs,
    a_forged_plan_below_the_floor_is_refused_before_anything_is_done,
    a_plan_can_not_choose_the_floor_of_another_class,
    a_class_without_a_floor_is_refused,
    the_shipped_floor_is_understood,
    an_exec_below_the_floor_is_refused,
];

const FLOOR: &str = "require user-namespace\nrequire no-new-privileges\nrequire seccomp\nhost-ids-from 65536\nmask /proc/kcore\nread-only /proc/sys\n";

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

/// The other class demands less, and the plan says that it is of that one.
fn a_plan_can_not_choose_the_floor_of_another_class() {
    let world = World::new();
    world.floor(FLOOR);
    let mut spec = container(&world, &["true"]);
    spec.process().no_new_privileges = false;
    fs::write(world.floor_dir().join("weak.floor"), "limit mounts 4096\n").unwrap();
    let stage = StageProcess::fork(world.floor_dir(), None);
    stage.open(spec.sources).unwrap();
    let plan = LaunchPlan {
        contract_version: wire::PLAN_VERSION,
        class_name: "weak".into(),
        kind: Some(launch_plan::Kind::Create(spec.plan)),
        ..LaunchPlan::default()
    };
    let failure = fails(stage.execute_plan(&plan, None));
    assert_eq!(
        (failure.step.as_str(), failure.cause.as_str()),
        ("check floor", "the pod is of class \"test\"")
    );
    nothing_is_left("another class");
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
