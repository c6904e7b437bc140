//! The pod's second door: containerd calls a pod of a class with `api = "grpc"` over HTTP/2, which the daemon serves on a socket
//! of its own. Its calls come here over the connection to the daemon and go the way of any client's; the launcher asks here
//! where that socket is.

use prost::Message;
use wire::keeper::{Call, CallAnswer, GrpcAddress, from_keeper};

use crate::keeper::Keeper;
use crate::requests::Waiter;
use crate::ttrpc::{Answer, Request, code};

/// The connection that the daemon's calls count as coming from; no reactor gives this number to a client's.
pub const DAEMON: u64 = u64::MAX;

/// Where the daemon's sockets are, beneath the run directory (decision 9).
const DIRECTORY: &str = "grpc";

#[derive(Default)]
pub struct Door {
    /// Path of the daemon's socket for this pod; empty until the first Welcome.
    address: String,
    /// Launchers that ask for it.
    asking: Vec<Waiter>,
}

impl Door {
    /// A launcher has gone.
    pub fn forget_connection(&mut self, connection: u64) {
        self.asking.retain(|waiter| waiter.connection != connection);
    }
}

impl Keeper {
    /// Answers a launcher, at once or when the daemon has said Welcome. What the last one said counts until another comes.
    pub fn grpc_address(&mut self, waiter: Waiter) {
        if !self.config.grpc {
            let text = "find the gRPC socket: this pod was started with ttrpc";
            return self.answer(&waiter, Answer::error(code::FAILED_PRECONDITION, text));
        }
        self.door.asking.push(waiter);
        if self.link.is_up() {
            self.tell_door();
        } else if let Some(refused) = self.link.refusal() {
            self.door_refused(&refused);
        }
    }

    /// The daemon has said Welcome.
    pub fn door_opened(&mut self, address: String) {
        if self.config.grpc {
            self.door.address = address;
            self.tell_door();
        }
    }

    /// The daemon won't serve this pod.
    pub fn door_refused(&mut self, refused: &str) {
        for waiter in std::mem::take(&mut self.door.asking) {
            let text = format!("the daemon refuses this pod: {refused}");
            self.answer(&waiter, Answer::error(code::FAILED_PRECONDITION, text));
        }
    }

    fn tell_door(&mut self) {
        let answer = if self.door.address.is_empty() {
            let text = "find the gRPC socket: the daemon serves no gRPC; restart it";
            Answer::error(code::FAILED_PRECONDITION, text)
        } else {
            let path = self.door.address.clone();
            Answer::ok(GrpcAddress { path }.encode_to_vec())
        };
        for waiter in std::mem::take(&mut self.door.asking) {
            self.answer(&waiter, answer.clone());
        }
    }

    /// The name of the daemon's socket, which a daemon that is gone has left: the one that is this pod's, wherever the daemon said
    /// that it serves.
    pub fn remove_door(&mut self) {
        if self.config.grpc {
            let own = self
                .config
                .run_dir
                .join(DIRECTORY)
                .join(&self.config.instance);
            let _ = std::fs::remove_file(own);
        }
    }

    /// A call from a client of the daemon's.
    pub fn called(&mut self, call: Call) {
        let request = Request {
            service: call.service,
            method: call.method,
            payload: call.payload,
            timeout_nano: call.timeout_nanos,
            metadata: Vec::new(),
        };
        self.requested(DAEMON, call.id, request);
    }

    /// A call's client has given it up.
    pub fn call_cancelled(&mut self, id: u32) {
        let served = self.requests.forget_waiter(DAEMON, id, self.link.number());
        self.cancel_requests(served);
    }

    /// Gives a call's outcome to the daemon, if it is still the one that made it.
    pub fn answer_call(&mut self, id: u32, answer: Answer) {
        self.send_frame(from_keeper::Message::CallAnswer(CallAnswer {
            id,
            code: answer.code,
            message: answer.message,
            payload: answer.payload,
        }));
    }
}
