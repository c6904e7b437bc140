//! The connection to brigd: made again whenever it is lost, with everything that is kept said again.

mod flow;
mod results;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::SocketAddrUnix;
use wire::keeper::{Opening, Welcome, opening};

use crate::client::stream_socket;
use crate::deframe::{Deframer, Plain, plain_frame};
use crate::door;
use crate::keeper::{Keeper, Timer};
use crate::outbox::Outbox;
use crate::reactor::{Interest, Source};
use crate::worker::Purpose;

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Between two attempts to start the daemon.
const BETWEEN_STARTS: Duration = Duration::from_secs(1);
/// How long starting it may take.
const START_LIMIT: Duration = Duration::from_secs(30);
/// First version of the protocol that has Cancel.
const CANCEL_VERSION: u32 = 1001;
/// First version of the protocol that has Drops.
const DROPS_VERSION: u32 = 1002;

enum Outgoing {
    Request(u64),
    Frame(Vec<u8>),
}

struct Connection {
    socket: OwnedFd,
    deframer: Deframer<Plain>,
    outbox: Outbox,
    /// Welcome has come: requests flow.
    welcome: bool,
    /// Its version knows Cancel.
    cancels: bool,
    /// Its version knows Drops.
    counts_drops: bool,
    /// Writing failed, for this reason: nothing more is sent, and the link is lost once what had come has been read.
    deaf: Option<String>,
    last_read: Instant,
    watched: bool,
    writing: bool,
}

pub struct Link {
    connection: Option<Connection>,
    /// Number of the connection; results are owed to the connection that asked.
    number: u64,
    queue: VecDeque<Outgoing>,
    pause: Duration,
    last_start: Option<Instant>,
    starting: bool,
    /// Of the last daemon that said Welcome.
    version: Option<String>,
    /// The last refusal, so that it is logged once.
    refused: String,
}

impl Link {
    pub fn new() -> Link {
        Link {
            connection: None,
            number: 0,
            queue: VecDeque::new(),
            pause: SHORTEST_PAUSE,
            last_start: None,
            starting: false,
            version: None,
            refused: String::new(),
        }
    }

    pub fn is_up(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.welcome)
    }

    /// A daemon is there that takes Drops.
    pub fn counts_drops(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.counts_drops)
    }

    /// Why the last daemon that said anything wouldn't serve this pod.
    pub fn refusal(&self) -> Option<String> {
        (!self.refused.is_empty()).then(|| self.refused.clone())
    }

    /// Of the present connection, or the last one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What Connect says; before any daemon was there, this program's.
    pub fn daemon_version(&self) -> &str {
        self.version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"))
    }

    pub fn start_ended(&mut self) {
        self.starting = false;
    }
}

impl Keeper {
    /// Tries to reach the daemon; starts it where nobody listens.
    pub fn connect_daemon(&mut self) {
        if self.link.connection.is_some() || self.leaving {
            return;
        }
        match self.open_link() {
            Ok(()) => {}
            Err(error) => {
                if matches!(
                    error,
                    rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT
                ) {
                    self.start_daemon();
                } else {
                    self.log
                        .warning(format_args!("connect to the daemon: {error}"));
                }
                self.retry_link();
            }
        }
    }

    fn open_link(&mut self) -> Result<(), rustix::io::Errno> {
        let socket = stream_socket()?;
        rustix::net::connect(
            &socket,
            &SocketAddrUnix::new(self.config.run_dir.join("brigd.sock"))?,
        )?;
        let number = self.reactor.fresh_id();
        self.reactor
            .add(&socket, Source::Daemon, number, Interest::Read)?;
        self.link.number = number;
        let mut connection = Connection {
            socket,
            deframer: Deframer::default(),
            outbox: Outbox::default(),
            welcome: false,
            cancels: false,
            counts_drops: false,
            deaf: None,
            last_read: Instant::now(),
            watched: false,
            writing: false,
        };
        let hello = Opening {
            role: Some(opening::Role::Keeper(self.hello())),
        };
        connection.outbox.push(plain_frame(&hello));
        self.link.connection = Some(connection);
        self.reactor
            .after(self.tuning.greeting, Timer::Greeting(number));
        self.flush_link();
        Ok(())
    }

    fn retry_link(&mut self) {
        self.reactor.after(self.link.pause, Timer::LinkRetry);
        self.link.pause = (self.link.pause * 2).min(LONGEST_PAUSE);
    }

    fn start_daemon(&mut self) {
        let recently = self
            .link
            .last_start
            .is_some_and(|time| time.elapsed() < BETWEEN_STARTS);
        if self.link.starting || recently {
            return;
        }
        self.link.last_start = Some(Instant::now());
        let (start, run_dir) = (self.config.start_daemon, self.config.run_dir.clone());
        let body = move || match start(&run_dir) {
            Ok(()) => crate::problem::done(),
            Err(error) => Err(crate::problem::failed_io(
                "start the daemon",
                run_dir.display(),
                &error,
            )),
        };
        match self.work(Purpose::StartDaemon, START_LIMIT, body) {
            Ok(()) => self.link.starting = true,
            Err(failure) => self.log.error(crate::problem::text(&failure)),
        }
    }

    /// The daemon is gone or of no use.
    pub fn lose_link(&mut self, why: &str) {
        let Some(connection) = self.link.connection.take() else {
            return;
        };
        self.reactor.remove(&connection.socket);
        self.link.queue = VecDeque::new();
        // What was sent to it is sent to the next: nobody is to be told of a cancel.
        let _ = self
            .requests
            .forget_connection(door::DAEMON, self.link.number);
        if !self.leaving {
            let why = connection.deaf.as_deref().unwrap_or(why);
            self.log.info(format_args!("the daemon is gone: {why}"));
            self.retry_link();
        }
    }

    /// The time for Welcome is over.
    pub fn greeting_over(&mut self, number: u64) {
        if number == self.link.number && self.link.connection.is_some() && !self.link.is_up() {
            self.lose_link("it does not say Welcome");
        }
    }

    fn welcomed(&mut self, welcome: Welcome) {
        let mut refused = welcome.refused;
        if refused.is_empty() && welcome.protocol_version / 1000 != wire::KEEPER_VERSION / 1000 {
            refused = format!(
                "it speaks version {}, this is {}",
                welcome.protocol_version,
                wire::KEEPER_VERSION
            );
        }
        if !refused.is_empty() {
            if refused != self.link.refused {
                self.log
                    .error(format_args!("the daemon refuses this keeper: {refused}"));
            }
            self.door_refused(&refused);
            self.link.refused = refused;
            self.link.pause = LONGEST_PAUSE;
            return self.lose_link("refused");
        }
        let Some(connection) = &mut self.link.connection else {
            return;
        };
        if connection.welcome {
            return;
        }
        connection.welcome = true;
        connection.cancels = welcome.protocol_version >= CANCEL_VERSION;
        connection.counts_drops = welcome.protocol_version >= DROPS_VERSION;
        self.link.refused = String::new();
        self.link.pause = SHORTEST_PAUSE;
        self.link.queue = self
            .requests
            .iter()
            .map(|(seq, _)| Outgoing::Request(seq))
            .collect();
        self.log.info(format_args!(
            "the daemon {} is there, {} requests wait",
            welcome.program_version,
            self.link.queue.len()
        ));
        self.link.version = Some(welcome.program_version);
        self.flush_link();
        self.door_opened(welcome.grpc_address);
    }
}
