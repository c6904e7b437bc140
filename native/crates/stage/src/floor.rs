//! The floor: what no plan of a runtime class may go below, whoever made it. One file per class, `<class>.floor`, owned by
//! root and writable by nobody else, one demand per line:
//!
//! ```text
//! require user-namespace              new or joined; an exec must enter it. Also: pid-, ipc-, uts-, network-, cgroup-namespace
//! require no-new-privileges
//! require seccomp                     every process gets at least one filter
//! host-ids-from 65536                 no id map names a host id below this one
//! mask /proc/kcore                    the plan masks this path (or one above it), on every procfs it mounts
//! read-only /proc/sys                 the plan makes this path (or one above it) read-only, or masks it
//! limit mounts 1000                   also: devices; and hooks, which are programs of the host
//! # comment
//! ```
//!
//! A missing, unreadable or unknown floor refuses every plan of the class.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags};
use wire::plan::namespace::Kind;
use wire::plan::{CreatePlan, ExecPlan, Process, mount};

use crate::Class;
use crate::errors::{At, Result, StageError, Step};
use crate::idmap::{Extent, IdMaps};

const MAX_SIZE: usize = 64 << 10;
const MAX_CLASS_NAME: usize = 64;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Floor {
    file: String,
    namespaces: Vec<(Kind, String)>,
    /// Lowest host id that a map may name; 0: any, and none need be mapped.
    host_ids_from: u32,
    no_new_privileges: bool,
    seccomp: bool,
    masks: Vec<String>,
    read_only: Vec<String>,
    mounts: Option<usize>,
    devices: Option<usize>,
    hooks: Option<usize>,
}

impl Floor {
    /// The floor for a plan that says it is of this class, which is the pod's for as long as the pod lives: whoever makes plans
    /// doesn't choose the floor.
    pub fn of_plan(class: &Class, said: &str) -> Result<Floor> {
        if said != class.name {
            return Err(StageError::new(
                Step::CheckFloor,
                format!("class {said:?}"),
                format!("the pod is of class {:?}", class.name),
            ));
        }
        Floor::read(class)
    }

    pub fn read(class: &Class) -> Result<Floor> {
        let (directory, class_name) = (class.floor_dir.as_path(), class.name.as_str());
        let known =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if class_name.is_empty()
            || class_name.len() > MAX_CLASS_NAME
            || !class_name.chars().all(known)
        {
            return Err(StageError::new(
                Step::CheckFloor,
                format!("{class_name:?}"),
                "not the name of a runtime class",
            ));
        }
        let name = format!("{}/{class_name}.floor", directory.display());
        let remedy = "install the class's floor file, owned by root with mode 0644";
        let told = |error: StageError| error.remedy(remedy);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(directory, flags, Mode::empty())
            .at(Step::CheckFloor, directory.display());
        let directory = opened.map_err(told)?;
        trusted(&directory, FileType::Directory, &name)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = format!("{class_name}.floor");
        let file = rustix::fs::openat(&directory, &file, flags, Mode::empty())
            .at(Step::CheckFloor, &name)
            .map_err(told)?;
        trusted(&file, FileType::RegularFile, &name)?;
        let mut content = vec![0u8; MAX_SIZE + 1];
        let mut length = 0;
        while length < content.len() {
            match rustix::io::read(&file, &mut content[length..]).at(Step::CheckFloor, &name)? {
                0 => break,
                more => length += more,
            }
        }
        if length > MAX_SIZE {
            return Err(StageError::new(
                Step::CheckFloor,
                name,
                format!("longer than {MAX_SIZE} bytes"),
            ));
        }
        let text = String::from_utf8_lossy(&content[..length]);
        Floor::parse(&text, &name)
    }

