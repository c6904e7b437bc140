//! What the keeper knows of its pod: containers, their processes, and what is held for each.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use wire::keeper::{
    AfterExec, CareRecord, ContainerCare, ContainerPatch, ContainerRecord, Executed, ProcessInfo,
    ProcessRecord,
};

use crate::containerd::{STOPPED, Timestamp};
use crate::deframe::{Deframer, Plain};
use crate::oom::OomWatch;
use crate::requests::Ticket;
use crate::stdio::Io;

/// Names a process: its container, and its exec id (empty: the container's init).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessKey {
    pub container: String,
    pub exec: String,
}

impl ProcessKey {
    pub fn new(container: &str, exec: &str) -> ProcessKey {
        ProcessKey {
            container: container.to_owned(),
            exec: exec.to_owned(),
        }
    }

    pub fn is_init(&self) -> bool {
        self.exec.is_empty()
    }
}

impl std::fmt::Display for ProcessKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.is_init() {
            true => write!(out, "{}", self.container),
            false => write!(out, "{}/{}", self.container, self.exec),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    pub status: u32,
    pub seconds: i64,
    pub nanos: i32,
}

impl Exit {
    #[expect(clippy::disallowed_methods, reason = "told to clients")]
    pub fn now(status: u32) -> Exit {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Exit {
            status,
            seconds,
            nanos: i32::try_from(now.subsec_nanos()).unwrap_or(0),
        }
    }

    pub fn at(&self) -> Timestamp {
        Timestamp {
            seconds: self.seconds,
            nanos: self.nanos,
        }
    }
}

/// How far the news of an exit has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// It may not be told yet: output or other exits come first.
    #[default]
    No,
    /// The notice is under way.
    Asked,
    /// The notice was answered, or the daemon learned of the end by a step's failure.
    Yes,
}

/// The keeper's end of the barrier at which a process stands before execve.
pub struct Barrier {
    pub id: u64,
    pub socket: OwnedFd,
    pub deframer: Deframer<Plain>,
    /// The step that let it go on, and what to answer once execve succeeded.
    pub release: Option<(Ticket, Option<Box<Executed>>)>,
    /// Of a process that ended before its barrier was read to its end.
    pub after_exec: Option<AfterExec>,
}

#[derive(Default)]
pub struct Process {
    pub info: ProcessInfo,
    /// 0: never started.
    pub pid: i32,
    pub start_time: u64,
    pub pidfd: Option<OwnedFd>,
    pub barrier: Option<Barrier>,
    /// Further descriptors whose closing has an effect.
    pub held: Vec<OwnedFd>,
    pub io: Io,
    pub exit: Option<Exit>,
    pub told: Told,
    /// What stands here is the daemon's last word as well: nothing has happened to it since that the daemon has not replied to.
    pub agreed: bool,
    /// A client has learned of its exit from the keeper alone: from then on nobody hears that it runs.
    pub exit_said: bool,
    /// Steps that wait for its end: a release that failed, an abort.
    pub ending: Vec<(Ticket, Option<wire::keeper::Failure>)>,
    /// Forgotten when the Reply to this request is applied.
    pub forget_with: Option<u64>,
}

impl Process {
    pub fn is_alive(&self) -> bool {
        self.pid != 0 && self.exit.is_none()
    }

    /// The exit, once it may be told.
    pub fn told_exit(&self) -> Option<Exit> {
        if self.told == Told::No {
            None
        } else {
            self.exit
        }
    }

    fn record(&self, exec_id: &str) -> ProcessRecord {
        let exit = self.exit.unwrap_or(Exit {
            status: 0,
            seconds: 0,
            nanos: 0,
        });
        ProcessRecord {
            exec_id: exec_id.to_owned(),
            pid: self.pid,
            start_time: self.start_time,
            info: Some(self.info.clone()),
            exited: self.exit.is_some(),
            exit_told: self.told == Told::Yes,
            exit_status: exit.status,
            exited_at_seconds: exit.seconds,
            exited_at_nanos: exit.nanos,
        }
    }
}

#[derive(Default)]
pub struct Container {
    /// The daemon's own.
    pub state: Vec<u8>,
    pub care: Option<ContainerCare>,
    /// Inodes of its cgroup directories, by path. A directory may go by itself with its last process (systemd's scopes), and then
    /// one of the same name is somebody else's.
    pub own_dirs: BTreeMap<String, u64>,
    pub processes: BTreeMap<String, Process>,
    pub oom: Option<OomWatch>,
    /// Removed through Control/Delete: every further step fails.
    pub removed: bool,
    /// The rest of its cgroup is being killed; init's exit waits for it.
    pub killing_rest: bool,
    /// Forgotten when the Reply to this request is applied.
    pub forget_with: Option<u64>,
}

impl Container {
    /// Nothing that a client or the daemon would miss.
    pub fn is_empty(&self) -> bool {
        self.state.is_empty() && self.processes.is_empty() && !self.removed
    }

    /// Whether these are the hooks by which its life ends.
    pub fn ends_with(&self, hooks: &[Vec<u8>]) -> bool {
        let own = self.care.as_ref().map(|care| &care.poststop_hooks);
        own.is_some_and(|own| !own.is_empty() && own == hooks)
    }

    /// The hooks by which its life ends have run.
    pub fn forget_poststop(&mut self) {
        if let Some(care) = &mut self.care {
            care.poststop_hooks.clear();
            care.poststop_state.clear();
        }
    }

