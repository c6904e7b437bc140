//! What the kernel says of a process that stands at its barrier.

use std::collections::HashMap;

use wire::keeper::Executed;

use crate::errors::{At, Result, StageError, Step};
use crate::procfs::Procfs;

const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

pub fn read(procfs: &Procfs, pid: i32) -> Result<Executed> {
    let read = |file: &str| {
        procfs
            .read(&format!("{pid}/{file}"))
            .at(Step::ReadBack, file)
    };
    let mut namespaces = HashMap::new();
    for name in NAMESPACES {
        let link = procfs
            .link(&format!("{pid}/ns/{name}"))
            .at(Step::ReadBack, name)?;
        namespaces.insert(name.to_owned(), String::from_utf8_lossy(&link).into_owned());
    }
    let stat = read("stat")?;
    Ok(Executed {
        pid,
        start_time: start_time(&stat)
            .ok_or_else(|| StageError::new(Step::ReadBack, "stat", "no start time in it"))?,
        status: read("status")?,
        uid_map: read("uid_map")?,
        gid_map: read("gid_map")?,
        namespaces,
        ..Executed::default()
    })
}

/// Field 22 of /proc/<pid>/stat; the second is in parentheses and may hold anything.
fn start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::start_time;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0 18446744073709551615";
        assert_eq!(start_time(stat), Some(12345));
        assert_eq!(start_time("7 (x"), None);
    }
}
