//! The probe: small questions to the kernel, asked from inside a container.
//!
//! Each command tries things and prints one line per attempt, `NAME<TAB>RESULT<TAB>DETAIL`, where RESULT is `ok` or the errno's
//! name. It judges nothing: which result is right stands in the tests. It never writes to a host-wide kernel setting,
//! so a wall that is down costs the host nothing.

mod agent;
mod calls;
mod errno;
mod faults;
mod files;
mod memory;
mod mounts;
mod network;
mod pause;
mod races;
mod report;
mod scheduling;
mod terminal;
mod watch;

use std::process::ExitCode;

const USAGE: &str = "usage: probe COMMAND [ARGUMENT...]
  calls                     system calls that a default container must not have, with harmless arguments
  call NUMBER [ARGUMENT...] a system call with these numbers; call32 makes it the way i386 programs do (x86-64)
  scheduling                how the kernel runs this process
  open-write PATH...        opens for writing, writes nothing
  read-empty PATH...        ok if reading gives no byte
  mknod MAJOR:MINOR:KIND... makes a device node and opens it (KIND: c or b)
  fds                       open descriptors and what they are
  mounts                    tries to take masks and read-only paths off
  escape                    the chroot and fchdir ways out
  watch SECONDS             looks at /proc/*/exe and /proc/*/fd of processes that pass by, for anything of the host
  tiocsti                   pushes a character into the terminal's input
  connect-abstract NAME     connects to an abstract unix socket
  raw-socket                opens a raw socket
  bind PORT                 binds a TCP port on every address
  ping-socket               opens a datagram ICMP socket
  ping ADDRESS              sends an echo request and waits for the answer
  eat MEBIBYTES             takes memory and touches it
  key SERIAL                reads a key of the kernel's key service
  seccomp-agent PATH ERRNO  on the host: answers what a filter asks about with this error number
  faults SOCKET             on the host: lets chosen system calls of Brig's processes fail (see the module)
  swap A B                  exchanges two paths until killed
  fill BYTES                writes a known byte sequence to stdout
  pause                     sleeps, reaps children, ends on TERM or INT";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let called = arguments.first().map_or("", String::as_str);
    let name = called.rsplit('/').next().unwrap_or(called);
    if name == "pause" {
        return pause::run();
    }
    if name.starts_with("containerd-shim-") {
        return faults::run_shim(name, arguments.get(1..).unwrap_or_default());
    }
    let rest = arguments.get(2..).unwrap_or_default();
    match arguments.get(1).map(String::as_str) {
        Some("calls") => calls::run(),
        Some("call") => calls::one(rest),
        Some("call32") => calls::one_of_i386(rest),
        Some("scheduling") => scheduling::describe(),
        Some("open-write") => files::open_write(rest),
        Some("read-empty") => files::read_empty(rest),
        Some("mknod") => files::make_nodes(rest),
        Some("fds") => files::descriptors(),
        Some("mounts") => mounts::run(),
        Some("escape") => mounts::escape(),
        Some("watch") => watch::run(rest),
        Some("tiocsti") => terminal::push_character(),
        Some("connect-abstract") => network::connect_abstract(rest),
        Some("raw-socket") => network::raw_socket(),
        Some("bind") => network::bind(rest),
        Some("ping") => network::ping(rest),
        Some("ping-socket") => network::ping_socket(),
        Some("eat") => memory::eat(rest),
        Some("key") => calls::read_key(rest),
        Some("seccomp-agent") => agent::run(rest),
        Some("faults") => faults::run(rest),
        Some("swap") => races::swap(rest),
        Some("fill") => memory::fill(rest),
        Some("pause") => pause::run(),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
