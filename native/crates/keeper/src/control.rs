//! The launcher's service, on the same socket: `delete` removes a container whatever it is at, `start` asks where the daemon
//! serves a pod that is called over gRPC.

use std::time::Duration;

use prost::Message;
use rustix::process::Signal;

use crate::containerd::{DeleteResponse, Named};
use crate::keeper::{Keeper, Timer};
use crate::local::unsigned;
use crate::pod::{Exit, ProcessKey, Told};
use crate::problem::Outcome;
use crate::requests::{Notice, Waiter};
use crate::ttrpc::{Answer, Request, code};
use crate::worker::Purpose;

pub const SERVICE: &str = "brig.keeper.v1.Control";

/// containerd gives `delete` 5 s; the launcher needs some of that itself.
const LIMIT: Duration = Duration::from_millis(2500);

/// What a killed container is reported with, as runc's shim does.
const KILLED: u32 = 128 + 9;

/// A removal under way.
#[derive(Default)]
pub struct Deletion {
    waiters: Vec<Waiter>,
    /// The cgroups are gone.
    worked: bool,
}

impl Keeper {
    pub fn control(&mut self, waiter: Waiter, request: &Request) {
        if request.method == "GrpcAddress" {
            return self.grpc_address(waiter);
        }
        if request.method != "Delete" {
            let text = format!("{SERVICE}/{}: unknown method", request.method);
            return self.answer(&waiter, Answer::error(code::UNIMPLEMENTED, text));
        }
        let id = match Named::decode(request.payload.as_slice()) {
            Ok(named) => named.id,
            Err(error) => {
                return self.answer(
                    &waiter,
                    Answer::error(code::INVALID_ARGUMENT, format!("delete: {error}")),
                );
            }
        };
        if let Some(deletion) = self.deletions.get_mut(&id) {
            return deletion.waiters.push(waiter);
        }
        if self.pod.is_removed(&id) {
            let answer = self.deleted(&id);
            return self.answer(&waiter, answer);
        }
        let is_made = self
            .requests
            .iter()
            .any(|(_, pending)| pending.creates.as_ref() == Some(&id));
        let is_staged = self.stages.values().any(|stage| stage.is_of(&id));
        if !self.pod.containers.contains_key(&id) && !is_made && !is_staged {
            return self.answer(
                &waiter,
                Answer::error(code::NOT_FOUND, format!("container {id}: not found")),
            );
        }
        self.log.info(format_args!("{id}: deleted by the launcher"));
        self.pod.containers.entry(id.clone()).or_default().removed = true;
        self.deletions.insert(
            id.clone(),
            Deletion {
                waiters: vec![waiter],
                worked: false,
            },
        );
        self.kill_container(&id);
        let dirs = self.pod.cgroup_dirs(&id);
        let purpose = Purpose::Delete(id.clone());
        if let Err(failure) = self.work(purpose, crate::cgroup::LIMIT, move || {
            crate::cgroup::kill_and_remove(&dirs)
        }) {
            self.deletion_worked(&id, Err(failure));
        }
        self.reactor.after(LIMIT, Timer::Deletion(id));
    }

    pub fn deletion_worked(&mut self, id: &str, outcome: Outcome) {
        if let Err(failure) = outcome {
            self.log.error(crate::problem::text(&failure));
        }
        if let Some(deletion) = self.deletions.get_mut(id) {
            deletion.worked = true;
        }
        self.progress_deletion(id);
    }

    /// Ends a removal once everything of the container is gone.
    pub fn progress_deletion(&mut self, id: &str) {
        let Some(deletion) = self.deletions.get(id) else {
            return;
        };
        let container = self.pod.containers.get(id);
        let quiet = container.is_none_or(|container| {
            container
                .processes
                .values()
                .all(|process| process.pid == 0 || process.told != Told::No)
        });
        if deletion.worked && quiet && !self.stages.values().any(|stage| stage.is_of(id)) {
            self.end_deletion(id);
        }
    }

    /// Its time is over: what has not gone is left to the kernel, and said.
    pub fn deletion_over(&mut self, id: &str) {
        if !self.deletions.contains_key(id) {
            return;
        }
        self.log.error(format_args!(
            "{id}: not gone {LIMIT:?} after it was deleted"
        ));
        for exec in self.pod.execs(id) {
            let key = ProcessKey::new(id, &exec);
            let _ = self.kill_one(&key, Signal::KILL);
            self.cut_io(&key);
        }
        self.settle(id);
        self.end_deletion(id);
    }

    fn end_deletion(&mut self, id: &str) {
        let Some(deletion) = self.deletions.remove(id) else {
            return;
        };
        let answer = self.deleted(id);
        self.notify(Notice::Removed(id.to_owned()));
        for waiter in deletion.waiters {
            self.answer(&waiter, answer.clone());
        }
    }

    fn deleted(&self, id: &str) -> Answer {
        let init = self.pod.process(&ProcessKey::new(id, ""));
        let exit = init
            .and_then(|init| init.exit)
            .unwrap_or_else(|| Exit::now(KILLED));
        let pid = unsigned(init.map_or(0, |init| init.pid));
        let response = DeleteResponse {
            pid,
            exit_status: exit.status,
            exited_at: Some(exit.at()),
        };
        Answer::ok(response.encode_to_vec())
    }
}
