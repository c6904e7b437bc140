//! The one container: its processes, of which none exists, and containerd's methods on them.

use std::collections::HashMap;
use std::fs::File;
use std::time::SystemTime;

use prost::{DecodeError, Message};

use crate::events::Publisher;
use crate::messages::{
    Any, ConnectResponse, CreateTaskRequest, DeleteResponse, ExecProcessRequest, KillRequest,
    PidsResponse, ProcessRequest, StartResponse, StateResponse, StatsResponse, TaskCreate,
    TaskDelete, TaskExec, TaskExit, TaskPaused, TaskStart, Timestamp, WaitResponse,
};
use crate::streams;

/// What begins the id of a process that runs until it is killed.
const HOLD: &str = "hold-";

/// gRPC status codes.
pub mod code {
    pub const UNKNOWN: i32 = 2;
    pub const INVALID_ARGUMENT: i32 = 3;
    pub const NOT_FOUND: i32 = 5;
    pub const ALREADY_EXISTS: i32 = 6;
    pub const UNIMPLEMENTED: i32 = 12;
}

/// containerd.v1.types.Status
mod status {
    pub const CREATED: i32 = 1;
    pub const RUNNING: i32 = 2;
    pub const STOPPED: i32 = 3;
    pub const PAUSED: i32 = 4;
}

/// How a request goes on.
#[derive(Debug, PartialEq)]
pub enum Reply {
    Done(Vec<u8>),
    Failed(i32, String),
    /// Wait: to be asked again after each further request.
    Later,
}

struct Process {
    exec_id: String,
    stdin: String,
    stdout: String,
    stderr: String,
    terminal: bool,
    status: i32,
    exit: Option<(u32, Timestamp)>,
    open: Vec<File>,
}

/// The container with all its processes; init has the empty exec id.
pub struct Task {
    id: String,
    pid: u32,
    bundle: String,
    processes: HashMap<String, Process>,
}

impl Task {
    pub fn new(id: String, pid: u32) -> Self {
        Task {
            id,
            pid,
            bundle: String::new(),
            processes: HashMap::new(),
        }
    }

    /// Whether a Shutdown may end the server.
    pub fn is_gone(&self) -> bool {
        self.processes.is_empty()
    }

    /// Answers one method of containerd's Task service.
    pub fn call(&mut self, method: &str, payload: &[u8], events: &mut Publisher) -> Reply {
        self.decode_and_call(method, payload, events)
            .unwrap_or_else(|error| Reply::Failed(code::INVALID_ARGUMENT, error.to_string()))
    }

    fn decode_and_call(
        &mut self,
        method: &str,
        payload: &[u8],
        events: &mut Publisher,
    ) -> Result<Reply, DecodeError> {
        Ok(match method {
            "Create" => self.create(CreateTaskRequest::decode(payload)?, events),
            "Exec" => self.exec(ExecProcessRequest::decode(payload)?, events),
            "Kill" => self.kill(&KillRequest::decode(payload)?, events),
            "Connect" => done(&ConnectResponse {
                shim_pid: self.pid,
                task_pid: if self.is_gone() { 0 } else { self.pid },
                version: env!("CARGO_PKG_VERSION").to_owned(),
            }),
            "Shutdown" => Reply::Done(Vec::new()),
            "Checkpoint" => Reply::Failed(code::UNIMPLEMENTED, "nothing to checkpoint".to_owned()),
            _ => {
                let request = ProcessRequest::decode(payload)?;
                if self.processes.contains_key(&request.exec_id) {
                    self.on_process(method, &request.exec_id, events)
                } else {
                    Reply::Failed(
                        code::NOT_FOUND,
                        format!("{}{}: not found", request.id, request.exec_id),
                    )
                }
            }
        })
    }

    /// The methods whose request names a process that is there.
    fn on_process(&mut self, method: &str, exec_id: &str, events: &mut Publisher) -> Reply {
        match method {
            "Start" => self.start(exec_id, events),
            "State" => self.state(exec_id),
            "Wait" => self.wait(exec_id),
            "Delete" => self.delete(exec_id, events),
            "Pids" => done(&PidsResponse {
                processes: vec![StartResponse { pid: self.pid }],
            }),
            "Stats" => done(&StatsResponse {
                stats: Some(Any {
                    type_url: "io.containerd.cgroups.v1.Metrics".to_owned(),
                    value: Vec::new(),
                }),
            }),
            "Pause" => self.freeze(
                status::RUNNING,
                status::PAUSED,
                "/tasks/paused",
                "TaskPaused",
                events,
            ),
            "Resume" => self.freeze(
                status::PAUSED,
                status::RUNNING,
                "/tasks/resumed",
                "TaskResumed",
                events,
            ),
            "ResizePty" | "CloseIO" | "Update" => Reply::Done(Vec::new()),
            other => Reply::Failed(code::UNIMPLEMENTED, format!("{other}: no such method")),
        }
    }

