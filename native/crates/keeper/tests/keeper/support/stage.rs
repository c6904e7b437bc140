//! A stage whose plans are shell commands. It speaks the stage's side of keeper.proto: reports sources as opened, makes the
//! process as the keeper's child (CLONE_PARENT) and leaves it at its barrier. A plan may begin with words that make it
//! misbehave: `!hang`, `!die`, `!fail`, `!stranger`, `!noexec`, `!terminal`.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use prost::Message;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use stage::StageArgs;
use wire::keeper::stage_execute::FdRole;
use wire::keeper::{
    Done, Executed, Failure, FromStage, Source, SourceReport, StageOpened, ToStage, from_stage,
    to_stage,
};

use super::frames;

pub fn run(args: StageArgs) -> ! {
    let control = UnixStream::from(args.control);
    let mut descriptors = Vec::new();
    while let Some(message) = receive(&control, &mut descriptors) {
        match message.message.unwrap() {
            to_stage::Message::Open(open)
                if open.container_id.starts_with("hang-open")
                    || open.sources.iter().any(|source| source.path == "hang") =>
            {
                hang()
            }
            to_stage::Message::Open(open) => {
                let sources = open.sources.iter().map(report).collect();
                tell(
                    &control,
                    from_stage::Message::Opened(StageOpened {
                        sources,
                        ..Default::default()
                    }),
                );
            }
            to_stage::Message::RunHooks(hooks) => {
                for hook in hooks.hooks {
                    let script = String::from_utf8(hook).unwrap();
                    Command::new("/bin/sh")
                        .args(["-c", &script])
                        .status()
                        .unwrap();
                }
                tell(&control, from_stage::Message::Done(Done::default()));
            }
            to_stage::Message::Execute(execute) => {
                let roles = execute
                    .fds
                    .iter()
                    .map(|role| FdRole::try_from(*role).unwrap());
                let descriptors = roles.zip(descriptors.drain(..)).collect();
                launch(
                    &control,
                    &String::from_utf8(execute.plan).unwrap(),
                    descriptors,
                );
                break;
            }
        }
    }
    std::process::exit(0)
}

fn report(source: &Source) -> SourceReport {
    match std::fs::metadata(&source.path) {
        Ok(data) => SourceReport {
            handle: source.handle,
            inode: std::os::unix::fs::MetadataExt::ino(&data),
            ..SourceReport::default()
        },
        Err(error) => SourceReport {
            handle: source.handle,
            errno: error.raw_os_error().unwrap(),
            ..SourceReport::default()
        },
    }
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

fn tell(control: &UnixStream, message: from_stage::Message) {
    frames::send(
        control,
        &FromStage {
            message: Some(message),
            fds: Vec::new(),
        },
    );
}

fn launch(control: &UnixStream, plan: &str, descriptors: Vec<(FdRole, OwnedFd)>) {
    let (word, script) = match plan.split_once(' ') {
        Some((word, script)) if word.starts_with('!') => (word, script),
        _ if plan.starts_with('!') => (plan, ""),
        _ => ("", plan),
    };
    match word {
        "!hang" => hang(),
        "!die" => std::process::exit(3),
        "!fail" => {
            let failure = Failure {
                step: "mount".into(),
                object: "/x".into(),
                errno: 2,
                ..Failure::default()
            };
            return tell(control, from_stage::Message::Failure(failure));
        }
        // Makes the directory, and a process that is nobody's child here.
        "!stranger" => {
            std::fs::create_dir(script).unwrap();
            let executed = Executed {
                pid: 1,
                ..Executed::default()
            };
            return tell(control, from_stage::Message::Executed(executed));
        }
        _ => {}
    }
    let terminal = (word == "!terminal").then(open_terminal);
    let pid = clone_for_parent();
    if pid == 0 {
        let failed = be_process(word, script, descriptors, terminal);
        std::process::exit(failed);
    }
    let executed = Executed {
        pid,
        start_time: brig_keeper::record::start_time(pid).unwrap_or(0),
        ..Executed::default()
    };
    let master = terminal.map(|(master, _)| master);
    let fds = if master.is_some() {
        vec![i32::from(from_stage::FdRole::PtyMaster)]
    } else {
        Vec::new()
    };
    let bytes = FromStage {
        message: Some(from_stage::Message::Executed(executed)),
        fds,
    }
    .encode_to_vec();
    let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
    frame.extend(bytes);
    let passed: Vec<_> = master.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !passed.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&passed)));
    }
    rustix::net::sendmsg(
        control,
        &[IoSlice::new(&frame)],
        &mut ancillary,
        SendFlags::empty(),
    )
    .unwrap();
}

/// In the process: waits at the barrier, then becomes the shell. Comes back with a status if it must not.
fn be_process(
    word: &str,
    script: &str,
    descriptors: Vec<(FdRole, OwnedFd)>,
    terminal: Option<(OwnedFd, OwnedFd)>,
) -> i32 {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    let mut barrier = None;
    for (role, descriptor) in descriptors {
        let number = match role {
            FdRole::Stdin => 0,
            FdRole::Stdout => 1,
            FdRole::Stderr => 2,
            FdRole::Barrier => {
                barrier = Some(File::from(descriptor));
                continue;
            }
            FdRole::InitPidfd | FdRole::Unspecified => continue,
        };
        replace(&descriptor, number);
    }
    if let Some((_, slave)) = &terminal {
        rustix::process::setsid().unwrap();
        rustix::process::ioctl_tiocsctty(slave).unwrap();
        for number in 0..3 {
            replace(slave, number);
        }
    }
    drop(terminal);
    let mut barrier = barrier.unwrap();
    let mut go = [0];
    if barrier.read(&mut go).unwrap() == 0 {
        return 99;
    }
    if word == "!noexec" {
        let failure = Failure {
            step: "exec".into(),
            object: "/nothing".into(),
            errno: 2,
            ..Failure::default()
        };
        let bytes = failure.encode_to_vec();
        barrier
            .write_all(&(bytes.len() as u32).to_be_bytes())
            .unwrap();
        barrier.write_all(&bytes).unwrap();
        return 1;
    }
    let error = Command::new("/bin/sh").args(["-c", script]).exec();
    panic!("{error}");
}

fn replace(descriptor: &OwnedFd, number: i32) {
    // SAFETY: takes numbers only; nothing owns 0, 1 and 2 here.
    let placed = unsafe { libc::dup2(descriptor.as_raw_fd(), number) };
    assert_eq!(placed, number);
}

fn open_terminal() -> (OwnedFd, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let slave = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
    (master, slave)
}

/// fork, but the child's parent is ours.
fn clone_for_parent() -> i32 {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without CLONE_VM and with a null stack this is fork; the process has one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    assert!(pid >= 0, "{}", std::io::Error::last_os_error());
    pid as i32
}

fn receive(control: &UnixStream, descriptors: &mut Vec<OwnedFd>) -> Option<ToStage> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut length)];
    let got = rustix::net::recvmsg(
        control,
        &mut into,
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL,
    );
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptors.extend(came);
        }
    }
    if got.ok()?.bytes < 4 {
        return None;
    }
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    (&*control).read_exact(&mut bytes).ok()?;
    Some(ToStage::decode(bytes.as_slice()).unwrap())
}
