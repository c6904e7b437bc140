//! The daemon, as the keeper sees it.

use std::os::unix::net::{UnixListener, UnixStream};

use prost::Message;
use wire::keeper::step::Action;
use wire::keeper::{
    CallAnswer, Drops, Execute, ExitedNotice, FromKeeper, Hello, OpenStage, Opening, Release,
    Reply, Request, Step, StepResult, ToKeeper, Welcome, from_keeper, opening, step_result,
    to_keeper,
};

use super::LIMIT;
use super::frames::{receive, send};

/// What it says in its Welcome.
pub const VERSION: &str = "1.2.3-of-a-test";

pub struct Daemon {
    pub stream: UnixStream,
    pub hello: Hello,
    requests: Vec<Request>,
    results: Vec<StepResult>,
    cancels: Vec<u64>,
    answers: Vec<CallAnswer>,
    drops: Vec<Drops>,
}

impl Daemon {
    pub fn accept(listener: &UnixListener) -> Daemon {
        let mut daemon = Daemon::accept_silently(listener);
        daemon.welcome();
        daemon
    }

    /// Without a Welcome.
    pub fn accept_silently(listener: &UnixListener) -> Daemon {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let opening: Opening = receive(&stream).unwrap();
        let Some(opening::Role::Keeper(hello)) = opening.role else {
            panic!("not a keeper")
        };
        Daemon {
            stream,
            hello,
            requests: Vec::new(),
            results: Vec::new(),
            cancels: Vec::new(),
            answers: Vec::new(),
            drops: Vec::new(),
        }
    }

    pub fn welcome(&mut self) {
        self.welcome_with(wire::KEEPER_VERSION, "");
    }

    pub fn welcome_as(&mut self, protocol_version: u32) {
        self.welcome_with(protocol_version, "");
    }

    /// With the address of the pod's gRPC socket.
    pub fn welcome_at(&mut self, grpc_address: &str) {
        self.welcome_with(wire::KEEPER_VERSION, grpc_address);
    }

    fn welcome_with(&mut self, protocol_version: u32, grpc_address: &str) {
        let welcome = Welcome {
            protocol_version,
            program_version: VERSION.into(),
            grpc_address: grpc_address.into(),
            ..Welcome::default()
        };
        self.send(to_keeper::Message::Welcome(welcome));
    }

    pub fn send(&mut self, message: to_keeper::Message) {
        send(
            &self.stream,
            &ToKeeper {
                message: Some(message),
            },
        );
    }

    fn receive(&mut self) -> bool {
        let Some(message) = receive::<FromKeeper>(&self.stream) else {
            return false;
        };
        match message.message.unwrap() {
            from_keeper::Message::Request(request) => self.requests.push(request),
            from_keeper::Message::StepResult(result) => self.results.push(result),
            from_keeper::Message::Cancel(cancel) => self.cancels.push(cancel.seq),
            from_keeper::Message::CallAnswer(answer) => self.answers.push(answer),
            from_keeper::Message::Drops(drops) => self.drops.push(drops),
        }
        true
    }

    /// The next request.
    pub fn request(&mut self) -> Request {
        while self.requests.is_empty() {
            assert!(self.receive(), "a request in time");
        }
        self.requests.remove(0)
    }

    /// The next request of this method; others wait.
    pub fn request_of(&mut self, method: &str) -> Request {
        loop {
            if let Some(index) = self
                .requests
                .iter()
                .position(|request| request.method == method)
            {
                return self.requests.remove(index);
            }
            assert!(self.receive(), "{method} in time");
        }
    }

    /// The next request that the keeper has forgotten.
    pub fn cancelled(&mut self) -> u64 {
        while self.cancels.is_empty() {
            assert!(self.receive(), "a cancel in time");
        }
        self.cancels.remove(0)
    }

    pub fn no_cancel_came(&self) -> bool {
        self.cancels.is_empty()
    }

    /// What the keeper says next that it has dropped.
    pub fn drops(&mut self) -> Drops {
        while self.drops.is_empty() {
            assert!(self.receive(), "news of drops in time");
        }
        self.drops.remove(0)
    }

