//! What a container leaves behind when its keeper is dead or doesn't answer, found by the pod's record and cleared by someone
//! else: the launcher's `delete`. Kills and removes nothing but what the record names: processes by pid and start
//! time, and the container's own cgroups.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use wire::keeper::{
    ContainerCare, ContainerRecord, PodRecord, ProcessRecord, RunHooks, StuckStage,
};

use crate::log::Log;
use crate::{cgroup, problem, record};

/// A container in the record of its pod.
pub struct Leftovers {
    pod_dir: PathBuf,
    pod: PodRecord,
    container_id: String,
}

impl Leftovers {
    /// Looks through the pods' records for a container of one of containerd's namespaces. Records that can't be read are passed
    /// over: they are another pod's at best.
    #[must_use]
    pub fn find(
        run_dir: &Path,
        containerd_address: &str,
        namespace: &str,
        container_id: &str,
    ) -> Option<Self> {
        let pods = std::fs::read_dir(run_dir.join("pods")).ok()?;
        pods.flatten().find_map(|entry| {
            let pod_dir = entry.path();
            let pod = record::load(&pod_dir).ok()??;
            let hello = pod.hello.as_ref()?;
            let is_it = hello.containerd_address == containerd_address
                && hello.namespace == namespace
                && (hello.containers.iter())
                    .any(|container| container.container_id == container_id);
            is_it.then(|| Self {
                pod_dir,
                pod,
                container_id: container_id.to_owned(),
            })
        })
    }

    /// The pod's keeper, where it has ended or is unknown.
    #[must_use]
    pub fn dead_keeper(&self) -> Option<i32> {
        let pid = self.pod.hello.as_ref().map_or(0, |hello| hello.pid);
        let lives = record::start_time(pid) == Some(self.pod.keeper_start_time)
            && !matches!(record::process_state(pid), Some('Z' | 'X') | None);
        (!lives).then_some(pid)
    }

    /// The container's first process.
    #[must_use]
    pub fn init(&self) -> Option<&ProcessRecord> {
        (self.container()?.processes.iter()).find(|process| process.exec_id.is_empty())
    }

    /// The record of the pod, for [`forget`].
    #[must_use]
    pub fn pod_dir(&self) -> &Path {
        &self.pod_dir
    }

    /// Kills the container's processes, waits for their end and removes its cgroups. May take seconds.
    ///
    /// # Errors
    /// Something would not go; the text names it.
    pub fn clear(&self) -> Result<(), String> {
        for process in self.container().into_iter().flat_map(|it| &it.processes) {
            kill(process);
        }
        let dirs: Vec<String> = (self.pod.cares.iter())
            .filter(|care| care.container_id == self.container_id)
            .flat_map(|care| care.care.iter().flat_map(|care| care.cgroup_dirs.clone()))
            .collect();
        match cgroup::kill_and_remove(&dirs) {
            Ok(_) => Ok(()),
            Err(failure) => Err(problem::text(&failure)),
        }
    }

    fn container(&self) -> Option<&ContainerRecord> {
        (self.pod.hello.as_ref()?.containers.iter())
            .find(|container| container.container_id == self.container_id)
    }
}

/// Takes a container out of a dead keeper's record; the last one takes the record with it, unless a stage of the pod still hangs
/// in the kernel: what that holds stays reserved by the record. To be called under a lock that all who do so take. Returns its
/// poststop hooks: who forgets a container is the one who runs them.
///
/// # Errors
/// The record can't be written or removed.
pub fn forget(pod_dir: &Path, container_id: &str) -> io::Result<Option<RunHooks>> {
    let Some(mut pod) = record::load(pod_dir)? else {
        return Ok(None);
    };
    let mut left = 0;
    if let Some(hello) = &mut pod.hello {
        hello
            .containers
            .retain(|container| container.container_id != container_id);
        hello.stuck_stages.retain(lives);
        left = hello.containers.len() + hello.stuck_stages.len();
    }
    let cares = (pod.cares).extract_if(.., |care| care.container_id == container_id);
    let hooks = cares.filter_map(|care| poststop(care.container_id, care.care?));
    let hooks = hooks.last();
    if left > 0 {
        record::store(pod_dir, &pod)?;
    } else {
        record::remove(pod_dir)?;
    }
    Ok(hooks)
}

fn poststop(container_id: String, care: ContainerCare) -> Option<RunHooks> {
    (!care.poststop_hooks.is_empty()).then_some(RunHooks {
        container_id,
        hooks: care.poststop_hooks,
        state_json: care.poststop_state,
    })
}

/// Runs what [`forget`] returned, to its end. A failure is logged and changes nothing: the container is gone.
pub fn run_poststop(hooks: &RunHooks, bundle: &Path) {
    if let Err(error) = stage::run_hooks(hooks) {
        let mut log = Log::new(bundle.join("log"), &hooks.container_id);
        log.warning(format_args!("poststop hook failed: {error}"));
    }
}

