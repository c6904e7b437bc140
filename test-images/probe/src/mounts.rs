//! Ways to take a mask or a read-only mount off, and ways out of a root directory. Meant to be run with every capability the
//! container can give, so that only the kernel's mount locks stand in the way.

use crate::{errno, report};
use std::ffi::CStr;
use std::process::ExitCode;

const MASKS: &[&CStr] = &[
    c"/proc/kcore",
    c"/proc/keys",
    c"/proc/timer_list",
    c"/proc/scsi",
    c"/sys/firmware",
];
const READ_ONLY: &[&CStr] = &[
    c"/proc/sys",
    c"/proc/irq",
    c"/proc/bus",
    c"/proc/fs",
    c"/proc/sysrq-trigger",
    c"/sys",
];

pub fn run() -> ExitCode {
    for mask in MASKS {
        // SAFETY: a C string.
        let result = unsafe { libc::umount2(mask.as_ptr(), libc::MNT_DETACH) };
        report::call(
            &format!("umount {}", mask.to_string_lossy()),
            libc::c_long::from(result),
        );
    }
    for path in READ_ONLY {
        let flags = libc::MS_REMOUNT | libc::MS_BIND;
        report::call(
            &format!("remount-rw {}", path.to_string_lossy()),
            mount(None, path, None, flags),
        );
    }
    // SAFETY: a C string.
    let result = unsafe { libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH) };
    report::call("umount /proc", libc::c_long::from(result));

    let place = c"/tmp/probe-mount";
    // SAFETY: a C string.
    let made = unsafe { libc::mkdir(place.as_ptr(), 0o700) };
    if made < 0 && errno::last() != "EEXIST" {
        report::line("mkdir /tmp/probe-mount", &errno::last(), "");
        return ExitCode::FAILURE;
    }
    fresh("proc", place, Some(c"proc"));
    fresh("sysfs", place, Some(c"sysfs"));
    fresh("cgroup", place, Some(c"cgroup"));
    let bind = mount(Some(c"/proc"), place, None, libc::MS_BIND);
    report::call("bind /proc without its masks", bind);
    if bind == 0 {
        detach(place);
    }
    ExitCode::SUCCESS
}

fn fresh(name: &str, place: &CStr, kind: Option<&CStr>) {
    let result = mount(kind, place, kind, 0);
    report::call(&format!("fresh {name}"), result);
    if result == 0 {
        detach(place);
    }
}

fn detach(place: &CStr) {
    // SAFETY: a C string.
    unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) };
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
) -> libc::c_long {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: each pointer is null or a C string that outlives the call.
    let result = unsafe {
        libc::mount(
            pointer(source),
            target.as_ptr(),
            pointer(kind),
            flags,
            std::ptr::null(),
        )
    };
    libc::c_long::from(result)
}

/// The old way out: chroot below a directory that is held open, then climb.
pub fn escape() -> ExitCode {
    // SAFETY: C strings, and descriptors that are ours.
    unsafe {
        libc::mkdir(c"/tmp/probe-root".as_ptr(), 0o700);
        let outside = libc::open(
            c"/".as_ptr(),
            libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC,
        );
        let changed = libc::chroot(c"/tmp/probe-root".as_ptr());
        report::call("chroot", libc::c_long::from(changed));
        report::call("fchdir", libc::c_long::from(libc::fchdir(outside)));
        for _ in 0..64 {
            libc::chdir(c"..".as_ptr());
        }
        if changed == 0 {
            libc::chroot(c".".as_ptr());
        }
    }
    // What lies at the top, for the test to compare with what the host has there.
    match std::fs::read_dir("/") {
        Ok(entries) => {
            for entry in entries.flatten() {
                report::line("top", "ok", &entry.file_name().to_string_lossy());
            }
        }
        Err(error) => report::line("top", &errno::of(&error), ""),
    }
    ExitCode::SUCCESS
}
