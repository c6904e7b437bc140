//! What keeper and stage say to each other, and the descriptors that ride on it.

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use wire::Message;
use wire::keeper::{FromStage, ToStage, from_stage, step_result, to_stage};

use super::Phase;
use crate::deframe::{Piece, plain_frame};
use crate::keeper::Keeper;
use crate::outbox::Outbox;
use crate::problem::done;
use crate::reactor::{Interest, Source};

/// Descriptors that a stage may hand over.
const MOST_DESCRIPTORS: usize = 8;

impl Keeper {
    /// Sends the stage a message; the descriptors ride on it.
    pub fn tell_stage(&mut self, id: u64, message: to_stage::Message, descriptors: Vec<OwnedFd>) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        stage.since = Instant::now();
        stage.outbox.push_with(
            plain_frame(&ToStage {
                message: Some(message),
            }),
            descriptors,
        );
        self.flush_stage(id);
    }

    fn flush_stage(&mut self, id: u64) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        if stage.outbox.flush(stage.socket.as_fd()).is_err() {
            // It is ending; its end says why.
            stage.outbox = Outbox::default();
        }
        let writing = !stage.outbox.is_empty();
        if writing != stage.writing {
            stage.writing = writing;
            let interest = if writing {
                Interest::ReadWrite
            } else {
                Interest::Read
            };
            let _ = self
                .reactor
                .change(&stage.socket, Source::Stage, id, interest);
        }
    }

    pub fn stage_ready(&mut self, id: u64, writable: bool) {
        if writable {
            self.flush_stage(id);
        }
        let mut buffer = [0u8; 8192];
        loop {
            let Some(stage) = self.stages.get_mut(&id) else {
                return;
            };
            let count = match receive(&stage.socket, &mut buffer, &mut stage.descriptors) {
                Ok(Some(count)) => count,
                Ok(None) => return,
                Err(_) => {
                    // No more words; its end, which is about to be told, decides what becomes of its steps.
                    self.reactor.remove(&stage.socket);
                    return;
                }
            };
            let mut input = &buffer[..count];
            while let Some(stage) = self.stages.get_mut(&id) {
                let Some(piece) = stage.deframer.next(&mut input) else {
                    break;
                };
                let message = match piece {
                    Piece::Frame(_, payload) => FromStage::decode(&payload[..]).ok(),
                    Piece::TooLong(..) => None,
                };
                match message {
                    Some(message) => self.told_by_stage(id, message),
                    None => {
                        self.log.error(format_args!(
                            "stage {}: it does not speak the protocol and is killed",
                            stage.pid
                        ));
                        return self.end_stage(id, None);
                    }
                }
            }
        }
    }

    fn told_by_stage(&mut self, id: u64, told: FromStage) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        if stage.ending.is_some() {
            return;
        }
        let mut descriptors = Vec::new();
        for role in &told.fds {
            match (
                from_stage::FdRole::try_from(*role),
                stage.descriptors.pop_front(),
            ) {
                (Ok(role), Some(descriptor)) => descriptors.push((role, descriptor)),
                _ => {
                    self.log.error(format_args!(
                        "stage {}: a descriptor is missing; it is killed",
                        stage.pid
                    ));
                    return self.end_stage(id, None);
                }
            }
        }
        let phase = std::mem::replace(&mut stage.phase, Phase::Over);
        // It has made what stays, or has undone what it made.
        let undo = std::mem::take(&mut stage.undo);
        let container = stage.key.container.clone();
        self.timeline.note("stage", format_args!("answers"));
        match (phase, told.message) {
            (
                Phase::Opening { ticket, remember },
                Some(from_stage::Message::Opened(mut opened)),
            ) => {
                stage.phase = Phase::Open;
                opened.remembered = remember;
                self.finish(ticket, Ok(step_result::Result::StageOpened(opened)));
            }
            (Phase::Launching(mut launch), Some(from_stage::Message::Opened(_)))
                if launch.opens =>
            {
                launch.opens = false;
                stage.phase = Phase::Launching(launch);
            }
            (Phase::Opening { ticket, .. }, Some(from_stage::Message::Failure(failure))) => {
                self.finish(ticket, Err(failure))
            }
            (Phase::Hooks { ticket, poststop }, Some(from_stage::Message::Done(_))) => {
                self.hooks_ran(&container, poststop);
                self.finish(ticket, done())
            }
            (Phase::Hooks { ticket, poststop }, Some(from_stage::Message::Failure(failure))) => {
                self.hooks_ran(&container, poststop);
                self.finish(ticket, Err(failure))
            }
            (Phase::Launching(launch), Some(from_stage::Message::Executed(executed))) => {
                for timing in &executed.timings {
                    let (step, micros) = (&timing.step, timing.micros);
                    self.timeline
                        .note("stage", format_args!("took {micros} us: {step}"));
                }
                if !self.executed(*launch, executed, descriptors)
                    && let Some(stage) = self.stages.get_mut(&id)
                {
                    stage.undo = undo;
                }
            }
            (Phase::Launching(launch), Some(from_stage::Message::Failure(failure))) => {
                self.launch_failed(*launch, failure);
            }
            (phase, _) => {
                stage.phase = phase;
                stage.undo = undo;
                self.log.error(format_args!(
                    "stage {}: an answer to nothing; it is killed",
                    stage.pid
                ));
                self.end_stage(id, None);
            }
        }
    }

    /// Poststop hooks that have run are nobody's to run again: the record forgets them before the daemon is told.
    fn hooks_ran(&mut self, container: &str, poststop: bool) {
        if poststop && let Some(container) = self.pod.containers.get_mut(container) {
            container.forget_poststop();
            self.dirty = true;
            self.store_record();
        }
    }
}

/// Reads once, with the descriptors that came along; those beyond the bound are closed.
fn receive(
    socket: &OwnedFd,
    buffer: &mut [u8],
    descriptors: &mut VecDeque<OwnedFd>,
) -> Result<Option<usize>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(
        socket,
        &mut [std::io::IoSliceMut::new(buffer)],
        &mut ancillary,
        flags,
    );
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            for descriptor in came {
                if descriptors.len() < MOST_DESCRIPTORS {
                    descriptors.push_back(descriptor);
                }
            }
        }
    }
    match received {
        Ok(message) if message.bytes == 0 => Err(Errno::PIPE),
        Ok(message) => Ok(Some(message.bytes)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error),
    }
}
