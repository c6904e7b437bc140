//! Work that only a process *inside* the container's pid namespace can do, with the stage's own credentials: mounting procfs
//! on older kernels, writing settings that belong to the pid namespace.

use std::os::fd::{BorrowedFd, OwnedFd};

use sys::clone::{ForkFlags, Forked};
use wire::Message;
use wire::keeper::Failure;

use crate::errors::{At, Result, StageError, Step};
use crate::idmap;
use crate::namespaces::Home;
use crate::packets;

/// Longest failure that fits a packet.
const MAX_PACKET: usize = 16 << 10;

/// Runs `work` in a child of the stage that is a member of the pid namespace of the process behind `pidfd`; a descriptor it
/// makes comes back.
pub fn in_pid_namespace(
    home: &Home,
    pidfd: BorrowedFd<'_>,
    step: Step,
    object: &str,
    work: impl FnOnce() -> Result<Option<OwnedFd>>,
) -> Result<Option<OwnedFd>> {
    let (ours, theirs) = packets::pair().at(step, object)?;
    let mut life = Some((theirs, work));
    let helper = home.visit(pidfd, libc::CLONE_NEWPID, || {
        // SAFETY: a stage has a single thread.
        match unsafe { sys::clone::fork(ForkFlags::empty(), None) }.at(step, object)? {
            Forked::Child => {
                if let Some((theirs, work)) = life.take() {
                    let _ = answer(&theirs, work());
                }
                sys::process::exit_now(0)
            }
            Forked::Parent { pidfd, .. } => Ok(pidfd),
        }
    })?;
    drop(life);
    let result = question(&ours, step, object);
    idmap::reap(&helper);
    result
}

fn answer(socket: &OwnedFd, result: Result<Option<OwnedFd>>) -> rustix::io::Result<()> {
    use std::os::fd::AsFd;
    match result {
        Ok(Some(descriptor)) => packets::send(socket, b"d", &[descriptor.as_fd()]),
        Ok(None) => packets::send(socket, b"n", &[]),
        Err(error) => packets::send(
            socket,
            &[b"f", error.to_failure().encode_to_vec().as_slice()].concat(),
            &[],
        ),
    }
}

fn question(socket: &OwnedFd, step: Step, object: &str) -> Result<Option<OwnedFd>> {
    let mut buffer = vec![0u8; MAX_PACKET];
    let (length, mut descriptors) = packets::receive(socket, &mut buffer).at(step, object)?;
    match buffer[..length].split_first() {
        Some((b'd', _)) => Ok(descriptors.pop()),
        Some((b'n', _)) => Ok(None),
        Some((_, failure)) => Err(StageError::received(
            step,
            &Failure::decode(failure).unwrap_or_default(),
        )),
        None => Err(StageError::new(
            step,
            object,
            "the helper in the pid namespace ended early",
        )),
    }
}
