//! stdin, stdout, stderr: whole, in order, and ended in time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::time::{Duration, Instant};

use wire::keeper::step::Action;
use wire::keeper::{CloseStdin, Execute, ResizePty, Stdio};

use crate::support::client::Client;
use crate::support::daemon::{Daemon, execute, failure, is_done};
use crate::support::frames::ids;
use crate::support::{Pod, Setting, until};

fn begin(setting: Setting) -> (Pod, Daemon, Client, u64) {
    let pod = Pod::with(setting);
    let mut daemon = pod.daemon();
    let mut client = pod.client();
    client.ask("Create", ids("c", ""));
    let seq = daemon.request().seq;
    (pod, daemon, client, seq)
}

fn with_stdout(stdout: &str, script: &str) -> Execute {
    let stdio = Stdio {
        stdout: stdout.into(),
        ..Stdio::default()
    };
    Execute {
        stdio: Some(stdio),
        ..execute("c", "", script)
    }
}

/// A FIFO's reading end, as containerd has it: opened whether or not someone writes, and blocking from then on.
fn reader(path: &str) -> File {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .unwrap();
    rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::empty()).unwrap();
    file
}

/// What may block for ever if the promise doesn't hold.
fn within_the_limit<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(what()));
    receive
        .recv_timeout(crate::support::LIMIT)
        .expect("it does not return")
}

fn read_all(mut file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn output_of_64_mib_comes_whole_and_in_order_through_a_slow_reader() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let fifo = pod.fifo("stdout");
    let mut file = reader(&fifo);
    daemon.start(
        seq,
        with_stdout(&fifo, "yes 0123456789abcde | head -c 67108864"),
    );
    let mut bytes = Vec::with_capacity(64 << 20);
    // In small pieces at first, so that both pipes fill up.
    let mut piece = vec![0; 511];
    while bytes.len() < 1 << 20 {
        let count = file.read(&mut piece).unwrap();
        bytes.extend_from_slice(&piece[..count]);
        std::thread::yield_now();
    }
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 64 << 20);
    assert!(bytes.chunks(16).all(|line| line == b"0123456789abcde\n"));
    assert_eq!(daemon.exited().exit_status, 0);
}

#[test]
fn an_exit_is_told_when_all_output_has_been_passed_on_and_the_fifo_is_closed() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let fifo = pod.fifo("stdout");
    let file = reader(&fifo);
    // More than the FIFO holds, less than FIFO and pipe.
    daemon.start(seq, with_stdout(&fifo, "head -c 1500000 /dev/zero"));
    let gone = pod.pid();
    let children =
        || std::fs::read_to_string(format!("/proc/{gone}/task/{gone}/children")).unwrap();
    until("the process is gone", || children().is_empty());
    assert!(daemon.is_silent_for(Duration::from_millis(100)));
    assert_eq!(read_all(file).len(), 1_500_000);
    assert_eq!(daemon.exited().exit_status, 0);
}

#[test]
fn a_descendant_that_keeps_the_pipe_holds_the_exit_back_only_until_the_drain_limit() {
    let (pod, mut daemon, _client, seq) = begin(Setting(vec![("drain", 300)]));
    let fifo = pod.fifo("stdout");
    let file = reader(&fifo);
    let begin = Instant::now();
    daemon.start(seq, with_stdout(&fifo, "echo out; sleep 100 & exit 4"));
    assert_eq!(daemon.exited().exit_status, 4);
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert_eq!(
        read_all(file),
        b"out\n",
        "the reader sees the end while the descendant lives"
    );
}

#[test]
fn nothing_is_lost_when_the_reader_goes_away_and_another_comes() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let (fifo, one, two) = (pod.fifo("stdout"), pod.fifo("one"), pod.fifo("two"));
    let mut first = reader(&fifo);
    let script = format!("echo one; read x < {one}; echo two; read x < {two}; echo three");
    daemon.start(seq, with_stdout(&fifo, &script));
    let mut line = [0; 4];
    first.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"one\n");
    drop(first);
    std::fs::write(&one, "\n").unwrap();
    // "two" is written with nobody reading. The next reader has to be there before the end, which closes the FIFO.
    let second = reader(&fifo);
    std::fs::write(&two, "\n").unwrap();
    assert_eq!(read_all(second), b"two\nthree\n");
    assert_eq!(daemon.exited().exit_status, 0);
}

