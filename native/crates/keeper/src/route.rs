//! What becomes of a client's request, and of the daemon's Reply to it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use prost::Message;
use wire::keeper::{ExitedNotice, OomNotice, RemovedNotice, Reply};

use crate::containerd::{Named, STOPPED, Subject, TASK_SERVICES};
use crate::keeper::{Keeper, Timer};
use crate::pod::{Process, ProcessKey, Told};
use crate::requests::{NOTICE_SERVICE, Notice, Pending, Question, Waiter};
use crate::ttrpc::{Answer, Request, code};

impl Keeper {
    /// A request has come.
    pub fn requested(&mut self, connection: u64, stream: u32, request: Request) {
        self.worked();
        self.timeline
            .note("containerd", format_args!("{}", request.method));
        let expires = u64::try_from(request.timeout_nano)
            .ok()
            .filter(|nanos| *nanos > 0);
        let expires =
            expires.and_then(|nanos| Instant::now().checked_add(Duration::from_nanos(nanos)));
        let waiter = Waiter {
            connection,
            stream,
            expires,
        };
        if request.service == crate::control::SERVICE {
            return self.control(waiter, &request);
        }
        if request.service.starts_with("brig.") {
            let text = format!("{}: unknown service", request.service);
            return self.answer(&waiter, Answer::error(code::UNIMPLEMENTED, text));
        }
        if self.leaving {
            return self.answer(
                &waiter,
                Answer::error(
                    code::UNAVAILABLE,
                    "request: the keeper ends; the pod is empty",
                ),
            );
        }
        let metadata: HashMap<_, _> = request
            .metadata
            .into_iter()
            .map(|pair| (pair.key, pair.value))
            .collect();
        let mut pending = Pending::new(request.service, request.method, request.payload, metadata);
        look_into(&mut pending);
        if let Some(answer) = self.agreed_answer(pending.question.as_ref()) {
            self.timeline
                .note("keeper", format_args!("{}: answered", pending.method));
            return self.answer(&waiter, answer);
        }
        pending.expires = expires;
        pending.waiters = vec![waiter.clone()];
        let asks = pending.question.is_some();
        if !asks {
            // Somebody goes on with this pod: its next shutdown counts.
            self.shutdown_said = false;
        }
        let (seq, fresh) = match self.requests.same_wait(&pending) {
            Some(seq) => {
                if let Some(pending) = self.requests.get_mut(seq) {
                    pending.waiters.push(waiter);
                }
                (seq, false)
            }
            None => match self.requests.add(pending) {
                Ok(seq) => (seq, true),
                Err(full) => {
                    let text = format!("request: {full}; the daemon does not keep up");
                    return self.answer(&waiter, Answer::error(code::RESOURCE_EXHAUSTED, text));
                }
            },
        };
        if asks {
            self.reactor.after(self.tuning.absence, Timer::Absence(seq));
        }
        if let Some(expires) = expires {
            self.requests.limit(seq, expires);
            self.watch_deadlines();
        }
        if fresh {
            self.send_request(seq);
        }
    }

    /// Somebody's time may be over.
    pub fn expire(&mut self) {
        self.deadline_alarm = None;
        let now = Instant::now();
        while let Some(seq) = self.requests.overdue(now) {
            for waiter in self.requests.expire(seq) {
                let text = "request: its time is over; the daemon has not answered";
                self.answer(&waiter, Answer::error(code::DEADLINE_EXCEEDED, text));
            }
        }
        self.watch_deadlines();
    }

    /// One alarm for all deadlines, at the next of them or before.
    fn watch_deadlines(&mut self) {
        let Some(next) = self.requests.next_deadline() else {
            return;
        };
        match self.deadline_alarm {
            Some((time, _)) if time <= next => return,
            Some(alarm) => self.reactor.take_back(alarm),
            None => {}
        }
        self.deadline_alarm = Some(self.reactor.at(next, Timer::Expiry));
    }

    /// Says something to the daemon; kept until it is answered.
    pub fn notify(&mut self, notice: Notice) {
        let (method, payload) = match &notice {
            Notice::Exited(key) => ("Exited", self.exited_notice(key).encode_to_vec()),
            Notice::OomKilled(id) => (
                "OomKilled",
                OomNotice {
                    container_id: id.clone(),
                }
                .encode_to_vec(),
            ),
            Notice::Removed(id) => (
                "Removed",
                RemovedNotice {
                    container_id: id.clone(),
                }
                .encode_to_vec(),
            ),
        };
        let mut pending = Pending::new(
            NOTICE_SERVICE.to_owned(),
            method.to_owned(),
            payload,
            HashMap::new(),
        );
        self.timeline
            .note("keeper", format_args!("{}: said", pending.method));
        pending.notice = Some(notice);
        if let Ok(seq) = self.requests.add(pending) {
            self.send_request(seq);
        }
    }

    fn exited_notice(&self, key: &ProcessKey) -> ExitedNotice {
        let process = self.pod.process(key);
        let exit = process.and_then(|process| process.exit);
        ExitedNotice {
            container_id: key.container.clone(),
            exec_id: key.exec.clone(),
            pid: process.map_or(0, |process| process.pid),
            exit_status: exit.map_or(0, |exit| exit.status),
            exited_at_seconds: exit.map_or(0, |exit| exit.seconds),
            exited_at_nanos: exit.map_or(0, |exit| exit.nanos),
        }
    }

