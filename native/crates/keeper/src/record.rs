//! The pod's record on the run directory: what finds a pod's leftovers once its keeper is gone. It must outlive the keeper, not
//! a reboot, so it isn't synced; a reader sees the old record or the new one, never half of one.
//!
//! What it names is killed and removed, so that a record which is not to the byte what a keeper wrote is none: it ends with a
//! checksum (keeper.proto, `PodRecord`).

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wire::Message;
use wire::keeper::PodRecord;

/// Longest record that is read.
const LONGEST: u64 = 64 << 20;

/// The last field of the file: number 15, eight bytes.
const SEAL: [u8; 2] = [15 << 3 | 2, 8];
const SEAL_BYTES: usize = SEAL.len() + 8;

/// FNV-1a: each byte's step can be undone, so that no change of one byte goes unseen.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step).to_be_bytes()
}

/// What a keeper wrote; nothing else passes.
fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let (record, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
    (seal.strip_prefix(&SEAL)? == checksum(record)).then_some(record)
}

/// Names a pod: sha256, in hexadecimal, of containerd's address, containerd's namespace and the group id joined by NUL.
#[must_use]
pub fn pod_key(containerd_address: &str, namespace: &str, group: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(containerd_address);
    hash.update([0]);
    hash.update(namespace);
    hash.update([0]);
    hash.update(group);
    let mut name = String::with_capacity(64);
    for byte in hash.finalize() {
        for digit in [byte >> 4, byte & 15] {
            name.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    name
}

/// The pod's own directory beneath the run directory.
#[must_use]
pub fn pod_dir(run_dir: &Path, key: &str) -> PathBuf {
    run_dir.join("pods").join(key)
}

/// The record of the pod whose directory this is; nothing if there is none.
///
/// # Errors
/// The file can't be read, or isn't a record.
pub fn load(pod_dir: &Path) -> io::Result<Option<PodRecord>> {
    let path = pod_dir.join("record");
    let length = match fs::metadata(&path) {
        Ok(data) => data.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{length} bytes are too long for a record"),
        ));
    }
    let bytes = fs::read(&path)?;
    let whole = unsealed(&bytes)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is torn or was changed"))?;
    PodRecord::decode(whole)
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes the record, making the directory (0700) if needed. On failure the former record stands.
///
/// # Errors
/// The kernel's.
pub fn store(pod_dir: &Path, record: &PodRecord) -> io::Result<()> {
    let fresh = pod_dir.join("record.new");
    let open = || {
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
    };
    let mut file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(pod_dir)?;
            open()?
        }
        other => other?,
    };
    let mut bytes = record.encode_to_vec();
    let seal = checksum(&bytes);
    bytes.extend_from_slice(&SEAL);
    bytes.extend_from_slice(&seal);
    let written = file.write_all(&bytes);
    written
        .and_then(|()| fs::rename(&fresh, pod_dir.join("record")))
        .inspect_err(|_| {
            let _ = fs::remove_file(&fresh);
        })
}

/// Removes record and directory; nothing there is fine.
///
/// # Errors
/// The kernel's.
pub fn remove(pod_dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(pod_dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Field 22 of `/proc/<pid>/stat`: clock ticks from boot to the process's start. With the pid it names a process for good.
#[must_use]
pub fn start_time(pid: i32) -> Option<u64> {
    stat_field(pid, 22)?.parse().ok()
}

/// The process's state letter (`/proc/<pid>/stat`, field 3).
#[must_use]
pub fn process_state(pid: i32) -> Option<char> {
    stat_field(pid, 3)?.chars().next()
}

fn stat_field(pid: i32, number: usize) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, field 2, is in parentheses and may contain anything; the last one closes it.
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(line.get(end + 1..)?).ok()?;
    rest.split_ascii_whitespace()
        .nth(number.checked_sub(3)?)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_keys_do_not_collide() {
        assert_ne!(pod_key("a", "bc", "d"), pod_key("ab", "c", "d"));
        assert_eq!(pod_key("a", "b", "c").len(), 64);
    }

    #[test]
    fn a_stored_record_is_read_back_and_can_be_replaced_and_removed() {
        let dir = std::env::temp_dir().join(format!("brig-record-{}", std::process::id()));
        assert!(load(&dir).unwrap().is_none());
        for socket in ["/one", "/two"] {
            let record = PodRecord {
                socket_path: socket.into(),
                ..PodRecord::default()
            };
            store(&dir, &record).unwrap();
            assert_eq!(load(&dir).unwrap().unwrap().socket_path, socket);
        }
        remove(&dir).unwrap();
        remove(&dir).unwrap();
        assert!(load(&dir).unwrap().is_none());
    }

    #[test]
    fn a_record_that_is_cut_anywhere_or_has_any_bit_changed_is_none() {
        let dir = std::env::temp_dir().join(format!("brig-torn-record-{}", std::process::id()));
        let care = wire::keeper::CareRecord {
            container_id: "c".into(),
            care: Some(wire::keeper::ContainerCare {
                cgroup_dirs: vec!["/sys/fs/cgroup/pids/it/c-1".into()],
                ..wire::keeper::ContainerCare::default()
            }),
        };
        let record = PodRecord {
            socket_path: "/run/s".into(),
            keeper_start_time: 77,
            cares: vec![care],
            ..PodRecord::default()
        };
        store(&dir, &record).unwrap();
        assert_eq!(load(&dir).unwrap().unwrap(), record);
        let path = dir.join("record");
        let whole = fs::read(&path).unwrap();
        let refused = |bytes: &[u8], what: &str| {
            fs::write(&path, bytes).unwrap();
            assert!(load(&dir).is_err(), "{what}");
        };
        for length in 0..whole.len() {
            refused(&whole[..length], &format!("cut at {length}"));
        }
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            refused(&changed, &format!("bit {bit}"));
        }
        remove(&dir).unwrap();
    }

    #[test]
    fn a_process_is_named_by_its_start() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(start_time(own).unwrap() > 0);
        assert!(matches!(process_state(own), Some('R' | 'S')));
        assert_eq!(start_time(-1), None);
    }
}