#[test]
fn a_reader_that_opens_after_the_exit_was_told_gets_everything_and_the_end() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let fifo = pod.fifo("stdout");
    daemon.start(seq, with_stdout(&fifo, "echo out; exit 3"));
    let told = daemon.exited();
    assert_eq!(told.exit_status, 3, "the exit waits for no reader");
    // Blocks until there is a writer: for ever, if everybody has closed it.
    let file = within_the_limit(move || File::open(fifo).unwrap());
    assert_eq!(read_all(file), b"out\n");
}

#[test]
fn a_reader_that_comes_late_to_a_process_without_words_sees_its_end() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let fifo = pod.fifo("stdout");
    daemon.start(seq, with_stdout(&fifo, "true"));
    daemon.exited();
    let file = within_the_limit(move || File::open(fifo).unwrap());
    assert_eq!(read_all(file), b"");
}

#[test]
fn what_is_left_unread_survives_its_first_reader_and_the_exit() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let (fifo, go) = (pod.fifo("stdout"), pod.fifo("go"));
    let mut first = reader(&fifo);
    daemon.start(
        seq,
        with_stdout(&fifo, &format!("echo one; read x < {go}; echo two")),
    );
    let mut line = [0; 4];
    first.read_exact(&mut line).unwrap();
    drop(first);
    std::fs::write(&go, "\n").unwrap();
    assert_eq!(daemon.exited().exit_status, 0);
    let second = within_the_limit(move || File::open(fifo).unwrap());
    assert_eq!(read_all(second), b"two\n");
}

#[test]
fn a_fifo_whose_name_is_gone_is_kept_for_nobody() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let fifo = pod.fifo("stdout");
    daemon.start(seq, with_stdout(&fifo, "echo out"));
    daemon.exited();
    let held = || {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", pod.pid())).unwrap();
        fds.flatten()
            .filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .any(|target| target.to_string_lossy().starts_with(&fifo))
    };
    assert!(held());
    std::fs::remove_file(&fifo).unwrap();
    until("it is closed", || !held());
}

#[test]
fn stdout_and_stderr_go_their_own_ways_and_the_pipe_belongs_to_the_workload() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let (out, err) = (pod.fifo("stdout"), pod.fifo("stderr"));
    let (out_file, err_file) = (reader(&out), reader(&err));
    let stdio = Stdio {
        stdout: out,
        stderr: err,
        owner_uid: 100_000,
        owner_gid: 100_001,
        ..Stdio::default()
    };
    let script = "stat -L -c %u:%g:%F /proc/self/fd/1; echo problem >&2; readlink /proc/self/fd/0";
    daemon.start(
        seq,
        Execute {
            stdio: Some(stdio),
            ..execute("c", "", script)
        },
    );
    assert_eq!(
        String::from_utf8(read_all(out_file)).unwrap(),
        "100000:100001:fifo\n/dev/null\n"
    );
    assert_eq!(read_all(err_file), b"problem\n");
}

#[test]
fn stdin_ends_when_it_is_closed_and_not_when_a_client_goes_away() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let (stdin, stdout) = (pod.fifo("stdin"), pod.fifo("stdout"));
    let file = reader(&stdout);
    let stdio = Stdio {
        stdin: stdin.clone(),
        stdout,
        ..Stdio::default()
    };
    daemon.start(
        seq,
        Execute {
            stdio: Some(stdio),
            ..execute("c", "", "cat; echo end")
        },
    );
    for word in ["first ", "second "] {
        let mut client = OpenOptions::new().write(true).open(&stdin).unwrap();
        client.write_all(word.as_bytes()).unwrap();
    }
    assert!(daemon.is_silent_for(Duration::from_millis(100)));
    let close = Action::CloseStdin(CloseStdin {
        container_id: "c".into(),
        ..CloseStdin::default()
    });
    assert!(is_done(daemon.step(seq, 10, close.clone())));
    assert!(is_done(daemon.step(seq, 11, close)));
    assert_eq!(read_all(file), b"first second end\n");
}

