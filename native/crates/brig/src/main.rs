//! The one native program: its name decides whether it is a shim, the daemon's starter or the `brig` command.

fn main() -> std::process::ExitCode {
    launcher::main(std::env::args_os().collect())
}
