//! The keeper's side of the conversation, as small as it can be.

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use brig_stage::{Class, MountOrder, StageArgs, Template};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use wire::Message;
use wire::keeper::from_stage::{FdRole as OutRole, Message as Answer};
use wire::keeper::source::Kind;
use wire::keeper::stage_execute::FdRole;
use wire::keeper::to_stage::Message as Question;
use wire::keeper::{
    Executed, Failure, FromStage, OpenStage, RunHooks, Source, SourceReport, StageExecute,
    StageOpened, ToStage,
};
use wire::plan::{LaunchPlan, launch_plan};

use crate::ended;

pub const CLASS: &str = "test";

/// A stage that waits for sources and its plan.
pub struct StageProcess {
    control: OwnedFd,
    pidfd: OwnedFd,
}

/// A process at its barrier or beyond.
pub struct Running {
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub executed: Executed,
    pub barrier: Option<OwnedFd>,
    pub output: OwnedFd,
    pub terminal: Option<OwnedFd>,
    pub listener: Option<OwnedFd>,
    /// The test's end of standard input; closed to end it.
    pub input: Option<OwnedFd>,
}

pub struct Outcome {
    pub status: i32,
    pub output: String,
}

/// The order that the environment asks for, else what the kernel offers.
pub fn asked_order() -> Option<MountOrder> {
    match std::env::var("BRIG_TEST_ORDER").as_deref() {
        Ok("attached") => Some(MountOrder::Attached),
        Ok("detached") => Some(MountOrder::Detached),
        _ => None,
    }
}

pub fn become_keeper() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
}

impl StageProcess {
    pub fn fork(floor_dir: PathBuf, order: Option<MountOrder>) -> StageProcess {
        become_keeper();
        let template = Template::make(order.or_else(asked_order)).unwrap();
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        match unsafe { sys::clone::fork(sys::clone::ForkFlags::empty(), None) }.unwrap() {
            sys::clone::Forked::Child => brig_stage::run(StageArgs {
                control: theirs,
                class: Class {
                    name: CLASS.into(),
                    floor_dir,
                },
                template: Some(template),
            }),
            sys::clone::Forked::Parent { pidfd, .. } => StageProcess {
                control: ours,
                pidfd,
            },
        }
    }

    pub fn open(&self, sources: Vec<Source>) -> Result<Vec<SourceReport>, Failure> {
        self.ask_to_open(sources, false)
            .map(|opened| opened.sources)
    }

    /// The pid of the placeholder.
    pub fn open_with_placeholder(&self, sources: Vec<Source>) -> i32 {
        self.ask_to_open(sources, true).unwrap().placeholder_pid
    }

    fn ask_to_open(&self, sources: Vec<Source>, placeholder: bool) -> Result<StageOpened, Failure> {
        let open = OpenStage {
            sources,
            placeholder,
            ..OpenStage::default()
        };
        send(&self.control, Question::Open(open), &[]);
        match receive(&self.control) {
            (Answer::Opened(opened), _, _) => Ok(opened),
            (Answer::Failure(failure), _, _) => Err(failure),
            (other, _, _) => panic!("{other:?}"),
        }
    }

    pub fn execute(
        self,
        kind: launch_plan::Kind,
        init: Option<BorrowedFd<'_>>,
    ) -> Result<Running, Failure> {
        let plan = LaunchPlan {
            contract_version: wire::PLAN_VERSION,
            container_id: "test".into(),
            class_name: CLASS.into(),
            kind: Some(kind),
        };
        self.execute_plan(&plan, init)
    }

