//! What the stage sets on the process it made, from outside and with its own credentials, when that stands at its barrier:
//! the process itself may no longer be allowed to.

use rustix::io::Errno;
use wire::plan::Process;

use crate::errors::{At, Result, StageError, Step};
use crate::procfs::Procfs;

/// Most resource limits the kernel knows (RLIM_NLIMITS).
const LIMITS: u32 = 16;

pub fn apply(procfs: &Procfs, pid: i32, process: &Process) -> Result<()> {
    if let Some(adjustment) = process.oom_score_adj {
        set_oom_score(procfs, pid, adjustment)?;
    }
    for limit in &process.rlimits {
        let object = format!("rlimit {} to {}/{}", limit.resource, limit.soft, limit.hard);
        if limit.resource >= LIMITS {
            return Err(StageError::new(Step::SetLimit, object, "no such limit"));
        }
        sys::scheduling::set_limit(pid, limit.resource, limit.soft, limit.hard)
            .at(Step::SetLimit, object)
            .map_err(|error| {
                let denied = error.errno == Errno::PERM.raw_os_error();
                if denied {
                    error.remedy("above the hard limit that containerd was started with")
                } else {
                    error
                }
            })?;
    }
    if let Some(priority) = process.io_priority {
        sys::scheduling::set_io_priority(pid, priority.class, priority.priority).at(
            Step::SetScheduling,
            format!(
                "I/O priority class {} level {}",
                priority.class, priority.priority
            ),
        )?;
    }
    if let Some(scheduler) = process.scheduler {
        let attributes = sys::scheduling::SchedulerAttributes {
            policy: scheduler.policy,
            flags: scheduler.flags,
            nice: scheduler.nice,
            priority: scheduler.priority,
            runtime: scheduler.runtime,
            deadline: scheduler.deadline,
            period: scheduler.period,
        };
        sys::scheduling::set_scheduler(pid, attributes)
            .at(Step::SetScheduling, format!("policy {}", scheduler.policy))?;
    }
    Ok(())
}

fn set_oom_score(procfs: &Procfs, pid: i32, adjustment: i32) -> Result<()> {
    let object = format!("oom_score_adj to {adjustment}");
    let path = format!("{pid}/oom_score_adj");
    if procfs
        .read(&path)
        .is_ok_and(|now| now.trim() == adjustment.to_string())
    {
        return Ok(());
    }
    procfs
        .write(&path, adjustment.to_string().as_bytes())
        .map_err(|errno| {
            let error = StageError::os(Step::SetLimit, object, errno);
            if errno == Errno::ACCESS {
                error.remedy(
                    "lowering it needs CAP_SYS_RESOURCE, which containerd was started without",
                )
            } else {
                error
            }
        })
}