    /// The outcome of a call of the daemon's own clients.
    pub fn call_answer(&mut self, id: u32) -> CallAnswer {
        loop {
            if let Some(index) = self.answers.iter().position(|answer| answer.id == id) {
                return self.answers.remove(index);
            }
            assert!(self.receive(), "an answer to call {id} in time");
        }
    }

    /// Answers that have come and were not looked for.
    pub fn unread_call_answers(&self) -> usize {
        self.answers.len()
    }

    pub fn ask(&mut self, seq: u64, step: u32, action: Action) {
        self.send(to_keeper::Message::Step(Step {
            seq,
            step,
            action: Some(action),
        }));
    }

    pub fn result(&mut self, seq: u64, step: u32) -> step_result::Result {
        loop {
            let is_it = |result: &StepResult| (result.seq, result.step) == (seq, step);
            if let Some(index) = self.results.iter().position(is_it) {
                return self.results.remove(index).result.unwrap();
            }
            assert!(self.receive(), "a result of {seq}.{step} in time");
        }
    }

    pub fn step(&mut self, seq: u64, step: u32, action: Action) -> step_result::Result {
        self.ask(seq, step, action);
        self.result(seq, step)
    }

    pub fn reply(&mut self, reply: Reply) {
        self.send(to_keeper::Message::Reply(reply));
    }

    /// The next exit notice: exec id, status. It is answered.
    pub fn exited(&mut self) -> ExitedNotice {
        let request = self.request_of("Exited");
        assert_eq!(request.service, "brig.keeper.v1.Notice");
        self.done(request.seq);
        ExitedNotice::decode(request.payload.as_slice()).unwrap()
    }

    /// Whether nothing more comes within this time.
    pub fn is_silent_for(&mut self, time: std::time::Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let silent = self.requests.is_empty() && !self.receive();
        self.stream.set_read_timeout(Some(LIMIT)).unwrap();
        silent
    }

    pub fn done(&mut self, seq: u64) {
        self.reply(Reply {
            seq,
            ..Reply::default()
        });
    }

    /// Carries out OpenStage and Execute as steps 1 and 2 of the request; what Execute came to.
    pub fn launch(&mut self, seq: u64, execute: Execute) -> step_result::Result {
        let open = OpenStage {
            container_id: execute.container_id.clone(),
            exec_id: execute.exec_id.clone(),
            ..OpenStage::default()
        };
        match self.step(seq, 1, Action::OpenStage(open)) {
            step_result::Result::StageOpened(_) => {}
            other => panic!("OpenStage: {other:?}"),
        }
        self.step(seq, 2, Action::Execute(execute))
    }

    /// The same with success expected, then Release as step 3; the pid.
    pub fn start(&mut self, seq: u64, execute: Execute) -> i32 {
        let (container_id, exec_id) = (execute.container_id.clone(), execute.exec_id.clone());
        let pid = match self.launch(seq, execute) {
            step_result::Result::Executed(executed) => executed.pid,
            other => panic!("Execute: {other:?}"),
        };
        match self.step(
            seq,
            3,
            Action::Release(Release {
                container_id,
                exec_id,
            }),
        ) {
            step_result::Result::Done(_) => pid,
            other => panic!("Release: {other:?}"),
        }
    }
}

/// An Execute of a shell command.
pub fn execute(container: &str, exec: &str, script: &str) -> Execute {
    Execute {
        container_id: container.into(),
        exec_id: exec.into(),
        plan: script.into(),
        ..Execute::default()
    }
}

/// A failure, where nothing else is expected.
pub fn failure(result: step_result::Result) -> wire::keeper::Failure {
    match result {
        step_result::Result::Failure(failure) => failure,
        other => panic!("no failure: {other:?}"),
    }
}

/// The process that an Execute has left at its barrier.
pub fn executed(result: step_result::Result) -> wire::keeper::Executed {
    match result {
        step_result::Result::Executed(executed) => executed,
        other => panic!("not executed: {other:?}"),
    }
}

pub fn is_done(result: step_result::Result) -> bool {
    match result {
        step_result::Result::Done(_) => true,
        other => panic!("not done: {other:?}"),
    }
}