    pub fn parse(text: &str, file: &str) -> Result<Floor> {
        let mut floor = Floor {
            file: file.to_owned(),
            ..Floor::default()
        };
        let mut demands = 0;
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            if floor.demand(&words).is_none() {
                return Err(StageError::new(
                    Step::CheckFloor,
                    format!("{file}:{}", index + 1),
                    format!("unknown: {line:?}"),
                ));
            }
            demands += 1;
        }
        if demands == 0 {
            // More likely cut off than meant.
            return Err(StageError::new(
                Step::CheckFloor,
                file,
                "it demands nothing",
            ));
        }
        Ok(floor)
    }

    fn demand(&mut self, words: &[&str]) -> Option<()> {
        match words {
            ["require", "no-new-privileges"] => self.no_new_privileges = true,
            ["require", "seccomp"] => self.seccomp = true,
            ["host-ids-from", first] => self.host_ids_from = first.parse().ok()?,
            ["require", namespace] => {
                let kind = match namespace.strip_suffix("-namespace")? {
                    "user" => Kind::User,
                    "pid" => Kind::Pid,
                    "ipc" => Kind::Ipc,
                    "uts" => Kind::Uts,
                    "network" => Kind::Network,
                    "cgroup" => Kind::Cgroup,
                    _ => return None,
                };
                self.namespaces.push((kind, (*namespace).to_owned()));
            }
            ["mask", path] if path.starts_with('/') => self.masks.push((*path).to_owned()),
            ["read-only", path] if path.starts_with('/') => self.read_only.push((*path).to_owned()),
            ["limit", "mounts", count] => self.mounts = Some(count.parse().ok()?),
            ["limit", "devices", count] => self.devices = Some(count.parse().ok()?),
            ["limit", "hooks", count] => self.hooks = Some(count.parse().ok()?),
            _ => return None,
        }
        Some(())
    }

    /// `maps`: of the user namespace that the container gets or joins, as the kernel has or will have them.
    pub fn check_create(&self, plan: &CreatePlan, maps: &IdMaps) -> Result<()> {
        for (kind, name) in &self.namespaces {
            if !plan
                .namespaces
                .iter()
                .any(|namespace| namespace.kind == *kind as i32)
            {
                return Err(self.below(name, "the plan has none"));
            }
        }
        let first = self.host_ids_from;
        let below = |extents: &[Extent]| {
            extents.is_empty() || extents.iter().any(|extent| extent.outside < first)
        };
        if first > 0 && (below(maps.uid_extents()) || below(maps.gid_extents())) {
            return Err(self.below(
                &format!("host-ids-from {first}"),
                "an id map names a lower one",
            ));
        }
        for (count, limit, what) in [
            (plan.mounts.len(), self.mounts, "mounts"),
            (plan.devices.len(), self.devices, "devices"),
        ] {
            self.check_limit(count, limit, what)?;
        }
        self.check_hooks(plan.hooks.len())?;
        let covers =
            |paths: &[String], path: &str| paths.iter().any(|above| is_at_or_above(above, path));
        for place in proc_places(plan) {
            let there = |path: &str| match path.strip_prefix("/proc") {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{place}{rest}"),
                _ => path.to_owned(),
            };
            for path in self.masks.iter().map(|path| there(path)) {
                if !covers(&plan.masked_paths, &path) {
                    return Err(self.below(&format!("mask {path}"), "the plan leaves it open"));
                }
            }
            for path in self.read_only.iter().map(|path| there(path)) {
                if !covers(&plan.readonly_paths, &path) && !covers(&plan.masked_paths, &path) {
                    return Err(
                        self.below(&format!("read-only {path}"), "the plan leaves it writable")
                    );
                }
            }
        }
        self.check_process(plan.process.as_ref())
    }

    pub fn check_exec(&self, plan: &ExecPlan) -> Result<()> {
        for (kind, name) in &self.namespaces {
            if !plan.join.contains(&(*kind as i32)) {
                return Err(self.below(name, "the exec would not enter it"));
            }
        }
        if !plan.join.contains(&(Kind::Mount as i32)) {
            return Err(self.below("mount namespace", "the exec would not enter it"));
        }
        self.check_process(plan.process.as_ref())
    }

    fn check_process(&self, process: Option<&Process>) -> Result<()> {
        if self.no_new_privileges && !process.is_some_and(|process| process.no_new_privileges) {
            return Err(self.below("no-new-privileges", "the plan leaves it off"));
        }
        if self.seccomp && process.is_none_or(|process| process.seccomp.is_empty()) {
            return Err(self.below("seccomp", "the plan has no filter"));
        }
        Ok(())
    }

    /// Of a plan, or those that run when its container is gone.
    pub fn check_hooks(&self, count: usize) -> Result<()> {
        self.check_limit(count, self.hooks, "hooks")
    }

    fn check_limit(&self, count: usize, limit: Option<usize>, what: &str) -> Result<()> {
        if limit.is_some_and(|limit| count > limit) {
            return Err(self.below(&format!("limit {what}"), &format!("there are {count}")));
        }
        Ok(())
    }

    fn below(&self, demand: &str, why: &str) -> StageError {
        StageError::new(
            Step::CheckFloor,
            demand,
            format!("{why}; {} demands it", self.file),
        )
        .remedy("use a runtime class whose floor allows this, or change the floor file as root")
    }
}