    fn create(&mut self, request: CreateTaskRequest, events: &mut Publisher) -> Reply {
        let open = match streams::open(&request.stdin, &request.stdout, &request.stderr) {
            Ok(open) => open,
            Err(error) => return Reply::Failed(code::UNKNOWN, error.to_string()),
        };
        self.bundle.clone_from(&request.bundle);
        self.processes.insert(
            String::new(),
            Process {
                exec_id: String::new(),
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr,
                terminal: request.terminal,
                status: status::CREATED,
                exit: None,
                open,
            },
        );
        events.publish(
            "/tasks/create",
            "containerd.events.TaskCreate",
            &TaskCreate {
                container_id: self.id.clone(),
                bundle: request.bundle,
                pid: self.pid,
            },
        );
        done(&StartResponse { pid: self.pid })
    }

    fn exec(&mut self, request: ExecProcessRequest, events: &mut Publisher) -> Reply {
        if self.processes.contains_key(&request.exec_id) {
            return Reply::Failed(
                code::ALREADY_EXISTS,
                format!("{}: already exists", request.exec_id),
            );
        }
        events.publish(
            "/tasks/exec-added",
            "containerd.events.TaskExecAdded",
            &TaskExec {
                container_id: self.id.clone(),
                exec_id: request.exec_id.clone(),
                pid: 0,
            },
        );
        self.processes.insert(
            request.exec_id.clone(),
            Process {
                exec_id: request.exec_id,
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr,
                terminal: request.terminal,
                status: status::CREATED,
                exit: None,
                open: Vec::new(),
            },
        );
        Reply::Done(Vec::new())
    }

    fn start(&mut self, exec_id: &str, events: &mut Publisher) -> Reply {
        let Some(process) = self.processes.get_mut(exec_id) else {
            return Reply::Failed(code::NOT_FOUND, format!("{exec_id}: not found"));
        };
        if process.status != status::CREATED {
            return Reply::Failed(code::UNKNOWN, "cannot start a running process".to_owned());
        }
        if process.exec_id.is_empty() {
            events.publish(
                "/tasks/start",
                "containerd.events.TaskStart",
                &TaskStart {
                    container_id: self.id.clone(),
                    pid: self.pid,
                },
            );
        } else {
            match streams::open(&process.stdin, &process.stdout, &process.stderr) {
                Ok(open) => process.open = open,
                Err(error) => return Reply::Failed(code::UNKNOWN, error.to_string()),
            }
            events.publish(
                "/tasks/exec-started",
                "containerd.events.TaskExecStarted",
                &TaskExec {
                    container_id: self.id.clone(),
                    exec_id: exec_id.to_owned(),
                    pid: self.pid,
                },
            );
        }
        process.status = status::RUNNING;
        let name = if exec_id.is_empty() {
            &self.id
        } else {
            exec_id
        };
        if !name.starts_with(HOLD) {
            self.exit(exec_id, 0, events);
        }
        done(&StartResponse { pid: self.pid })
    }

    fn kill(&mut self, request: &KillRequest, events: &mut Publisher) -> Reply {
        match self.processes.get(&request.exec_id) {
            Some(process) if process.exit.is_none() => {
                self.exit(&request.exec_id, 128 + (request.signal & 0x7f), events);
                Reply::Done(Vec::new())
            }
            _ => Reply::Failed(code::NOT_FOUND, "process already finished".to_owned()),
        }
    }

    fn exit(&mut self, exec_id: &str, exit_status: u32, events: &mut Publisher) {
        if let Some(process) = self.processes.get_mut(exec_id) {
            let at = SystemTime::now().into();
            process.status = status::STOPPED;
            process.exit = Some((exit_status, at));
            process.open.clear();
            events.publish(
                "/tasks/exit",
                "containerd.events.TaskExit",
                &TaskExit {
                    container_id: self.id.clone(),
                    id: if exec_id.is_empty() {
                        &self.id
                    } else {
                        exec_id
                    }
                    .to_owned(),
                    pid: self.pid,
                    exit_status,
                    exited_at: Some(at),
                },
            );
        }
    }

    fn state(&self, exec_id: &str) -> Reply {
        let Some(process) = self.processes.get(exec_id) else {
            return Reply::Failed(code::NOT_FOUND, format!("{exec_id}: not found"));
        };
        done(&StateResponse {
            id: self.id.clone(),
            bundle: self.bundle.clone(),
            pid: self.pid,
            status: process.status,
            stdin: process.stdin.clone(),
            stdout: process.stdout.clone(),
            stderr: process.stderr.clone(),
            terminal: process.terminal,
            exit_status: process.exit.map_or(0, |(exit_status, _)| exit_status),
            exited_at: process.exit.map(|(_, at)| at),
            exec_id: exec_id.to_owned(),
        })
    }

    fn wait(&self, exec_id: &str) -> Reply {
        match self.processes.get(exec_id).and_then(|process| process.exit) {
            Some((exit_status, at)) => done(&WaitResponse {
                exit_status,
                exited_at: Some(at),
            }),
            None => Reply::Later,
        }
    }

