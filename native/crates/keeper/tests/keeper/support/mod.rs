//! What the tests play: containerd (`client`), the daemon (`daemon`), a stage (`stage`), and the keeper that stands between.

pub mod client;
pub mod daemon;
pub mod frames;
pub mod fuse;
pub mod stage;

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use brig_keeper::{KeeperArgs, Tuning};

use client::Client;
use daemon::Daemon;

/// Nothing in a test takes longer.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Says which directory the keeper of a test lives in.
const VARIABLE: &str = "BRIG_KEEPER_UNDER_TEST";

/// A keeper in a directory of its own, killed and removed with everything at the end.
pub struct Pod {
    pub dir: PathBuf,
    pub keeper: Child,
    daemon_socket: Option<UnixListener>,
    cgroups: Vec<PathBuf>,
}

/// What differs between the keepers of the tests, written as `name=milliseconds` lines.
#[derive(Clone, Default)]
pub struct Setting(pub Vec<(&'static str, u64)>);

impl Pod {
    pub fn new() -> Pod {
        Pod::with(Setting::default())
    }

    pub fn with(setting: Setting) -> Pod {
        let mut pod = Pod::without_daemon(setting);
        pod.listen_as_daemon();
        pod
    }

    /// Nobody listens at the daemon's socket yet.
    pub fn without_daemon(setting: Setting) -> Pod {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("brig-keeper-{}-{number}", std::process::id()));
        std::fs::create_dir_all(dir.join("run")).unwrap();
        std::fs::create_dir_all(dir.join("bundle")).unwrap();
        make_fifo(&dir.join("bundle/log"));
        let lines = setting
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"));
        std::fs::write(dir.join("setting"), lines.collect::<String>()).unwrap();
        let keeper = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "support::the_keeper_of_a_test",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(VARIABLE, &dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pod = Pod {
            dir,
            keeper,
            daemon_socket: None,
            cgroups: Vec::new(),
        };
        until("the keeper listens", || {
            UnixStream::connect(pod.socket()).is_ok()
        });
        pod
    }

    pub fn listen_as_daemon(&mut self) {
        let path = self.dir.join("run/brigd.sock");
        let _ = std::fs::remove_file(&path);
        self.daemon_socket = Some(UnixListener::bind(path).unwrap());
    }

    /// Nobody listens there any more.
    pub fn stop_listening_as_daemon(&mut self) {
        self.daemon_socket = None;
    }

    /// The keeper's own pid; `keeper` is the test program that waits for it.
    pub fn pid(&self) -> i32 {
        std::fs::read_to_string(self.dir.join("pid"))
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Keeps the keeper from running: what is done meanwhile it finds all at once, in the order in which it was done.
    pub fn stop(&self) {
        self.signal(rustix::process::Signal::STOP);
        until("the keeper stands still", || {
            brig_keeper::record::process_state(self.pid()) == Some('T')
        });
    }

    pub fn go_on(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("socket")
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    pub fn fifo(&self, name: &str) -> String {
        make_fifo(&self.dir.join(name));
        self.path(name)
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.socket())
    }

    /// The keeper's next connection, welcomed.
    pub fn daemon(&self) -> Daemon {
        Daemon::accept(self.daemon_socket.as_ref().unwrap())
    }

    /// The keeper's next connection, left without a word.
    pub fn silent_daemon(&self) -> Daemon {
        Daemon::accept_silently(self.daemon_socket.as_ref().unwrap())
    }

    pub fn record(&self) -> Option<wire::keeper::PodRecord> {
        let key = brig_keeper::record::pod_key("/address", "ns", "group");
        brig_keeper::record::load(&brig_keeper::record::pod_dir(&self.dir.join("run"), &key))
            .unwrap()
    }

    /// A cgroup of this test where this controller is: in its v1 hierarchy, or in the v2 tree.
    pub fn cgroup(&mut self, controller: &str) -> Cgroup {
        let v1 = Path::new("/sys/fs/cgroup").join(controller);
        let v2 = !v1.join("tasks").exists();
        let root = if v2 {
            let root = PathBuf::from("/sys/fs/cgroup");
            std::fs::write(
                root.join("cgroup.subtree_control"),
                format!("+{controller}"),
            )
            .unwrap();
            root
        } else {
            v1
        };
        let dir = root.join(self.dir.file_name().unwrap());
        std::fs::create_dir(&dir).unwrap();
        self.cgroups.push(dir.clone());
        Cgroup {
            dir: dir.to_str().unwrap().to_owned(),
            v2,
        }
    }
}

/// A cgroup directory of a test.
pub struct Cgroup {
    pub dir: String,
    pub v2: bool,
}

impl Cgroup {
    pub fn care(&self) -> wire::keeper::ContainerCare {
        wire::keeper::ContainerCare {
            cgroup_dirs: vec![self.dir.clone()],
            cgroup_v2: self.v2,
            ..Default::default()
        }
    }

    /// Shell words by which a process enters it.
    pub fn enter(&self) -> String {
        format!("echo $$ > {}/cgroup.procs;", self.dir)
    }

    pub fn pids(&self) -> Vec<i32> {
        let text =
            std::fs::read_to_string(format!("{}/cgroup.procs", self.dir)).unwrap_or_default();
        text.lines().map(|pid| pid.parse().unwrap()).collect()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // Its children first, since they outlive a keeper without cgroups: stages and test processes die with it.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        for dir in &self.cgroups {
            let left = || std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            for pid in left()
                .lines()
                .filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?))
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            // Some time passes between a process's end and its leave.
            until("the cgroup is removed", || {
                !dir.exists() || std::fs::remove_dir(dir).is_ok()
            });
        }
        let remove = || std::fs::remove_dir_all(&self.dir).is_ok();
        // What dies with the keeper may still write; and one failure is enough to be told.
        if !remove() && !std::thread::panicking() {
            until("its directory is removed", remove);
        }
    }
}

