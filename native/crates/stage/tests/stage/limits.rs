//! The limits that brigd plans are limits that the kernel takes: what is recorded beside this file, and held against the planner
//! by its own tests, is written to a container's cgroups in its order, and read back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wire::plan::CgroupWrite;

use crate::Test;
use crate::cgroups::{self, Hierarchy};
use crate::plans::container;
use crate::world::World;

pub const TESTS: &[Test] = tests![planned_limits_are_taken_and_changed_while_the_container_runs,];

const V1: &str = include_str!("limits/v1");
const V2: &str = include_str!("limits/v2");

struct Step {
    name: &'static str,
    writes: Vec<Write>,
}

struct Write {
    file: &'static str,
    value: String,
}

impl Write {
    fn controller(&self) -> &str {
        let (controller, _) = self.file.split_once('.').unwrap();
        controller
    }
}

fn recorded(text: &'static str) -> Vec<Step> {
    let disk = disk();
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            let name = name.strip_suffix(']').unwrap();
            steps.push(Step {
                name,
                writes: Vec::new(),
            });
            continue;
        }
        let (file, value) = line.split_once('=').unwrap();
        let value = match value.strip_prefix("8:0 ") {
            Some(rest) => format!("{disk} {rest}"),
            None => value.to_owned(),
        };
        steps.last_mut().unwrap().writes.push(Write { file, value });
    }
    steps
}

/// Numbers of a disk that is there; limits are for those alone.
fn disk() -> String {
    let disks = fs::read_dir("/sys/block").unwrap();
    let numbers = |disk: &Path| {
        fs::read_to_string(disk.join("dev"))
            .unwrap()
            .trim()
            .to_owned()
    };
    let mut numbers: Vec<String> = disks.map(|disk| numbers(&disk.unwrap().path())).collect();
    numbers.sort();
    numbers.first().expect("a disk").clone()
}

/// Where a file of a controller is.
fn hierarchy_of(hierarchies: &[Hierarchy], controller: &str) -> usize {
    let on_v1 = |hierarchy: &Hierarchy| {
        hierarchy
            .controllers
            .split(',')
            .any(|name| name == controller)
    };
    hierarchies
        .iter()
        .position(on_v1)
        .or_else(|| hierarchies.iter().position(|hierarchy| hierarchy.v2))
        .unwrap_or_else(|| panic!("no hierarchy with {controller}"))
}

fn planned_limits_are_taken_and_changed_while_the_container_runs() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(&world, &["sleep", "1000"]);
    let plan = spec.plan.cgroups.as_mut().unwrap();
    let hierarchies = cgroups::hierarchies();
    let on_v2 = hierarchies[hierarchy_of(&hierarchies, "memory")].v2;
    let mut steps = recorded(if on_v2 { V2 } else { V1 });
    let running = steps.split_off(1);
    let [create] = steps.try_into().ok().unwrap();

    if on_v2 {
        let v2 = plan.dirs.iter_mut().find(|dir| dir.v2).unwrap();
        v2.enable = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids"]
            .map(str::to_owned)
            .into();
    }
    let directories: Vec<PathBuf> = hierarchies
        .iter()
        .map(|hierarchy| Path::new(&hierarchy.mount_point).join(cgroups::path()))
        .collect();
    plan.writes = create
        .writes
        .iter()
        .map(|write| CgroupWrite {
            dir: hierarchy_of(&hierarchies, write.controller()) as u32,
            file: write.file.into(),
            value: write.value.clone(),
            asked_by: write.file.into(),
            ignore_missing: false,
        })
        .collect();

    let mut container = spec.create(&world).unwrap();
    container.release().unwrap();
    let path = |write: &Write| {
        directories[hierarchy_of(&hierarchies, write.controller())].join(write.file)
    };
    let mut expected: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for step in [create].into_iter().chain(running) {
        for write in &step.writes {
            let path = path(write);
            // The first ones were written by the stage.
            if step.name != "create" {
                fs::write(&path, &write.value).unwrap_or_else(|error| {
                    panic!("{}: {path:?}={}: {error}", step.name, write.value)
                });
            }
            let values = expected.entry(path).or_default();
            // A line per device, to which each write adds.
            if !write.value.contains('=') {
                values.clear();
            }
            values.push(write.value.clone());
        }
        for (path, values) in &expected {
            for word in values.iter().flat_map(|value| value.split(' ')) {
                assert!(
                    shows(path, word),
                    "{}: {path:?} reads {:?} after {values:?}",
                    step.name,
                    fs::read_to_string(path)
                );
            }
        }
    }
    container.kill();
}

/// Whether a file has the word. Freezing takes a moment, of which cgroup v1 tells by nothing but the file.
fn shows(path: &Path, word: &str) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let content = fs::read_to_string(path).unwrap();
        if content
            .split_ascii_whitespace()
            .any(|present| present == word)
        {
            return true;
        }
        if !content.starts_with("FREEZING") || Instant::now() > until {
            return false;
        }
        std::thread::yield_now();
    }
}