/// Where the plan mounts procfs; /proc itself in any case.
fn proc_places(plan: &CreatePlan) -> Vec<String> {
    let mut places = vec!["/proc".to_owned()];
    for mount in &plan.mounts {
        if let Some(mount::Source::Fresh(fresh)) = &mount.source
            && fresh.fs_type == "proc"
        {
            let place = normal(&mount.destination);
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    places
}

/// Without empty parts and dots. A path with ".." is left as it is, and so is covered by nothing.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    format!("/{}", parts.join("/"))
}

fn is_at_or_above(above: &str, path: &str) -> bool {
    let above = normal(above);
    path == above
        || path
            .strip_prefix(&above)
            .is_some_and(|rest| rest.starts_with('/') || above == "/")
}

fn trusted(fd: &OwnedFd, file_type: FileType, name: &str) -> Result<()> {
    let stat = rustix::fs::fstat(fd).at(Step::CheckFloor, name)?;
    if FileType::from_raw_mode(stat.st_mode) != file_type
        || stat.st_uid != 0
        || stat.st_mode & 0o022 != 0
    {
        return Err(StageError::new(
            Step::CheckFloor,
            name,
            "not trusted: it or its directory can be changed by others than root",
        )
        .remedy("chown root and chmod go-w both"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::plan::{Fresh, IdMap, Mount, Namespace, SeccompFilter};

    const TEXT: &str = "# ours\nrequire user-namespace\nrequire no-new-privileges # really\nrequire seccomp\n\
        host-ids-from 1000\nmask /proc/kcore\nread-only /proc/sys\nlimit mounts 3\n";

    fn floor() -> Floor {
        Floor::parse(TEXT, "test.floor").unwrap()
    }

    fn plan() -> CreatePlan {
        CreatePlan {
            namespaces: vec![Namespace {
                kind: Kind::User as i32,
                join_handle: 0,
            }],
            masked_paths: vec!["/proc/kcore".into()],
            readonly_paths: vec!["/proc/sys/".into()],
            process: Some(Process {
                no_new_privileges: true,
                seccomp: vec![SeccompFilter::default()],
                ..Process::default()
            }),
            ..CreatePlan::default()
        }
    }

    fn maps(host: u32) -> IdMaps {
        let map = [IdMap {
            container_id: 0,
            host_id: host,
            size: 65_536,
        }];
        IdMaps::of_plan(&map, &map).unwrap()
    }

    fn refusal(plan: &CreatePlan, maps: &IdMaps) -> String {
        floor().check_create(plan, maps).unwrap_err().object
    }

    #[test]
    fn a_plan_at_the_floor_passes() {
        floor().check_create(&plan(), &maps(100_000)).unwrap();
    }

    #[test]
    fn each_demand_is_held() {
        let maps = maps(100_000);
        let changed = |change: fn(&mut CreatePlan)| {
            let mut plan = plan();
            change(&mut plan);
            refusal(&plan, &maps)
        };
        assert_eq!(changed(|plan| plan.namespaces.clear()), "user-namespace");
        assert_eq!(
            changed(|plan| plan.masked_paths.clear()),
            "mask /proc/kcore"
        );
        assert_eq!(
            changed(|plan| plan.readonly_paths.clear()),
            "read-only /proc/sys"
        );
        assert_eq!(changed(|plan| plan.process = None), "no-new-privileges");
        assert_eq!(
            changed(|plan| plan.process.as_mut().unwrap().seccomp.clear()),
            "seccomp"
        );
        assert_eq!(
            changed(|plan| plan.mounts = vec![Mount::default(); 4]),
            "limit mounts"
        );
    }

    #[test]
    fn an_id_map_must_not_reach_host_ids() {
        assert_eq!(refusal(&plan(), &maps(999)), "host-ids-from 1000");
        assert_eq!(refusal(&plan(), &IdMaps::default()), "host-ids-from 1000");
    }

    #[test]
    fn a_second_procfs_needs_its_own_masks() {
        let mut plan = plan();
        plan.mounts.push(Mount {
            destination: "/elsewhere/./proc/".into(),
            source: Some(mount::Source::Fresh(Fresh {
                fs_type: "proc".into(),
                ..Fresh::default()
            })),
            ..Mount::default()
        });
        assert_eq!(refusal(&plan, &maps(100_000)), "mask /elsewhere/proc/kcore");
        plan.masked_paths.push("/elsewhere/proc".into());
        floor().check_create(&plan, &maps(100_000)).unwrap();
    }

    #[test]
    fn an_exec_must_enter_what_the_floor_demands() {
        let mut plan = ExecPlan {
            join: vec![Kind::Mount as i32],
            process: plan().process,
            ..ExecPlan::default()
        };
        assert_eq!(
            floor().check_exec(&plan).unwrap_err().object,
            "user-namespace"
        );
        plan.join.push(Kind::User as i32);
        floor().check_exec(&plan).unwrap();
        plan.process = None;
        assert_eq!(
            floor().check_exec(&plan).unwrap_err().object,
            "no-new-privileges"
        );
    }

    #[test]
    fn programs_of_the_host_can_be_limited() {
        let floor = Floor::parse("limit hooks 1\n", "x").unwrap();
        let mut plan = plan();
        plan.hooks = vec![wire::plan::Hook::default()];
        floor.check_create(&plan, &maps(100_000)).unwrap();
        plan.hooks.push(wire::plan::Hook::default());
        let refused = floor.check_create(&plan, &maps(100_000)).unwrap_err();
        assert_eq!(refused.object, "limit hooks");
        assert!(floor.check_hooks(2).is_err());
    }

    #[test]
    fn what_is_not_understood_refuses_everything() {
        for text in [
            "",
            "# nothing",
            "require seccmop",
            "require seccomp\nmask proc",
            "host-ids-from -1",
        ] {
            assert!(Floor::parse(text, "x").is_err(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_fail(text in "\\PC{0,200}") {
            let _ = Floor::parse(&text, "x");
        }
    }

    #[test]
    fn a_floor_that_others_can_change_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt;
        let directory = std::env::temp_dir().join(format!("brig-floor-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let file = directory.join("test.floor");
        std::fs::write(&file, TEXT).unwrap();
        let owned_by_root = rustix::process::geteuid().is_root();
        let mode = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap()
        };
        let read = |name: &str| {
            Floor::read(&Class {
                name: name.into(),
                floor_dir: directory.clone(),
            })
        };
        mode(&directory, 0o755);
        mode(&file, 0o644);
        assert_eq!(read("test").is_ok(), owned_by_root);
        mode(&file, 0o664);
        assert!(read("test").is_err());
        mode(&file, 0o644);
        mode(&directory, 0o777);
        assert!(read("test").is_err());
        mode(&directory, 0o755);
        assert!(read("missing").is_err());
        assert!(read("../test").is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