/// Not a test of its own: the body of the keeper processes that the others start (it does nothing unless asked by the
/// environment, and never returns then).
#[test]
fn the_keeper_of_a_test() {
    if let Some(dir) = std::env::var_os(VARIABLE) {
        run_keeper(Path::new(&dir));
    }
}

/// Forks the keeper, so that it has a process with a single thread, and ends as it ends.
fn run_keeper(dir: &Path) -> ! {
    let child = sys::children::spawn(&[], || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .unwrap();
        be_keeper(dir)
    });
    let pid = rustix::process::Pid::from_raw(child.unwrap());
    let status = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty())
        .unwrap()
        .unwrap()
        .1;
    std::process::exit(status.exit_status().unwrap_or(100))
}

fn be_keeper(dir: &Path) -> ! {
    std::fs::write(dir.join("pid"), std::process::id().to_string()).unwrap();
    let listener = UnixListener::bind(dir.join("socket")).unwrap();
    let setting = std::fs::read_to_string(dir.join("setting")).unwrap();
    let value = |name: &str| {
        let line = setting
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| Duration::from_millis(value.parse().unwrap()))
    };
    let usual = Tuning::default();
    let tuning = Tuning {
        stage: stage::run,
        template: || Ok(None),
        absence: value("absence").unwrap_or(usual.absence),
        drain: value("drain").unwrap_or(usual.drain),
        idle: value("idle").unwrap_or(usual.idle),
        frame_silence: value("frame_silence").unwrap_or(usual.frame_silence),
        greeting: value("greeting").unwrap_or(usual.greeting),
        forward: value("forward").unwrap_or(usual.forward),
        leave_cgroups: false,
    };
    let args = KeeperArgs {
        listener: listener.into(),
        birth: brig_keeper::Birth {
            membership: std::fs::read_to_string("/proc/self/cgroup").unwrap(),
            in_own_v2: false,
        },
        socket_path: dir.join("socket"),
        containerd_address: "/address".into(),
        namespace: "ns".into(),
        group: "group".into(),
        events_address: dir.join("events"),
        class_name: "brig".into(),
        grpc: value("grpc").is_some(),
        cgroups: Vec::new(),
        run_dir: dir.join("run"),
        floor_dir: dir.join("floor"),
        bundle: dir.join("bundle"),
        debug: true,
        start_daemon: |run_dir: &Path| -> io::Result<()> {
            std::fs::write(run_dir.join("started"), "")
        },
    };
    brig_keeper::run_with(args, tuning)
}

pub fn make_fifo(path: &Path) {
    let status = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(status.success());
}

/// Looks until it is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < end, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