#[test]
fn input_of_many_mib_reaches_a_slow_process_whole() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let (stdin, stdout) = (pod.fifo("stdin"), pod.fifo("stdout"));
    let file = reader(&stdout);
    let stdio = Stdio {
        stdin: stdin.clone(),
        stdout,
        ..Stdio::default()
    };
    daemon.start(
        seq,
        Execute {
            stdio: Some(stdio),
            ..execute("c", "", "head -c 1000 | wc -c; wc -c")
        },
    );
    let mut client = OpenOptions::new().write(true).open(&stdin).unwrap();
    client.write_all(&vec![b'x'; 8 << 20]).unwrap();
    drop(client);
    daemon.step(
        seq,
        10,
        Action::CloseStdin(CloseStdin {
            container_id: "c".into(),
            ..CloseStdin::default()
        }),
    );
    let text = String::from_utf8(read_all(file)).unwrap();
    let counts: Vec<usize> = text
        .split_whitespace()
        .map(|count| count.parse().unwrap())
        .collect();
    assert_eq!(counts[0], 1000);
    assert!(
        counts[1] <= (8 << 20) - 1000 && counts[1] > (7 << 20),
        "what head has read ahead is its own: {text}"
    );
}

#[test]
fn a_terminal_is_connected_both_ways_and_has_the_size_that_was_asked_for() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let (stdin, stdout) = (pod.fifo("stdin"), pod.fifo("stdout"));
    let file = reader(&stdout);
    let stdio = Stdio {
        terminal: true,
        stdin: stdin.clone(),
        stdout,
        ..Stdio::default()
    };
    let script = "!terminal stty -echo; echo ready; read line; stty size; echo got $line; exit 6";
    let pid = match daemon.launch(
        seq,
        Execute {
            stdio: Some(stdio),
            ..execute("c", "", script)
        },
    ) {
        wire::keeper::step_result::Result::Executed(executed) => executed.pid,
        other => panic!("{other:?}"),
    };
    assert!(pid > 0);
    let resize = ResizePty {
        container_id: "c".into(),
        width: 132,
        height: 43,
        ..ResizePty::default()
    };
    assert!(
        is_done(daemon.step(seq, 3, Action::Resize(resize))),
        "before it was released as well"
    );
    let release = wire::keeper::Release {
        container_id: "c".into(),
        ..Default::default()
    };
    assert!(is_done(daemon.step(seq, 4, Action::Release(release))));
    let mut file = file;
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"ready\r\n") {
        file.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
    std::fs::write(&stdin, "hello\n").unwrap();
    assert_eq!(
        String::from_utf8(read_all(file)).unwrap(),
        "43 132\r\ngot hello\r\n"
    );
    assert_eq!(daemon.exited().exit_status, 6);
}

#[test]
fn a_terminal_whose_client_does_not_read_loses_nothing() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let stdout = pod.fifo("stdout");
    let file = reader(&stdout);
    let stdio = Stdio {
        terminal: true,
        stdout,
        ..Stdio::default()
    };
    let script = "!terminal stty raw; yes 0123456789abcde | head -c 1048576";
    daemon.start(
        seq,
        Execute {
            stdio: Some(stdio),
            ..execute("c", "", script)
        },
    );
    let bytes = read_all(file);
    assert_eq!(bytes.len(), 1 << 20);
    assert!(bytes.chunks(16).all(|line| line == b"0123456789abcde\n"));
}

