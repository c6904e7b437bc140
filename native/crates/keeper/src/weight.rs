//! The processor weight of Brig's own control groups, where no systemd gives it.
//!
//! A group beneath the root of a hierarchy competes as one with every other group there and, in v1, with every single task of the
//! root group. runc's shims and containerd usually are such tasks, each with the weight of one; all keepers of a node together, and
//! the daemon, would have the weight of one as well, and every call to a pod would wait behind whatever else keeps the machine
//! busy. So each of the two groups weighs as much as eight tasks: enough to be served at once for the fractions of a
//! millisecond that a call takes, and no more than eight tasks even if somebody makes them busy (the keepers pass on
//! what containers write).

use std::fs;
use std::path::Path;

/// File, the kernel's default, ours: eight times the default. v1, then v2.
const WEIGHTS: [(&str, &str, &str); 2] =
    [("cpu.shares", "1024", "8192"), ("cpu.weight", "100", "800")];

/// Gives the group its weight, unless it has another than the kernel's already: that is the operator's. A hierarchy without
/// processors has no such file.
pub fn raise(group: &Path) {
    for (file, default, ours) in WEIGHTS {
        let file = group.join(file);
        if fs::read_to_string(&file).is_ok_and(|weight| weight.trim() == default) {
            let _ = fs::write(&file, ours);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_weight_is_raised_and_an_operators_stays() {
        let dir = std::env::temp_dir().join(format!("brig-weight-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        raise(&dir);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::write(dir.join("cpu.shares"), "1024\n").unwrap();
        fs::write(dir.join("cpu.weight"), "50\n").unwrap();
        raise(&dir);
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        assert_eq!(
            (read("cpu.shares"), read("cpu.weight")),
            ("8192".into(), "50\n".into())
        );
        fs::remove_dir_all(&dir).unwrap();
    }
}