    fn delete(&mut self, exec_id: &str, events: &mut Publisher) -> Reply {
        let process = match self.processes.remove(exec_id) {
            Some(process)
                if process.status == status::CREATED || process.status == status::STOPPED =>
            {
                process
            }
            Some(process) => {
                self.processes.insert(exec_id.to_owned(), process);
                return Reply::Failed(code::UNKNOWN, "cannot delete a running process".to_owned());
            }
            None => return Reply::Failed(code::NOT_FOUND, format!("{exec_id}: not found")),
        };
        let (exit_status, exited_at) = process.exit.unzip();
        let exit_status = exit_status.unwrap_or(0);
        if exec_id.is_empty() {
            events.publish(
                "/tasks/delete",
                "containerd.events.TaskDelete",
                &TaskDelete {
                    container_id: self.id.clone(),
                    pid: self.pid,
                    exit_status,
                    exited_at,
                },
            );
        }
        done(&DeleteResponse {
            pid: self.pid,
            exit_status,
            exited_at,
        })
    }

    fn freeze(
        &mut self,
        from: i32,
        to: i32,
        topic: &str,
        event: &str,
        events: &mut Publisher,
    ) -> Reply {
        match self.processes.get_mut("") {
            Some(init) if init.status == from => init.status = to,
            _ => return Reply::Failed(code::UNKNOWN, "not in that state".to_owned()),
        }
        events.publish(
            topic,
            &format!("containerd.events.{event}"),
            &TaskPaused {
                container_id: self.id.clone(),
            },
        );
        Reply::Done(Vec::new())
    }
}

fn done(message: &impl Message) -> Reply {
    Reply::Done(message.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn publisher() -> Publisher {
        Publisher::new("test".to_owned(), "/nowhere".into())
    }

    fn call(task: &mut Task, method: &str, request: &impl Message) -> Reply {
        task.call(method, &request.encode_to_vec(), &mut publisher())
    }

    fn process(exec_id: &str) -> ProcessRequest {
        ProcessRequest {
            id: "c".to_owned(),
            exec_id: exec_id.to_owned(),
        }
    }

    fn status_of(task: &mut Task, exec_id: &str) -> Option<(i32, u32)> {
        match call(task, "State", &process(exec_id)) {
            Reply::Done(state) => StateResponse::decode(&state[..])
                .ok()
                .map(|state| (state.status, state.exit_status)),
            _ => None,
        }
    }

    #[test]
    fn a_started_process_has_ended_well_at_once() {
        let mut task = Task::new("c".to_owned(), 42);
        call(&mut task, "Create", &CreateTaskRequest::default());
        assert_eq!(call(&mut task, "Wait", &process("")), Reply::Later);
        assert_eq!(
            call(&mut task, "Start", &process("")),
            done(&StartResponse { pid: 42 })
        );
        assert_eq!(status_of(&mut task, ""), Some((status::STOPPED, 0)));
        assert!(matches!(
            call(&mut task, "Wait", &process("")),
            Reply::Done(_)
        ));
        assert!(matches!(
            call(&mut task, "Delete", &process("")),
            Reply::Done(_)
        ));
        assert!(task.is_gone());
        assert_eq!(status_of(&mut task, ""), None);
    }

    #[test]
    fn a_held_container_runs_until_it_is_killed_while_its_execs_end_at_once() {
        let mut task = Task::new("hold-c".to_owned(), 42);
        call(&mut task, "Create", &CreateTaskRequest::default());
        call(&mut task, "Start", &process(""));
        assert_eq!(status_of(&mut task, ""), Some((status::RUNNING, 0)));
        assert!(matches!(
            call(&mut task, "Delete", &process("")),
            Reply::Failed(code::UNKNOWN, _)
        ));
        let exec = ExecProcessRequest {
            exec_id: "e".to_owned(),
            ..Default::default()
        };
        call(&mut task, "Exec", &exec);
        assert!(matches!(
            call(&mut task, "Exec", &exec),
            Reply::Failed(code::ALREADY_EXISTS, _)
        ));
        call(&mut task, "Start", &process("e"));
        assert_eq!(status_of(&mut task, "e"), Some((status::STOPPED, 0)));
        let kill = KillRequest {
            signal: 9,
            ..Default::default()
        };
        call(&mut task, "Kill", &kill);
        assert_eq!(status_of(&mut task, ""), Some((status::STOPPED, 137)));
        assert!(matches!(
            call(&mut task, "Kill", &kill),
            Reply::Failed(code::NOT_FOUND, _)
        ));
    }

    proptest! {
        #[test]
        fn any_payload_gets_an_answer(method in "Create|Start|State|Wait|Delete|Kill|Exec|Pids|Pause", payload in prop::collection::vec(any::<u8>(), 0..60)) {
            Task::new("c".to_owned(), 1).call(&method, &payload, &mut publisher());
        }
    }
}
