//! Who may connect to the pod's socket. The peers are this very program, executed as somebody else.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::daemon::execute;
use crate::support::frames::ids;
use crate::support::{LIMIT, Pod, until};

/// Names the socket to the program that plays the peer.
const VARIABLE: &str = "BRIG_KEEPER_PEER_OF";

const TURNED_AWAY: i32 = 10;
const SERVED: i32 = 11;

/// A request of a stream that a client may not use: whoever is served is told so at once.
const ASKED: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 2, 1, 0];

/// Connects, asks, and ends with what became of the connection.
#[test]
fn plays_the_peer_when_asked() {
    let Some(socket) = std::env::var_os(VARIABLE) else {
        return;
    };
    let mut stream = UnixStream::connect(socket).expect("the socket's mode lets everybody in");
    stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
    let asked = stream.write_all(&ASKED);
    let ended = match stream.read(&mut [0]) {
        Ok(1) => SERVED,
        Ok(_) => TURNED_AWAY,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => TURNED_AWAY,
        Err(error) => panic!("neither served nor turned away: {error}, {asked:?}"),
    };
    std::process::exit(ended)
}

/// A connection that can't be accepted wakes the keeper for as long as it waits. It is left alone for a while each time, and served
/// as soon as there is a descriptor for it.
#[test]
fn a_keeper_without_descriptors_does_not_spin_and_serves_who_waits_when_it_has_some() {
    let pod = Pod::new();
    let log = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(pod.path("bundle/log"));
    let mut log = log.expect("log");
    let _daemon = pod.daemon();
    let mut said = String::new();
    let mut says = |text: &str, times: usize| {
        until(text, || {
            // Nothing now: an error, or the end while the keeper doesn't have it open.
            let mut buffer = [0; 4096];
            let count = log.read(&mut buffer).unwrap_or(0);
            said.push_str(&String::from_utf8_lossy(&buffer[..count]));
            said.matches(text).count() >= times
        });
        said.matches(text).count()
    };
    says("is there", 1);
    let keeper = Pid::from_raw(pod.pid());
    // Its hard limit is that of its starter.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = |current| Rlimit {
        current: Some(current),
        maximum,
    };
    // What it has stays open; nothing can be opened besides, not even in the place of what it closes.
    let former = prlimit(keeper, Resource::Nofile, limit(0)).expect("limit");
    let since = Instant::now();
    let mut client = pod.client();
    let stream = client.ask_as("brig.keeper.v1.Control", "Delete", ids("c", ""), 0);
    let tries = says("accept: ", 3);
    assert!(tries as u128 <= since.elapsed().as_millis() / 100 + 1);
    prlimit(keeper, Resource::Nofile, former).expect("limit");
    let status = client.answer(stream).status.expect("a refusal");
    assert!(status.message.contains("not found"), "{}", status.message);
}

/// How a peer fares that becomes somebody else by `change`, which runs between fork and execve.
fn fate(pod: &Pod, change: fn() -> io::Result<()>) -> i32 {
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(pod.socket(), everybody.clone()).unwrap();
    // The program must be found and executed by whoever it becomes.
    let program = pod.dir.join("peer");
    if !program.exists() {
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        std::fs::set_permissions(&program, everybody).unwrap();
    }
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "exec \"$0\" --exact peers::plays_the_peer_when_asked"])
        .arg(program)
        .env(VARIABLE, pod.socket())
        .current_dir("/")
        .stdout(Stdio::null());
    // SAFETY: `change` makes system calls and writes files; it is called in a process with one thread, which then executes.
    unsafe { command.pre_exec(change) };
    command.status().unwrap().code().unwrap()
}

fn nobody() -> io::Result<()> {
    become_user(65_534)
}

fn become_user(id: u32) -> io::Result<()> {
    // SAFETY: numbers and a null list only.
    let changed = unsafe {
        libc::setgroups(0, std::ptr::null()) == 0 && libc::setgid(id) == 0 && libc::setuid(id) == 0
    };
    if changed {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Root of a user namespace whose only id is the one the process has.
fn own_namespace(outside: u32) -> io::Result<()> {
    // SAFETY: a number only.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
        return Err(io::Error::last_os_error());
    }
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {outside} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {outside} 1"))
}

fn root_of_other_ids() -> io::Result<()> {
    become_user(100_000)?;
    // The change of user has taken its own files in /proc away from it.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
    own_namespace(100_000)
}

fn root_that_is_the_hosts() -> io::Result<()> {
    own_namespace(0)
}

#[test]
fn only_the_keeper_s_own_user_in_its_own_user_namespace_is_served() {
    let pod = Pod::new();
    assert_eq!(fate(&pod, || Ok(())), SERVED);
    assert_eq!(fate(&pod, nobody), TURNED_AWAY);
    assert_eq!(fate(&pod, root_of_other_ids), TURNED_AWAY);
    assert_eq!(fate(&pod, root_that_is_the_hosts), TURNED_AWAY);
}

#[test]
fn a_keeper_in_its_landlock_domain_turns_the_same_away() {
    let pod = Pod::new();
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    daemon.start(seq, execute("c", "", "exec sleep 100"));
    assert_eq!(fate(&pod, || Ok(())), SERVED);
    assert_eq!(fate(&pod, root_of_other_ids), TURNED_AWAY);
    assert_eq!(fate(&pod, root_that_is_the_hosts), TURNED_AWAY);
}