    /// Applies a Reply: state, then the record, then events and the answer.
    pub fn apply(&mut self, reply: Reply) {
        let Some(pending) = self.requests.remove(reply.seq) else {
            if !self.requests.was_given(reply.seq) {
                self.log.warning(format_args!(
                    "the daemon replied to {}, which was never asked",
                    reply.seq
                ));
            }
            return;
        };
        self.timeline
            .note("brigd", format_args!("{}: reply", pending.method));
        let method = pending.method.clone();
        for patch in reply.patches {
            self.dirty = true;
            if patch.remove {
                self.drop_container(&patch.container_id);
                continue;
            }
            for (key, process) in self.pod.apply(patch) {
                self.let_go(&key, process);
            }
        }
        self.forget(reply.seq, reply.code == code::OK);
        match &pending.notice {
            Some(Notice::Exited(key)) => {
                if let Some(process) = self.pod.process_mut(key) {
                    process.told = Told::Yes;
                    process.agreed = reply.code == code::OK && process.info.status == STOPPED;
                    self.dirty = true;
                }
            }
            Some(Notice::Removed(id)) => self.drop_container(id),
            Some(Notice::OomKilled(id)) => self.oom_told(id),
            None => {}
        }
        self.end_stages_of(reply.seq);
        self.store_record();
        for event in reply.events {
            for topic in self.publisher.push(event) {
                let lost = self.publisher.lost;
                self.log.error(format_args!(
                    "the queue of events is full: {topic} is lost ({lost} so far)"
                ));
            }
        }
        self.publish();
        let answer = Answer {
            code: reply.code,
            message: reply.message,
            payload: reply.payload,
        };
        for waiter in pending.waiters {
            self.answer(&waiter, answer.clone());
        }
        self.timeline
            .note("keeper", format_args!("{method}: answered"));
        if reply.shutdown {
            self.shutdown_said = true;
            if !self.pod.containers.is_empty() {
                self.log
                    .warning("the daemon says shutdown while there are containers: they stay");
            }
        }
        self.leave_if_said();
    }

    /// Ends the keeper of an empty pod once the daemon has said so: at once, or when what was still under way is over (the
    /// launcher's delete and the end of a stage may come in between).
    pub fn leave_if_said(&mut self) {
        let empty = self.pod.containers.is_empty() && self.stages.is_empty();
        if self.shutdown_said && empty && self.requests.is_quiet() {
            self.leave();
        }
    }

    /// Forgets what a step of this request said to forget.
    fn forget(&mut self, seq: u64, succeeded: bool) {
        let mut gone = Vec::new();
        let mut removed = Vec::new();
        for (id, container) in &mut self.pod.containers {
            if container.forget_with == Some(seq) {
                container.forget_with = None;
                if succeeded {
                    removed.push(id.clone());
                }
            }
            let leaves = |process: &mut Process| process.forget_with == Some(seq);
            for (exec, process) in container
                .processes
                .extract_if(.., |_, process| leaves(process))
            {
                gone.push((ProcessKey::new(id, &exec), process));
            }
        }
        // What a failed create leaves: a container that nobody knows of.
        for (id, container) in &self.pod.containers {
            if container.is_empty() && !self.stages.values().any(|stage| stage.is_of(id)) {
                removed.push(id.clone());
            }
        }
        self.dirty |= !removed.is_empty() || !gone.is_empty();
        for (key, process) in gone {
            self.let_go(&key, process);
        }
        for id in removed {
            self.drop_container(&id);
        }
    }

    /// Forgets a container and closes all that is held for it.
    pub fn drop_container(&mut self, id: &str) {
        self.dirty = true;
        if let Some(watch) = self
            .pod
            .containers
            .get_mut(id)
            .and_then(|container| container.oom.take())
        {
            self.end_oom_watch(&watch);
        }
        for (key, process) in self.pod.remove(id) {
            self.let_go(&key, process);
        }
    }

    /// Closes what is held for a process that is forgotten. One that lives is killed: nobody could reach it any more.
    pub fn let_go(&mut self, key: &ProcessKey, process: Process) {
        if process.is_alive() {
            self.log.warning(format_args!(
                "{key}: forgotten while pid {} lives, which is killed",
                process.pid
            ));
            if let Some(pidfd) = &process.pidfd {
                let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
            }
        }
        self.children
            .retain(|_, child| *child != crate::keeper::Child::Process(key.clone()));
        self.close_io(process.io);
    }
}

/// Reads as much of a request as the keeper needs.
fn look_into(pending: &mut Pending) {
    if !TASK_SERVICES.contains(&pending.service.as_str()) {
        return;
    }
    let payload = pending.payload.as_slice();
    let named = || Named::decode(payload).map(|named| named.id);
    let process =
        || Subject::decode(payload).map(|subject| ProcessKey::new(&subject.id, &subject.exec_id));
    match pending.method.as_str() {
        "State" => pending.question = process().map(Question::State).ok(),
        "Wait" => pending.question = process().map(Question::Wait).ok(),
        "Connect" => pending.question = named().map(Question::Connect).ok(),
        "Pids" => pending.question = named().map(Question::Pids).ok(),
        "Create" => pending.creates = named().ok(),
        _ => {}
    }
}
