//! Id maps: what an id inside is outside, writing maps, and user namespaces that exist for a mount's idmap alone.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use sys::clone::{ForkFlags, Forked};
use wire::plan::IdMap;

use crate::errors::{At, Result, StageError, Step};
use crate::packets;
use crate::procfs::Procfs;

/// Most lines of a map that the kernel takes (UID_GID_MAP_MAX_EXTENTS).
pub const MAX_EXTENTS: usize = 340;

/// The maps of one user namespace; without any, ids are the same inside and outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMaps {
    uid: Vec<Extent>,
    gid: Vec<Extent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub inside: u32,
    pub outside: u32,
    pub size: u32,
}

impl IdMaps {
    pub fn of_plan(uid: &[IdMap], gid: &[IdMap]) -> Result<IdMaps> {
        Ok(IdMaps {
            uid: extents("uid_maps", uid)?,
            gid: extents("gid_maps", gid)?,
        })
    }

    /// Reads maps as /proc/<pid>/uid_map and gid_map show them.
    pub fn parse(uid: &str, gid: &str) -> Option<IdMaps> {
        Some(IdMaps {
            uid: parse_extents(uid)?,
            gid: parse_extents(gid)?,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.uid.is_empty() && self.gid.is_empty()
    }

    pub fn uid_extents(&self) -> &[Extent] {
        &self.uid
    }

    pub fn gid_extents(&self) -> &[Extent] {
        &self.gid
    }

    /// The id outside that stands for user `inside`.
    pub fn host_uid(&self, inside: u32) -> Option<u32> {
        outside(&self.uid, inside)
    }

    pub fn host_gid(&self, inside: u32) -> Option<u32> {
        outside(&self.gid, inside)
    }

    /// The ids that own what is made for the container: its root's, or its lowest ones where it has no root.
    pub fn root(&self) -> (u32, u32) {
        let lowest = |map: &[Extent]| {
            map.iter()
                .min_by_key(|extent| extent.inside)
                .map_or(0, |extent| extent.outside)
        };
        (
            self.host_uid(0).unwrap_or_else(|| lowest(&self.uid)),
            self.host_gid(0).unwrap_or_else(|| lowest(&self.gid)),
        )
    }

    /// These maps, and the host's root as `inside`; None where one of the two has a place already.
    #[must_use]
    pub fn with_host_root(&self, inside: u32) -> Option<IdMaps> {
        let host_root = Extent {
            inside,
            outside: 0,
            size: 1,
        };
        let add = |map: &[Extent]| {
            let free = map.iter().all(|extent| {
                extent.outside > 0
                    && inside
                        .checked_sub(extent.inside)
                        .is_none_or(|by| by >= extent.size)
            });
            (free && map.len() < MAX_EXTENTS).then(|| [map, &[host_root]].concat())
        };
        Some(IdMaps {
            uid: add(&self.uid)?,
            gid: add(&self.gid)?,
        })
    }

    /// Writes both maps of process `pid`, which must be alone in a new user namespace.
    pub fn write(&self, procfs: &Procfs, pid: i32) -> Result<()> {
        for (file, map) in [("gid_map", &self.gid), ("uid_map", &self.uid)] {
            let lines: String = map
                .iter()
                .map(|extent| format!("{} {} {}\n", extent.inside, extent.outside, extent.size))
                .collect();
            procfs.write(&format!("{pid}/{file}"), lines.as_bytes()).map_err(|errno| {
                StageError::os(Step::MapIds, format!("{file}: {}", lines.trim_end().replace('\n', ", ")), errno)
                    .remedy("the ids must lie within those of the runtime's own user namespace and must not overlap")
            })?;
        }
        Ok(())
    }
}

fn outside(map: &[Extent], inside: u32) -> Option<u32> {
    if map.is_empty() {
        return Some(inside);
    }
    map.iter()
        .find(|extent| inside >= extent.inside && inside - extent.inside < extent.size)
        .map(|extent| extent.outside + (inside - extent.inside))
}

fn extents(field: &str, maps: &[IdMap]) -> Result<Vec<Extent>> {
    if maps.len() > MAX_EXTENTS {
        return Err(StageError::new(
            Step::ReadPlan,
            field,
            format!("{} lines, the kernel takes {MAX_EXTENTS}", maps.len()),
        ));
    }
    maps.iter()
        .map(|map| {
            let fits = |start: u32| start.checked_add(map.size).is_some();
            if map.size == 0 || !fits(map.container_id) || !fits(map.host_id) {
                let line = format!("{field}: {} {} {}", map.container_id, map.host_id, map.size);
                return Err(StageError::new(
                    Step::ReadPlan,
                    line,
                    "empty or beyond 32 bits",
                ));
            }
            Ok(Extent {
                inside: map.container_id,
                outside: map.host_id,
                size: map.size,
            })
        })
        .collect()
}

fn parse_extents(text: &str) -> Option<Vec<Extent>> {
    text.lines()
        .map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
            let mut next = || numbers.next()?.ok();
            Some(Extent {
                inside: next()?,
                outside: next()?,
                size: next()?,
            })
        })
        .collect()
}

