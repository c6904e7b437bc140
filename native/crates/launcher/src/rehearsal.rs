//! `brigd --rehearse`: one container's whole life through the installed program, daemon and configuration, asked for as
//! containerd does. The image is this very program. An installation is proven by it, and the daemon's start-up cache is made
//! while the daemon goes through it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::installation::Installation;
use crate::problem::{Outcome, Problem};
use crate::protobuf::Writer;
use crate::{socket, ttrpc};

/// A `config.json` as CRI writes them, with `@ID@` where the container's id goes.
const CONFIG: &str = include_str!("rehearsal.json");

/// What an exec's process is called by containerd.
const PROCESS_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";

const PROCESS: &str = r#"{"args":["/brig","-v"],"cwd":"/","user":{"uid":0,"gid":0},"env":["PATH=/bin"],"noNewPrivileges":true}"#;

const SERVICE: &str = "containerd.task.v2.Task";
const EXEC: &str = "rehearsal";

/// For each call.
const PATIENCE: Duration = Duration::from_secs(20);

/// Most lives in one go.
const MOST_TIMES: u32 = 10_000;

/// How often it is to be played through.
///
/// # Errors
/// It isn't a number from 1 to 10,000.
pub fn times(word: &str) -> Outcome<u32> {
    word.parse()
        .ok()
        .filter(|times| (1..=MOST_TIMES).contains(times))
        .ok_or_else(|| {
            Problem::new("read the command line", word, "is no number of rehearsals")
                .remedy(format!("1 to {MOST_TIMES}"))
        })
}

/// Plays through it so many times; the answer says how long each call of the last took.
///
/// # Errors
/// The first call that failed.
pub fn run(times: u32) -> Outcome<String> {
    let mut told = String::new();
    for number in 1..=times {
        told = once(number)?;
    }
    Ok(told)
}

/// Each life has a name of its own: the keeper of the one before may still be about to end.
fn once(number: u32) -> Outcome<String> {
    let installation = Installation::current()?;
    let id = format!("brig-rehearsal-{}-{number}", std::process::id());
    socket::private_dir(&installation.run)?;
    let dir = installation.run.join(&id);
    let rehearsal = Rehearsal { id, dir };
    let played = rehearsal
        .build()
        .and_then(|()| rehearsal.play(installation));
    let _ = fs::remove_dir_all(&rehearsal.dir);
    played
}

struct Rehearsal {
    id: String,
    dir: PathBuf,
}

impl Rehearsal {
    /// A bundle, and an image of one layer with the program in it.
    fn build(&self) -> Outcome<()> {
        let fault = |error: std::io::Error| Problem::at("build the rehearsal", &self.dir, error);
        for sub in [
            "bundle/rootfs",
            "lower/proc",
            "lower/dev",
            "lower/sys",
            "upper",
            "work",
        ] {
            fs::create_dir_all(self.dir.join(sub)).map_err(fault)?;
        }
        fs::copy("/proc/self/exe", self.dir.join("lower/brig")).map_err(fault)?;
        let config = CONFIG.replace("@ID@", &self.id);
        fs::write(self.dir.join("bundle/config.json"), config).map_err(fault)
    }

    fn play(&self, installation: &Installation) -> Outcome<String> {
        let begin = Instant::now();
        let socket_path = self.start(installation)?;
        let mut calls = Calls {
            socket_path,
            told: String::new(),
        };
        calls.note("start", begin);
        let played = self.calls(&mut calls);
        if played.is_err() {
            // Whatever stands is taken down; what isn't there refuses, and that is fine.
            let _ = calls.call("Kill", self.init().number(3, 9).number(4, 1));
            let _ = calls.call("Delete", self.init());
        }
        let ended = calls.call("Shutdown", self.init());
        played.and(ended).map(|()| calls.told)
    }

    fn calls(&self, calls: &mut Calls) -> Outcome<()> {
        let option = |name: &str, dir: &str| format!("{name}={}", self.dir.join(dir).display());
        let rootfs = Writer::default()
            .text(1, "overlay")
            .text(2, "overlay")
            .text(4, &option("workdir", "work"))
            .text(4, &option("upperdir", "upper"))
            .text(4, &option("lowerdir", "lower"))
            .done();
        let bundle = self.dir.join("bundle").display().to_string();
        let process = Writer::default()
            .text(1, PROCESS_TYPE)
            .text(2, PROCESS)
            .done();
        calls.call("Connect", self.init())?;
        calls.call("Create", self.init().text(2, &bundle).bytes(3, &rootfs))?;
        calls.call("State", self.init())?;
        calls.call("Exec", self.exec().bytes(7, &process))?;
        calls.call("Start", self.exec())?;
        calls.call("Wait", self.exec())?;
        calls.call("State", self.exec())?;
        calls.call("Delete", self.exec())?;
        calls.call("Pids", self.init())?;
        calls.call("Stats", self.init())?;
        calls.call("Start", self.init())?;
        calls.call("Wait", self.init())?;
        calls.call("State", self.init())?;
        calls.call("Delete", self.init())
    }

    /// Fields of all requests of containerd's task.proto: the container's id, then the exec's.
    fn init(&self) -> Writer {
        Writer::default().text(1, &self.id)
    }

    fn exec(&self) -> Writer {
        self.init().text(2, EXEC)
    }

    fn start(&self, installation: &Installation) -> Outcome<PathBuf> {
        let program = installation.prefix.join("bin/brig");
        let fault = |cause: &dyn std::fmt::Display| Problem::at("rehearse start", &program, cause);
        let output = Command::new(&program)
            .arg0("containerd-shim-brig-v2")
            .args(["-namespace", "brig-rehearsal", "-id", &self.id, "-address"])
            .arg(self.dir.join("no-containerd"))
            .arg("start")
            .current_dir(self.dir.join("bundle"))
            .env("TTRPC_ADDRESS", self.dir.join("no-containerd.ttrpc"))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| fault(&error))?;
        let said = String::from_utf8_lossy(&output.stdout);
        match said.strip_prefix("unix://") {
            Some(path) if output.status.success() => Ok(PathBuf::from(path)),
            _ => Err(fault(&String::from_utf8_lossy(&output.stderr).trim())),
        }
    }
}

struct Calls {
    socket_path: PathBuf,
    told: String,
}

impl Calls {
    fn call(&mut self, method: &'static str, request: Writer) -> Outcome<()> {
        let begin = Instant::now();
        let fault = |cause: &dyn std::fmt::Display| Problem::new("rehearse", method, cause);
        let socket = socket::connect(Path::new(&self.socket_path))?
            .ok_or_else(|| fault(&"the keeper is not there"))?;
        match ttrpc::call(&socket, SERVICE, method, &request.done(), begin + PATIENCE) {
            Ok(ttrpc::Answer::Payload(_)) => {
                self.note(method, begin);
                Ok(())
            }
            Ok(ttrpc::Answer::Status(code, message)) => {
                Err(fault(&format!("status {code}: {message}")))
            }
            Err(error) => Err(fault(&error)),
        }
    }

    fn note(&mut self, method: &str, begin: Instant) {
        let micros = begin.elapsed().as_micros();
        self.told
            .push_str(&format!("{method:<10} {micros:>8} µs\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_lives_is_bounded() {
        assert_eq!(times("1").expect("a number"), 1);
        assert_eq!(times("10000").expect("a number"), MOST_TIMES);
        for wrong in ["0", "10001", "-1", "many", ""] {
            assert!(times(wrong).is_err(), "{wrong}");
        }
    }
}
