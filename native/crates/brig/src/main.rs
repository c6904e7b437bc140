//! The one native program: its name decides whether it is a shim, the daemon's starter, the `brig` command, or a stage that
//! had to execute its own program anew.

fn main() -> std::process::ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let [name, argument] = args.as_slice()
        && name == stage::PROGRAM_NAME
    {
        stage::resume(&argument.to_string_lossy())
    }
    launcher::main(args)
}
