//! The stage and the process it makes talk over a pair of sockets: the process says that it is ready, then that it stands at
//! its barrier, or what failed; the stage says go, and hands over what it has built.

use std::os::fd::{BorrowedFd, OwnedFd};

use wire::Message;
use wire::keeper::Failure;

use crate::errors::{At, Result, StageError, Step};
use crate::packets;

const MAX_PACKET: usize = 16 << 10;

/// From the process to the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Report {
    /// In its cgroups and namespaces.
    Ready = b'R',
    /// The hooks that it was asked to run have run.
    HooksDone = b'H',
    /// Everything is applied; one byte says what waits, then four bytes, the number of the seccomp listener or -1.
    Standing = b'S',
}

const FAILED: u8 = b'F';
const GO: u8 = b'G';
const RUN_HOOKS: u8 = b'H';

/// The stage's end.
pub struct ToProcess(pub OwnedFd);

impl ToProcess {
    /// Waits for a report; the process's failure, or its end, is an error.
    pub fn expect(&self, report: Report) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
        let mut buffer = vec![0u8; MAX_PACKET];
        let (length, descriptors) =
            packets::receive(&self.0, &mut buffer).at(Step::StartChild, "link")?;
        match buffer[..length].split_first() {
            Some((&tag, rest)) if tag == report as u8 => Ok((rest.to_vec(), descriptors)),
            Some((&FAILED, failure)) => Err(StageError::received(
                Step::StartChild,
                &Failure::decode(failure).unwrap_or_default(),
            )),
            Some(_) => Err(StageError::new(
                Step::StartChild,
                "link",
                format!("something other than {report:?}"),
            )),
            None => Err(StageError::new(
                Step::StartChild,
                "the container's process",
                "it ended while it was being set up",
            )
            .remedy(
                "the kernel's log says if it ran out of memory: the memory limit may be too small",
            )),
        }
    }

    /// Has the process run its hooks in the container's namespaces.
    pub fn run_hooks(&self) -> Result<()> {
        packets::send(&self.0, &[RUN_HOOKS], &[]).at(Step::RunHook, "link")
    }

    /// Lets the process go on, with what was built for it.
    pub fn go(&self, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        packets::send(&self.0, &[GO], descriptors).at(Step::StartChild, "link")
    }
}

/// The process's end.
pub struct ToStage(pub OwnedFd);

impl ToStage {
    pub fn report(
        &self,
        report: Report,
        payload: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<()> {
        packets::send(&self.0, &[&[report as u8], payload].concat(), descriptors)
            .at(Step::StartChild, "link")
    }

    /// A failure that can't be told has nobody to hear it.
    pub fn fail(&self, error: &StageError) {
        let packet = [&[FAILED], error.to_failure().encode_to_vec().as_slice()].concat();
        let _ = packets::send(&self.0, &packet[..packet.len().min(MAX_PACKET)], &[]);
    }

    /// Waits for the stage; None when it is gone.
    pub fn wait(&self) -> Option<Order> {
        let mut tag = [0u8];
        match packets::receive(&self.0, &mut tag) {
            Ok((1, descriptors)) if tag[0] == GO => Some(Order::Go(descriptors)),
            Ok((1, _)) if tag[0] == RUN_HOOKS => Some(Order::RunHooks),
            _ => None,
        }
    }
}

/// From the stage to the process.
pub enum Order {
    RunHooks,
    /// With what was built for it.
    Go(Vec<OwnedFd>),
}