#[test]
fn a_failed_launch_shows_the_end_to_those_who_read() {
    for plan in ["!fail", "!die"] {
        let (pod, mut daemon, _client, seq) = begin(Setting::default());
        let fifo = pod.fifo("stdout");
        let file = reader(&fifo);
        failure(daemon.launch(seq, with_stdout(&fifo, plan)));
        // Only a FIFO that had a writer and has none any more says so.
        let mut polled = [rustix::event::PollFd::new(
            &file,
            rustix::event::PollFlags::IN,
        )];
        let limit = rustix::event::Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        assert_eq!(rustix::event::poll(&mut polled, Some(&limit)), Ok(1));
        assert!(polled[0].revents().contains(rustix::event::PollFlags::HUP));
    }
}

#[test]
fn output_is_appended_to_a_file_which_is_made_with_its_directories() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let path = pod.path("new/dir/log file");
    let uri = format!("file://{}", path.replace(' ', "%20"));
    let stdio = Stdio {
        stdout: uri.clone(),
        stderr: uri,
        ..Stdio::default()
    };
    daemon.start(
        seq,
        Execute {
            stdio: Some(stdio),
            ..execute("c", "", "echo out; echo err >&2; exit 2")
        },
    );
    assert_eq!(daemon.exited().exit_status, 2);
    let mut lines: Vec<String> = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o644
    );
}

fn program(pod: &Pod, name: &str, script: &str) -> String {
    let path = pod.path(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_logger_gets_the_output_its_arguments_and_its_names_before_the_process_runs() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let log = pod.path("log");
    let script = format!(
        "echo \"$CONTAINER_ID $CONTAINER_NAMESPACE $* [$HOME]\" > {log}; printf r >&5; exec 5>&-; cat <&3 >> {log}; cat <&4 >> {log}"
    );
    let logger = program(&pod, "logger", &script);
    let uri = format!("binary://{logger}?key=a+value");
    let stdio = Stdio {
        stdout: uri.clone(),
        stderr: uri,
        container_id: "c".into(),
        namespace: "ns".into(),
        ..Stdio::default()
    };
    daemon.start(
        seq,
        Execute {
            stdio: Some(stdio),
            ..execute("c", "", "echo out; echo err >&2")
        },
    );
    assert_eq!(daemon.exited().exit_status, 0);
    assert_eq!(
        std::fs::read_to_string(&log).unwrap(),
        "c ns key a value []\nout\nerr\n"
    );
}

#[test]
fn a_logger_that_is_missing_or_never_ready_fails_the_launch_with_its_name() {
    let (pod, mut daemon, _client, seq) = begin(Setting::default());
    let told = failure(daemon.launch(seq, with_stdout("binary:///no/such/logger", "true")));
    assert!(
        told.object == "/no/such/logger" && told.cause.contains("No such file"),
        "{told:?}"
    );
    let strict = program(&pod, "strict", "exec 5>&-; cat <&3");
    let open = wire::keeper::OpenStage {
        container_id: "d".into(),
        ..Default::default()
    };
    daemon.step(seq, 10, Action::OpenStage(open));
    let stdio = Stdio {
        stdout: format!("binary-v2://{strict}"),
        ..Stdio::default()
    };
    let launch = Execute {
        stdio: Some(stdio),
        ..execute("d", "", "true")
    };
    assert_eq!(
        failure(daemon.step(seq, 11, Action::Execute(launch))).object,
        strict
    );
}

#[test]
fn a_logger_that_does_not_end_holds_no_exit_back_for_long_and_is_ended() {
    let (pod, mut daemon, _client, seq) = begin(Setting(vec![("drain", 200)]));
    let mark = pod.path("mark");
    let script = format!(
        "trap 'echo term > {mark}; exit' TERM; exec 5>&-; while :; do read x <&3 || sleep 0.01; done"
    );
    let logger = program(&pod, "stubborn", &script);
    daemon.start(seq, with_stdout(&format!("binary://{logger}"), "echo out"));
    assert_eq!(daemon.exited().exit_status, 0);
    until("it was asked to end", || {
        std::path::Path::new(&mark).exists()
    });
}
