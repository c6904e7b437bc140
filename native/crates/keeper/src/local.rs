//! Answers from the keeper's own record: at once where the record is the daemon's last word (decision 8), and in the
//! daemon's absence, when containerd must hear something in time so that it doesn't take the pod for dead.

use prost::Message;

use crate::containerd::{
    Any, ConnectResponse, PidInfo, PidsResponse, ProcessDetails, STOPPED, StateResponse,
    WaitResponse,
};
use crate::keeper::{Keeper, Timer};
use crate::pod::{Process, ProcessKey};
use crate::requests::Question;
use crate::ttrpc::{Answer, code};

/// What the record has to say.
enum Local {
    Say(Answer),
    /// It isn't over yet; asked again when it is.
    NotYet,
    Unknown,
}

impl Keeper {
    /// State and Connect of a process about which nothing is under way: what the daemon would say, without asking it.
    pub fn agreed_answer(&self, question: Option<&Question>) -> Option<Answer> {
        let (key, process) = match question? {
            Question::State(key) => (key, self.agreed(key)?),
            Question::Connect(id) => {
                let init = self.agreed(&ProcessKey::new(id, ""))?;
                return Some(answer(&connected(self, init.pid)));
            }
            Question::Wait(_) | Question::Pids(_) => return None,
        };
        Some(answer(&state(key, process)))
    }

    fn agreed(&self, key: &ProcessKey) -> Option<&Process> {
        let container = self.pod.containers.get(&key.container)?;
        // Without a state of the daemon's it is still being created.
        if container.removed || container.state.is_empty() {
            return None;
        }
        container
            .processes
            .get(&key.exec)
            .filter(|process| process.agreed || process.exit_said)
    }

    /// The daemon has had its time to answer.
    pub fn answer_in_absence(&mut self, seq: u64) {
        let Some(pending) = self.requests.get(seq) else {
            return;
        };
        let Some(question) = pending.question.clone() else {
            return;
        };
        if pending.waiters.is_empty() {
            return;
        }
        let answer = match self.look_up(&question) {
            Local::Say(answer) => answer,
            Local::NotYet => return,
            Local::Unknown if self.link.is_up() => {
                // The daemon may know more; it is there, so it is asked for longer.
                return self.reactor.after(self.tuning.absence, Timer::Absence(seq));
            }
            Local::Unknown => unknown(&question, self),
        };
        self.note_said(&question);
        let Some(pending) = self.requests.get_mut(seq) else {
            return;
        };
        let waiters = std::mem::take(&mut pending.waiters);
        if pending.sent_in.is_none() {
            self.requests.remove(seq);
        }
        for waiter in waiters {
            self.answer(&waiter, answer.clone());
        }
    }

    /// A daemon that comes now learns of an exit by its notice, and may be asked for the state before it has taken that in.
    fn note_said(&mut self, question: &Question) {
        if let Question::State(key) | Question::Wait(key) = question
            && let Some(process) = self.pod.process_mut(key)
        {
            process.exit_said |= process.told_exit().is_some();
        }
    }

    /// An exit may be told: those who wait for it are answered by the daemon, or by the keeper if it takes too long.
    pub fn wake_waits(&mut self, key: &ProcessKey) {
        let question = Question::Wait(key.clone());
        let waits = self
            .requests
            .iter()
            .filter(|(_, pending)| pending.question.as_ref() == Some(&question));
        for seq in waits.map(|(seq, _)| seq).collect::<Vec<_>>() {
            self.reactor.after(self.tuning.absence, Timer::Absence(seq));
        }
    }

    fn look_up(&self, question: &Question) -> Local {
        match question {
            Question::State(key) => match self.known(key) {
                Some(process) => say(&state(key, process)),
                None => Local::Unknown,
            },
            Question::Wait(key) => match self.known(key).map(Process::told_exit) {
                Some(Some(exit)) => say(&WaitResponse {
                    exit_status: exit.status,
                    exited_at: Some(exit.at()),
                }),
                Some(None) => Local::NotYet,
                None => Local::Unknown,
            },
            Question::Connect(id) => match self.known(&ProcessKey::new(id, "")) {
                Some(init) => say(&connected(self, init.pid)),
                None => Local::Unknown,
            },
            Question::Pids(id) => match self.known(&ProcessKey::new(id, "")) {
                Some(init) => say(&self.pids(id, init)),
                None => Local::Unknown,
            },
        }
    }

    fn known(&self, key: &ProcessKey) -> Option<&Process> {
        if self.pod.is_removed(&key.container) {
            None
        } else {
            self.pod.process(key)
        }
    }

    /// All in the cgroup, and init's pid in any case: containerd takes an empty list for a dead task.
    fn pids(&self, id: &str, init: &Process) -> PidsResponse {
        let mut pids = crate::cgroup::processes(&self.pod.cgroup_dirs(id));
        if !pids.contains(&init.pid) {
            pids.insert(0, init.pid);
        }
        let processes = self
            .pod
            .containers
            .get(id)
            .map(|container| &container.processes);
        let exec_of = |pid: i32| {
            processes?
                .iter()
                .find(|(_, process)| process.pid == pid)
                .map(|(exec, _)| exec.clone())
        };
        let info = |pid: i32| {
            let value = ProcessDetails {
                exec_id: exec_of(pid)?,
            }
            .encode_to_vec();
            Some(Any {
                type_url: "containerd.runc.v1.ProcessDetails".to_owned(),
                value,
            })
        };
        let processes = pids.into_iter().map(|pid| PidInfo {
            pid: unsigned(pid),
            info: info(pid),
        });
        PidsResponse {
            processes: processes.collect(),
        }
    }
}

fn say(message: &impl Message) -> Local {
    Local::Say(answer(message))
}

fn answer(message: &impl Message) -> Answer {
    Answer::ok(message.encode_to_vec())
}

fn unknown(question: &Question, keeper: &Keeper) -> Answer {
    let not_found =
        |what: &dyn std::fmt::Display| Answer::error(code::NOT_FOUND, format!("{what}: not found"));
    match question {
        // "Connect" is no error for an unknown id.
        Question::Connect(_) => Answer::ok(connected(keeper, 0).encode_to_vec()),
        Question::State(key) | Question::Wait(key) => not_found(&format_args!("process {key}")),
        Question::Pids(id) => not_found(&format_args!("container {id}")),
    }
}

fn connected(keeper: &Keeper, task: i32) -> ConnectResponse {
    ConnectResponse {
        shim_pid: unsigned(keeper.config.pid),
        task_pid: unsigned(task),
        version: keeper.link.daemon_version().to_owned(),
    }
}

fn state(key: &ProcessKey, process: &Process) -> StateResponse {
    let exit = process.told_exit();
    let info = process.info.clone();
    StateResponse {
        id: key.container.clone(),
        bundle: info.bundle,
        pid: unsigned(process.pid),
        status: if exit.is_some() { STOPPED } else { info.status },
        stdin: info.stdin,
        stdout: info.stdout,
        stderr: info.stderr,
        terminal: info.terminal,
        exit_status: exit.map_or(0, |exit| exit.status),
        exited_at: exit.map(|exit| exit.at()),
        exec_id: key.exec.clone(),
    }
}

pub fn unsigned(pid: i32) -> u32 {
    u32::try_from(pid).unwrap_or(0)
}