/// A user namespace with these maps that nobody lives in: a value for mount_setattr(2).
pub fn empty_namespace(procfs: &Procfs, maps: &IdMaps, object: &str) -> Result<OwnedFd> {
    let (ours, theirs) = packets::pair().at(Step::MapIds, object)?;
    // SAFETY: a stage has a single thread.
    match unsafe { sys::clone::fork(ForkFlags::NEW_USER, None) }.at(Step::MapIds, object)? {
        Forked::Child => {
            drop(ours);
            // Until the other side is closed.
            let _ = packets::receive(&theirs, &mut [0]);
            sys::process::exit_now(0)
        }
        Forked::Parent { pid, pidfd } => {
            drop(theirs);
            let made = maps.write(procfs, pid).and_then(|()| {
                procfs
                    .namespace(&pid.to_string(), "user")
                    .at(Step::MapIds, object)
            });
            drop(ours);
            reap(&pidfd);
            made
        }
    }
}

/// Waits for a child of one's own.
pub fn reap(pidfd: &OwnedFd) {
    use rustix::process::{WaitId, WaitIdOptions};
    while let Err(Errno::INTR) =
        rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
    {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(container_id: u32, host_id: u32, size: u32) -> IdMap {
        IdMap {
            container_id,
            host_id,
            size,
        }
    }

    #[test]
    fn an_id_is_looked_up_in_the_extent_that_holds_it() {
        let maps = IdMaps::of_plan(&[map(0, 100_000, 10), map(10, 5, 1)], &[map(0, 7, 1)]).unwrap();
        assert_eq!(maps.host_uid(9), Some(100_009));
        assert_eq!(maps.host_uid(10), Some(5));
        assert_eq!(maps.host_uid(11), None);
        assert_eq!(maps.host_gid(0), Some(7));
        assert_eq!(maps.root(), (100_000, 7));
    }

    #[test]
    fn without_a_root_inside_the_lowest_id_owns_what_is_made() {
        let maps =
            IdMaps::of_plan(&[map(500, 900, 1), map(100, 800, 1)], &[map(100, 700, 1)]).unwrap();
        assert_eq!(maps.root(), (800, 700));
    }

    #[test]
    fn the_hosts_root_gets_a_place_where_there_is_one() {
        let maps = IdMaps::of_plan(&[map(0, 100_000, 10)], &[map(0, 7, 1)]).unwrap();
        let more = maps.with_host_root(50).unwrap();
        assert_eq!((more.host_uid(50), more.host_gid(50)), (Some(0), Some(0)));
        assert_eq!(more.host_uid(9), Some(100_009));
        assert!(maps.with_host_root(9).is_none());
        let root = IdMaps::of_plan(&[map(0, 0, 10)], &[map(0, 7, 1)]).unwrap();
        assert!(root.with_host_root(50).is_none());
    }

    #[test]
    fn a_map_that_wraps_or_is_empty_is_refused() {
        assert!(IdMaps::of_plan(&[map(0, u32::MAX, 2)], &[]).is_err());
        assert!(IdMaps::of_plan(&[], &[map(0, 0, 0)]).is_err());
    }

    #[test]
    fn maps_read_as_the_kernel_shows_them() {
        let maps = IdMaps::parse("         0     100000      65536\n", "0 1 2").unwrap();
        assert_eq!(
            maps.uid_extents(),
            [Extent {
                inside: 0,
                outside: 100_000,
                size: 65_536
            }]
        );
        assert!(IdMaps::parse("0 1", "").is_none());
    }
}
