//! Which of Brig's processes a thread belongs to.

use std::fs;

/// By command line and session: a launcher forks the keeper, which leads a session of its own and forks stages; none of them
/// executes anything.
pub fn role(thread: u32) -> &'static str {
    let command = command_line(thread);
    if command.contains("/runtime/bin/java") {
        return "brigd";
    }
    if command.starts_with("brigd --supervise") {
        return "supervisor";
    }
    if !command.contains("containerd-shim-") {
        return "container";
    }
    match session(thread) {
        Some((process, leader)) if process == leader => "keeper",
        Some((_, leader)) if command_line(leader).contains("containerd-shim-") => "stage",
        _ => "launcher",
    }
}

fn command_line(process: u32) -> String {
    let bytes = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// The thread's process and its session's leader.
fn session(thread: u32) -> Option<(u32, u32)> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let process = status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:"))?
        .trim()
        .parse()
        .ok()?;
    let stat = fs::read_to_string(format!("/proc/{thread}/stat")).ok()?;
    // Behind the name, which is in parentheses: state, parent, group, session.
    let leader = stat
        .get(stat.rfind(')')? + 2..)?
        .split(' ')
        .nth(3)?
        .parse()
        .ok()?;
    Some((process, leader))
}