fn lives(stage: &StuckStage) -> bool {
    record::start_time(stage.pid) == Some(stage.start_time)
        && !matches!(record::process_state(stage.pid), Some('Z' | 'X') | None)
}

/// Kills a process if it still is the one that was recorded.
fn kill(process: &ProcessRecord) {
    let Some(pid) = Pid::from_raw(process.pid) else {
        return;
    };
    // The descriptor comes first: what it holds is what the start time is then asked of.
    if let Ok(held) = pidfd_open(pid, PidfdFlags::empty())
        && record::start_time(process.pid) == Some(process.start_time)
    {
        let _ = pidfd_send_signal(&held, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use wire::keeper::{CareRecord, Hello};

    fn pod(containers: &[(&str, i32, u64)]) -> PodRecord {
        let record = |(id, pid, start_time): &(&str, i32, u64)| ContainerRecord {
            container_id: (*id).to_owned(),
            processes: vec![ProcessRecord {
                pid: *pid,
                start_time: *start_time,
                ..ProcessRecord::default()
            }],
            ..ContainerRecord::default()
        };
        PodRecord {
            hello: Some(Hello {
                containerd_address: "/a".into(),
                namespace: "n".into(),
                containers: containers.iter().map(record).collect(),
                ..Hello::default()
            }),
            cares: containers
                .iter()
                .map(|(id, ..)| CareRecord {
                    container_id: (*id).to_owned(),
                    care: None,
                })
                .collect(),
            ..PodRecord::default()
        }
    }

    fn run_dir(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("brig-{name}-{}", std::process::id()))
    }

    #[test]
    fn only_the_process_that_was_recorded_is_killed() {
        let run = run_dir("leftovers");
        let mut sleeper = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(sleeper.id()).unwrap();
        let start = record::start_time(pid).unwrap();

        record::store(&run.join("pods/p"), &pod(&[("c", pid, start + 1)])).unwrap();
        let found = Leftovers::find(&run, "/a", "n", "c").unwrap();
        assert!(found.dead_keeper().is_some());
        found.clear().unwrap();
        assert!(
            sleeper.try_wait().unwrap().is_none(),
            "another process of the same pid"
        );

        record::store(&run.join("pods/p"), &pod(&[("c", pid, start)])).unwrap();
        Leftovers::find(&run, "/a", "n", "c")
            .unwrap()
            .clear()
            .unwrap();
        assert!(!sleeper.wait().unwrap().success());
        record::remove(&run).unwrap();
    }

    #[test]
    fn a_container_is_found_by_address_namespace_and_id() {
        let run = run_dir("find");
        record::store(&run.join("pods/p"), &pod(&[("c", 0, 0)])).unwrap();
        assert!(Leftovers::find(&run, "/a", "n", "c").is_some());
        for (address, namespace, id) in [("/b", "n", "c"), ("/a", "m", "c"), ("/a", "n", "d")] {
            assert!(Leftovers::find(&run, address, namespace, id).is_none());
        }
        record::remove(&run).unwrap();
    }

    #[test]
    fn the_record_stays_while_a_stage_of_the_pod_hangs() {
        let run = run_dir("stuck");
        let dir = run.join("pods/p");
        let own = i32::try_from(std::process::id()).unwrap();
        let stuck = |start_time| {
            let mut record = pod(&[("c", 0, 0)]);
            let stage = StuckStage {
                pid: own,
                start_time,
                ..StuckStage::default()
            };
            record.hello.as_mut().unwrap().stuck_stages = vec![stage];
            record
        };
        let start = record::start_time(own).unwrap();
        record::store(&dir, &stuck(start)).unwrap();
        forget(&dir, "c").unwrap();
        let left = record::load(&dir).unwrap().unwrap().hello.unwrap();
        assert!(left.containers.is_empty());
        assert_eq!(left.stuck_stages[0].pid, own);

        record::store(&dir, &stuck(start + 1)).unwrap();
        forget(&dir, "c").unwrap();
        assert!(!dir.exists(), "another process of the same pid");
        record::remove(&run).unwrap();
    }

    #[test]
    fn the_record_goes_with_its_last_container() {
        let run = run_dir("forget");
        let dir = run.join("pods/p");
        record::store(&dir, &pod(&[("c", 0, 0), ("d", 0, 0)])).unwrap();
        forget(&dir, "c").unwrap();
        let left = record::load(&dir).unwrap().unwrap();
        assert_eq!(
            (left.hello.unwrap().containers.len(), left.cares.len()),
            (1, 1)
        );
        forget(&dir, "d").unwrap();
        assert!(!dir.exists());
        forget(&dir, "d").unwrap();
        record::remove(&run).unwrap();
    }
}
