//! A FUSE file system whose server answers the greeting and nothing else: who looks into it hangs in the kernel, and no signal
//! ends that once the server has read the question.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;

/// Opcode of the greeting (FUSE_INIT, <linux/fuse.h>), and the version that is spoken.
const INIT: u32 = 26;
const MAJOR: u32 = 7;
const MINOR: u32 = 31;
/// fuse_out_header and fuse_init_out.
const OUT_HEADER: u32 = 16;
const INIT_OUT: usize = 64;

pub struct SilentFuse {
    mount_point: PathBuf,
    asked: Receiver<()>,
    server: Option<JoinHandle<()>>,
}

impl SilentFuse {
    pub fn mount(mount_point: &Path) -> SilentFuse {
        std::fs::create_dir_all(mount_point).unwrap();
        // Without a device it can't succeed; it has the kernel load the module, which makes the device's node.
        let flags = rustix::mount::MountFlags::empty();
        let _ = rustix::mount::mount("silent", mount_point, "fuse", flags, None);
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .unwrap();
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0",
            device.as_raw_fd()
        );
        rustix::mount::mount(
            "silent",
            mount_point,
            "fuse",
            flags,
            CString::new(options).unwrap().as_c_str(),
        )
        .unwrap();
        let (tell, asked) = std::sync::mpsc::channel();
        SilentFuse {
            mount_point: mount_point.to_owned(),
            asked,
            server: Some(std::thread::spawn(move || serve(device, &tell))),
        }
    }

    /// Waits until someone hangs in it: the server has read a question.
    pub fn await_question(&self) {
        self.asked.recv_timeout(super::LIMIT).unwrap();
    }

    /// Ends the server: all that hang in it go on, with an error.
    pub fn abort(&mut self) {
        let path = self.connection();
        if let Some(server) = self.server.take() {
            std::fs::write(path, "1").unwrap();
            server.join().unwrap();
        }
    }

    /// fusectl's switch for this file system, found by its device's minor number.
    fn connection(&self) -> PathBuf {
        let control = self.mount_point.with_file_name("fusectl");
        std::fs::create_dir_all(&control).unwrap();
        let _ = rustix::mount::mount(
            "fusectl",
            &control,
            "fusectl",
            rustix::mount::MountFlags::empty(),
            None,
        );
        let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let place = self.mount_point.to_str().unwrap();
        let line = text
            .lines()
            .find(|line| line.split(' ').nth(4) == Some(place))
            .unwrap();
        let minor = line.split(' ').nth(2).unwrap().split(':').nth(1).unwrap();
        control.join(minor).join("abort")
    }
}

impl Drop for SilentFuse {
    fn drop(&mut self) {
        self.abort();
        let detach = rustix::mount::UnmountFlags::DETACH;
        let _ = rustix::mount::unmount(&self.mount_point, detach);
        let _ = rustix::mount::unmount(self.mount_point.with_file_name("fusectl"), detach);
    }
}

/// Reads questions until the file system is aborted; answers the first kind only.
fn serve(mut device: File, asked: &Sender<()>) {
    let mut buffer = vec![0; 1 << 17];
    while let Ok(count) = device.read(&mut buffer) {
        let word = |at: usize| u32::from_ne_bytes(buffer[at..at + 4].try_into().unwrap());
        if count >= 40 && word(4) == INIT {
            let mut answer = Vec::new();
            answer.extend((OUT_HEADER + INIT_OUT as u32).to_ne_bytes());
            answer.extend(0u32.to_ne_bytes());
            answer.extend(&buffer[8..16]);
            let mut body = vec![0; INIT_OUT];
            body[..4].copy_from_slice(&MAJOR.to_ne_bytes());
            body[4..8].copy_from_slice(&MINOR.to_ne_bytes());
            answer.extend(body);
            device.write_all(&answer).unwrap();
        } else {
            let _ = asked.send(());
        }
    }
}
