//! The barrier at which a process stands before execve: released by one byte, and telling by its end how execve went.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::process::Signal;
use wire::Message;
use wire::keeper::{Done, Failure, step_result};

use crate::after_exec;
use crate::client::read;
use crate::deframe::Piece;
use crate::keeper::{Keeper, Timer};
use crate::launch::END_LIMIT;
use crate::pod::{Process, ProcessKey, Told};
use crate::problem::explained;
use crate::requests::Ticket;

impl Keeper {
    pub fn release(&mut self, ticket: Ticket, key: &ProcessKey) {
        let process = self
            .pod
            .process_mut(key)
            .filter(|process| process.is_alive());
        let refused = match process.map(|process| process.barrier.as_mut()) {
            Some(Some(barrier)) if barrier.release.is_none() => {
                barrier.release = Some((ticket, None));
                return self.open_barrier(key);
            }
            Some(_) => explained(
                "release",
                key,
                Errno::ALREADY,
                "it has been released before",
                "",
            ),
            None => explained("release", key, Errno::SRCH, "the process is gone", ""),
        };
        self.finish(ticket, Err(refused));
    }

    pub fn open_barrier(&mut self, key: &ProcessKey) {
        let process = self.pod.process(key);
        if let Some(barrier) = process.and_then(|process| process.barrier.as_ref()) {
            // One byte always fits; a process that is gone shows as an end of file.
            let _ = rustix::net::send(&barrier.socket, b"G", rustix::net::SendFlags::NOSIGNAL);
        }
    }

    pub fn barrier_ready(&mut self, id: u64) {
        let of = |process: &Process| {
            process
                .barrier
                .as_ref()
                .is_some_and(|barrier| barrier.id == id)
        };
        let key = self.pod.containers.iter().find_map(|(container, state)| {
            let exec = state.processes.iter().find(|(_, process)| of(process));
            exec.map(|(exec, _)| ProcessKey::new(container, exec))
        });
        if let Some(key) = key {
            self.read_barrier(&key, false);
        }
    }

    /// What the process says at its barrier: an end of file is success once it was released. `last`: it is dead, so what
    /// has not been said by now never will be.
    pub fn read_barrier(&mut self, key: &ProcessKey, last: bool) {
        let mut buffer = [0u8; 4096];
        loop {
            let Some(process) = self.pod.process_mut(key) else {
                return;
            };
            let Some(barrier) = &mut process.barrier else {
                return;
            };
            match read(barrier.socket.as_fd(), &mut buffer) {
                Ok(Some(count)) => {
                    let mut input = &buffer[..count];
                    if let Some(piece) = barrier.deframer.next(&mut input) {
                        let told = match piece {
                            Piece::Frame(_, payload) => Failure::decode(&payload[..]).ok(),
                            Piece::TooLong(..) => None,
                        };
                        let unclear = || {
                            explained(
                                "execute",
                                key,
                                Errno::PROTO,
                                "its barrier told nonsense",
                                "",
                            )
                        };
                        return self.not_executed(key, told.unwrap_or_else(unclear));
                    }
                }
                Ok(None) if !last => return,
                Ok(None) | Err(_) => break,
            }
        }
        let Some(process) = self.pod.process_mut(key) else {
            return;
        };
        let Some(barrier) = process.barrier.take() else {
            return;
        };
        self.reactor.remove(&barrier.socket);
        // Of a process that has been collected it was read before.
        let after_exec = barrier
            .after_exec
            .or_else(|| (!last).then(|| after_exec::read(process.pid)));
        match barrier.release {
            Some((ticket, Some(mut executed))) => {
                executed.after_exec = after_exec;
                self.finish(ticket, Ok(step_result::Result::Executed(*executed)))
            }
            Some((ticket, None)) => {
                self.finish(ticket, Ok(step_result::Result::Done(Done { after_exec })))
            }
            // It died before it was released; its exit tells.
            None => {}
        }
    }

    /// Before a process is collected whose barrier has not been read to its end: what can't be read any more afterwards.
    pub fn read_after_exec(&mut self, key: &ProcessKey) {
        let Some(process) = self.pod.process_mut(key) else {
            return;
        };
        if let Some(barrier) = &mut process.barrier
            && barrier.release.is_some()
        {
            barrier.after_exec = Some(after_exec::read(process.pid));
        }
    }

    /// execve failed: the step that released it fails once the process is gone.
    fn not_executed(&mut self, key: &ProcessKey, failure: Failure) {
        let Some(process) = self.pod.process_mut(key) else {
            return;
        };
        let Some(barrier) = process.barrier.take() else {
            return;
        };
        self.reactor.remove(&barrier.socket);
        let Some((ticket, _)) = barrier.release else {
            return self
                .log
                .warning(format_args!("{key}: {}", crate::problem::text(&failure)));
        };
        process.told = Told::Yes;
        process.ending.push((ticket, Some(failure)));
        if process.exit.is_some() {
            return self.end_of_ending(key);
        }
        let _ = self.kill_one(key, Signal::KILL);
        self.reactor
            .after(END_LIMIT, Timer::ProcessEnd(key.clone()));
    }
}