    pub fn execute_plan(
        self,
        plan: &LaunchPlan,
        init: Option<BorrowedFd<'_>>,
    ) -> Result<Running, Failure> {
        let (barrier, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let flags = rustix::pipe::PipeFlags::CLOEXEC;
        let (output, write) = rustix::pipe::pipe_with(flags).unwrap();
        let (read, input) = rustix::pipe::pipe_with(flags).unwrap();
        let mut descriptors = vec![read.as_fd(), write.as_fd(), write.as_fd(), theirs.as_fd()];
        let mut roles = vec![
            FdRole::Stdin,
            FdRole::Stdout,
            FdRole::Stderr,
            FdRole::Barrier,
        ];
        if let Some(init) = init {
            descriptors.push(init);
            roles.push(FdRole::InitPidfd);
        }
        let execute = StageExecute {
            plan: plan.encode_to_vec(),
            fds: roles.into_iter().map(i32::from).collect(),
        };
        send(&self.control, Question::Execute(execute), &descriptors);
        drop((read, write, theirs));
        let (answer, roles, descriptors) = receive(&self.control);
        // The stage ends by itself, whatever it answered.
        assert_eq!(ended(&self.pidfd), Some(0), "the stage's own end");
        match answer {
            Answer::Failure(failure) => {
                reap_the_dead();
                Err(failure)
            }
            Answer::Executed(executed) => {
                let (mut terminal, mut listener) = (None, None);
                for (role, descriptor) in roles.into_iter().zip(descriptors) {
                    match role {
                        OutRole::PtyMaster => terminal = Some(descriptor),
                        OutRole::SeccompListener => listener = Some(descriptor),
                        OutRole::Unspecified => panic!("a descriptor without a role"),
                    }
                }
                let pid = executed.pid;
                let pidfd = rustix::process::pidfd_open(
                    rustix::process::Pid::from_raw(pid).unwrap(),
                    rustix::process::PidfdFlags::empty(),
                );
                Ok(Running {
                    pid,
                    pidfd: pidfd.unwrap(),
                    executed,
                    barrier: Some(barrier),
                    output,
                    terminal,
                    listener,
                    input: Some(input),
                })
            }
            other => panic!("{other:?}"),
        }
    }

    /// Sends a plan and does not wait for what becomes of it.
    pub fn start(&self, kind: launch_plan::Kind) {
        let plan = LaunchPlan {
            contract_version: wire::PLAN_VERSION,
            class_name: CLASS.into(),
            kind: Some(kind),
            ..LaunchPlan::default()
        };
        let null = std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap();
        let roles = [
            FdRole::Stdin,
            FdRole::Stdout,
            FdRole::Stderr,
            FdRole::Barrier,
        ];
        let execute = StageExecute {
            plan: plan.encode_to_vec(),
            fds: roles.map(i32::from).into(),
        };
        send(
            &self.control,
            Question::Execute(execute),
            &[null.as_fd(); 4],
        );
    }

    /// Sends any bytes as a frame; answers the failure that comes back.
    pub fn say(self, bytes: &[u8]) -> Failure {
        let frame = [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
        send_with_rights(&self.control, &frame, &[]);
        let (answer, _, _) = receive(&self.control);
        assert_eq!(ended(&self.pidfd), Some(0));
        match answer {
            Answer::Failure(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    /// Announces a frame of that length and expects the stage to end.
    pub fn announce(self, length: u32) {
        send_with_rights(&self.control, &length.to_be_bytes(), &[]);
        assert_eq!(ended(&self.pidfd), Some(0));
    }

    pub fn run_hooks(self, hooks: Vec<Vec<u8>>, state: &[u8]) -> Result<(), Failure> {
        let request = RunHooks {
            hooks,
            state_json: state.to_vec(),
            ..RunHooks::default()
        };
        send(&self.control, Question::RunHooks(request), &[]);
        let (answer, _, _) = receive(&self.control);
        assert_eq!(ended(&self.pidfd), Some(0), "the stage's own end");
        match answer {
            Answer::Done(_) => Ok(()),
            Answer::Failure(failure) => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    /// Kills the stage itself.
    pub fn kill(self) {
        rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL).unwrap();
        ended(&self.pidfd).unwrap();
    }
}

impl Running {
    /// Lets it go on to execve; an error is what it told of the failed execve.
    pub fn release(&mut self) -> Result<(), Failure> {
        let barrier = self.barrier.take().unwrap();
        rustix::io::write(&barrier, b"G").unwrap();
        let mut told = Vec::new();
        std::fs::File::from(barrier).read_to_end(&mut told).unwrap();
        match told.len() {
            0 => Ok(()),
            _ => Err(Failure::decode(&told[4..]).unwrap()),
        }
    }

    /// Releases it and waits for its end.
    pub fn finish(mut self) -> Outcome {
        self.release().unwrap();
        self.input.take();
        let mut output = Vec::new();
        std::fs::File::from(self.output)
            .read_to_end(&mut output)
            .unwrap();
        let status = ended(&self.pidfd).expect("the container's end");
        Outcome {
            status,
            output: String::from_utf8_lossy(&output).into_owned(),
        }
    }

    /// One line of output, waited for.
    pub fn read_line(&self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while rustix::io::read(&self.output, &mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8_lossy(&line).into_owned()
    }

    pub fn kill(&self) -> i32 {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
        ended(&self.pidfd).unwrap()
    }

    /// A field of /proc/<pid>/status as read back at the barrier.
    pub fn status(&self, field: &str) -> String {
        let prefix = format!("{field}:");
        let line = self
            .executed
            .status
            .lines()
            .find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_else(|| panic!("{field} in {}", self.executed.status))
            .trim()
            .to_owned()
    }
}

/// The failure of what must not start.
pub fn fails(result: Result<Running, Failure>) -> Failure {
    result
        .map(|running| running.kill())
        .expect_err("it started")
}

pub fn source(handle: u32, path: impl Into<String>, kind: Kind) -> Source {
    Source {
        handle,
        path: path.into(),
        kind: kind.into(),
        want_mount: false,
    }
}

fn send(control: &OwnedFd, question: Question, descriptors: &[BorrowedFd<'_>]) {
    let body = ToStage {
        message: Some(question),
    }
    .encode_to_vec();
    let frame = [&(body.len() as u32).to_be_bytes(), body.as_slice()].concat();
    let raw: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    send_with_rights(control, &frame, &raw);
}

/// Written against libc, independently of the code under test.
fn send_with_rights(socket: &OwnedFd, bytes: &[u8], descriptors: &[i32]) {
    let mut iov = libc::iovec {
        iov_base: bytes.as_ptr() as *mut _,
        iov_len: bytes.len(),
    };
    let mut control = [0u64; 32];
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut iov;
        message.msg_iovlen = 1;
        if !descriptors.is_empty() {
            let size = size_of_val(descriptors) as u32;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(size) as usize;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as usize;
            std::ptr::copy_nonoverlapping(
                descriptors.as_ptr(),
                libc::CMSG_DATA(header).cast(),
                descriptors.len(),
            );
        }
        let sent = libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL);
        assert_eq!(
            sent,
            bytes.len() as isize,
            "{}",
            std::io::Error::last_os_error()
        );
    }
}

fn receive(control: &OwnedFd) -> (Answer, Vec<OutRole>, Vec<OwnedFd>) {
    let (mut bytes, mut descriptors) = (Vec::new(), Vec::new());
    loop {
        let (more, mut came) = receive_some(control);
        assert!(!more.is_empty(), "the stage ended without an answer");
        bytes.extend_from_slice(&more);
        descriptors.append(&mut came);
        if bytes.len() >= 4
            && bytes.len() == u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize + 4
        {
            break;
        }
    }
    let answer = FromStage::decode(&bytes[4..]).unwrap();
    let roles = answer.fds().collect();
    (answer.message.unwrap(), roles, descriptors)
}

/// One recvmsg; no bytes: the other side is gone.
fn receive_some(socket: &OwnedFd) -> (Vec<u8>, Vec<OwnedFd>) {
    use std::os::fd::FromRawFd;
    let mut buffer = [0u8; 4096];
    let mut space = [0u64; 32];
    let mut descriptors = Vec::new();
    unsafe {
        let mut iov = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut iov;
        message.msg_iovlen = 1;
        message.msg_control = space.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&space);
        let length = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC);
        assert!(length >= 0, "{}", std::io::Error::last_os_error());
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if !header.is_null() {
            let count = ((*header).cmsg_len - libc::CMSG_LEN(0) as usize) / 4;
            let numbers = std::slice::from_raw_parts(libc::CMSG_DATA(header).cast::<i32>(), count);
            descriptors.extend(numbers.iter().map(|fd| OwnedFd::from_raw_fd(*fd)));
        }
        (buffer[..length as usize].to_vec(), descriptors)
    }
}

/// What a failed stage had started has ended, and its parent is the keeper: while it is not reaped, its pid namespace stays.
fn reap_the_dead() {
    use rustix::process::{WaitId, WaitIdOptions};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    while let Ok(Some(_)) = rustix::process::waitid(WaitId::All, options) {}
}

/// All bytes and the first descriptor that come over a stream until its end.
pub fn receive_one(stream: OwnedFd) -> (Vec<u8>, OwnedFd) {
    let (mut bytes, mut descriptors) = (Vec::new(), Vec::new());
    loop {
        let (more, mut came) = receive_some(&stream);
        descriptors.append(&mut came);
        if more.is_empty() {
            return (bytes, descriptors.remove(0));
        }
        bytes.extend_from_slice(&more);
    }
}
