//! Directories, layers and floors the tests work with; everything is removed at the end.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use wire::keeper::source::Kind;

use crate::keeper::{StageProcess, source};
use crate::plans::HOST_ID;

/// What all tests of a run share: an image with busybox, and a layer with this very program as /probe.
pub struct Base {
    directory: PathBuf,
}

fn base_directory() -> PathBuf {
    // The runner's process group: tests are its children.
    let runner = rustix::process::getpgrp().as_raw_nonzero();
    std::env::temp_dir().join(format!("brig-stage-tests-{runner}"))
}

impl Base {
    pub fn make() -> Base {
        let _ = rustix::process::setpgid(None, None);
        let directory = base_directory();
        let image = directory.join("image");
        for name in ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "var"] {
            fs::create_dir_all(image.join(name)).unwrap();
        }
        let busybox = std::env::var("BRIG_TEST_BUSYBOX").unwrap_or_else(|_| "/bin/busybox".into());
        fs::copy(busybox, image.join("bin/busybox")).expect("a static busybox");
        for applet in [
            "sh", "cat", "ls", "echo", "id", "sleep", "true", "mount", "grep", "stty", "tty",
            "kill", "touch", "env", "readlink", "head", "stat", "rm", "chown", "wc", "sed", "cut",
            "mknod", "umount",
        ] {
            symlink("busybox", image.join("bin").join(applet)).unwrap();
        }
        fs::write(
            image.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
        )
        .unwrap();
        symlink("/run", image.join("var/run")).unwrap();
        let probe = directory.join("probe");
        fs::create_dir_all(&probe).unwrap();
        fs::copy("/proc/self/exe", probe.join("probe")).unwrap();
        fs::set_permissions(probe.join("probe"), fs::Permissions::from_mode(0o755)).unwrap();
        let base = Base { directory };
        if !base.can_idmap() {
            // As an image unpacked for this very range: the files have the container's ids on disk.
            fs::write(base.directory.join("unshifted"), "").unwrap();
            give(&image);
            give(&probe);
        }
        base
    }

    fn can_idmap(&self) -> bool {
        let stage = StageProcess::fork(self.directory.clone(), None);
        let reports = stage
            .open(vec![source(1, text(&self.directory), Kind::Bind)])
            .unwrap();
        let can = reports[0].can_idmap;
        stage.kill();
        can
    }
}

/// Gives a tree to the container's root.
pub fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(HOST_ID), Some(HOST_ID)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

/// One test's own place.
pub struct World {
    pub directory: PathBuf,
}

impl World {
    pub fn new() -> World {
        static MADE: AtomicU32 = AtomicU32::new(0);
        // Forks of the test share its cgroups.
        crate::cgroups::path();
        let pid = rustix::process::getpid().as_raw_nonzero();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let directory = base_directory().join(format!("test-{pid}-{number}"));
        fs::create_dir_all(directory.join("upper/fs")).unwrap();
        fs::create_dir_all(directory.join("upper/work")).unwrap();
        fs::create_dir_all(directory.join("floor")).unwrap();
        let world = World { directory };
        world.floor("limit mounts 4096\n");
        if !world.idmaps() {
            give(&world.path("upper"));
        }
        world
    }

    pub fn floor(&self, text: &str) {
        fs::write(self.floor_dir().join("test.floor"), text).unwrap();
        fs::set_permissions(
            self.floor_dir().join("test.floor"),
            fs::Permissions::from_mode(0o644),
        )
        .unwrap();
    }

    pub fn floor_dir(&self) -> PathBuf {
        self.directory.join("floor")
    }

    pub fn image(&self) -> PathBuf {
        base_directory().join("image")
    }

    pub fn probe_layer(&self) -> PathBuf {
        base_directory().join("probe")
    }

    /// Whether the file system that the tests lie on can be idmapped; else their files have the container's ids.
    pub fn idmaps(&self) -> bool {
        !base_directory().join("unshifted").exists()
    }

    /// The owner on disk of what container root owns.
    pub fn root_on_disk(&self) -> u32 {
        if self.idmaps() { 0 } else { HOST_ID }
    }

    /// The upper layer as the host sees it.
    pub fn upper(&self) -> PathBuf {
        self.directory.join("upper/fs")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A directory with a file in it.
    pub fn directory_with(&self, name: &str, file: &str, content: &str) -> PathBuf {
        let directory = self.path(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(file), content).unwrap();
        directory
    }
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A mount on the host, gone at the end.
pub struct HostMount(pub PathBuf);

impl HostMount {
    pub fn tmpfs(place: PathBuf) -> HostMount {
        fs::create_dir_all(&place).unwrap();
        rustix::mount::mount(
            "tmpfs",
            &place,
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            None,
        )
        .unwrap();
        HostMount(place)
    }
}

impl Drop for HostMount {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}