    /// Its process stands in the cgroup directories of its care now.
    pub fn note_own_dirs(&mut self) {
        let dirs = self.care.iter().flat_map(|care| &care.cgroup_dirs);
        self.own_dirs = dirs
            .filter_map(|dir| Some((dir.clone(), inode(dir)?)))
            .collect();
    }

    /// Not another's that has got the name since.
    fn is_own(&self, dir: &str) -> bool {
        match (self.own_dirs.get(dir), inode(dir)) {
            (Some(own), Some(now)) => *own == now,
            _ => true,
        }
    }
}

fn inode(dir: &str) -> Option<u64> {
    rustix::fs::stat(dir).ok().map(|found| found.st_ino)
}

#[derive(Default)]
pub struct Pod {
    pub containers: BTreeMap<String, Container>,
}

impl Pod {
    pub fn process(&self, key: &ProcessKey) -> Option<&Process> {
        self.containers
            .get(&key.container)?
            .processes
            .get(&key.exec)
    }

    pub fn process_mut(&mut self, key: &ProcessKey) -> Option<&mut Process> {
        self.containers
            .get_mut(&key.container)?
            .processes
            .get_mut(&key.exec)
    }

    pub fn is_removed(&self, container: &str) -> bool {
        self.containers
            .get(container)
            .is_some_and(|container| container.removed)
    }

    /// The exec ids of all the container's processes.
    pub fn execs(&self, container: &str) -> Vec<String> {
        self.containers
            .get(container)
            .map_or_else(Vec::new, |container| {
                container.processes.keys().cloned().collect()
            })
    }

    /// The directories of the container's cgroup.
    pub fn cgroup_dirs(&self, container: &str) -> Vec<String> {
        let Some(container) = self.containers.get(container) else {
            return Vec::new();
        };
        let dirs = container.care.iter().flat_map(|care| &care.cgroup_dirs);
        dirs.filter(|dir| container.is_own(dir)).cloned().collect()
    }

    /// Applies a patch that removes no container; processes that it takes away are returned, so that they can be let go of.
    pub fn apply(&mut self, patch: ContainerPatch) -> Vec<(ProcessKey, Process)> {
        let id = patch.container_id;
        let container = self.containers.entry(id.clone()).or_default();
        if let Some(state) = patch.state {
            container.state = state;
        }
        let mut gone = Vec::new();
        for change in patch.processes {
            if change.remove {
                if let Some(process) = container.processes.remove(&change.exec_id) {
                    gone.push((ProcessKey::new(&id, &change.exec_id), process));
                }
            } else if let Some(info) = change.info {
                let process = container.processes.entry(change.exec_id).or_default();
                // An end is agreed on by the reply to its notice alone: one that came of a failed step has another status there.
                process.agreed = process.exit.is_none() && info.status != STOPPED;
                process.info = info;
            }
        }
        gone
    }

    /// Forgets a container.
    pub fn remove(&mut self, id: &str) -> Vec<(ProcessKey, Process)> {
        let container = self.containers.remove(id).unwrap_or_default();
        container
            .processes
            .into_iter()
            .map(|(exec, process)| (ProcessKey::new(id, &exec), process))
            .collect()
    }

    pub fn records(&self) -> Vec<ContainerRecord> {
        let record = |(id, container): (&String, &Container)| ContainerRecord {
            container_id: id.clone(),
            state: container.state.clone(),
            processes: container
                .processes
                .iter()
                .map(|(exec, process)| process.record(exec))
                .collect(),
        };
        self.containers
            .iter()
            .filter(|(_, container)| !container.is_empty())
            .map(record)
            .collect()
    }

    pub fn cares(&self) -> Vec<CareRecord> {
        let record = |(id, container): (&String, &Container)| {
            container.care.clone().map(|care| CareRecord {
                container_id: id.clone(),
                care: Some(care),
            })
        };
        self.containers.iter().filter_map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use wire::keeper::ProcessPatch;

    use super::*;

    fn patch(id: &str) -> ContainerPatch {
        ContainerPatch {
            container_id: id.into(),
            ..ContainerPatch::default()
        }
    }

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let mut pod = Pod::default();
        let info = ProcessInfo {
            bundle: "/b".into(),
            ..ProcessInfo::default()
        };
        let process = ProcessPatch {
            info: Some(info.clone()),
            ..ProcessPatch::default()
        };
        pod.apply(ContainerPatch {
            state: Some(vec![1]),
            processes: vec![process],
            ..patch("c")
        });
        pod.apply(patch("c"));
        let container = &pod.containers["c"];
        assert_eq!(
            (&container.state, &container.processes[""].info),
            (&vec![1], &info)
        );

        let process = ProcessPatch {
            remove: true,
            ..ProcessPatch::default()
        };
        let gone = pod.apply(ContainerPatch {
            processes: vec![process],
            ..patch("c")
        });
        assert_eq!(gone[0].0, ProcessKey::new("c", ""));
        assert_eq!(pod.records()[0].state, [1]);
        pod.remove("c");
        assert!(pod.records().is_empty());
    }

    #[test]
    fn an_exit_is_no_one_s_business_before_it_may_be_told() {
        let mut process = Process {
            pid: 1,
            exit: Some(Exit::now(3)),
            ..Process::default()
        };
        assert_eq!(process.told_exit(), None);
        process.told = Told::Asked;
        assert_eq!(process.told_exit().unwrap().status, 3);
        assert!(process.record("").exited && !process.record("").exit_told);
    }
}
