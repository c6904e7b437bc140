//! Handing a seccomp listener to the agent that the plan names: the container process's state as the runtime spec has it, the
//! listener riding along, over a new connection to the agent's socket.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use wire::keeper::source::Kind;
use wire::plan::SeccompFilter;

use crate::errors::{At, Result, StageError, Step};
use crate::hooks::{self, CREATING};
use crate::packets;
use crate::procfs::Procfs;
use crate::sources::Handles;

/// Version of the runtime spec whose container process state this is.
const OCI_VERSION: &str = "1.2.0";
/// Longest metadata that is passed on.
const MAX_METADATA: usize = 1 << 16;

/// Sends the listener of process `pid` to the agent, if a filter names one.
pub fn tell(
    procfs: &Procfs,
    handles: &Handles,
    filters: &[SeccompFilter],
    state_parts: &[String],
    pid: i32,
    listener: Option<&OwnedFd>,
) -> Result<()> {
    let (Some(listener), Some(filter)) = (
        listener,
        filters.iter().find(|filter| filter.listener_handle != 0),
    ) else {
        return Ok(());
    };
    let agent = handles.of_kind(filter.listener_handle, Kind::Socket, Step::InstallSeccomp)?;
    if filter.listener_metadata.len() > MAX_METADATA {
        return Err(StageError::new(
            Step::InstallSeccomp,
            &agent.path,
            "the agent's metadata is too long",
        ));
    }
    let state = hooks::state(state_parts, CREATING, pid)?;
    let metadata = quoted(&filter.listener_metadata);
    let message = format!(
        "{{\"ociVersion\":\"{OCI_VERSION}\",\"fds\":[\"seccompFd\"],\"pid\":{pid},\"metadata\":{metadata},\"state\":{state}}}"
    );
    let send = || -> rustix::io::Result<()> {
        // The socket that was opened, whatever stands at its path by now: its descriptor's own name in procfs.
        let links = procfs.open("self/fd", OFlags::PATH | OFlags::DIRECTORY)?;
        rustix::process::fchdir(&links)?;
        let address = SocketAddrUnix::new(agent.descriptor.as_raw_fd().to_string())?;
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::net::connect(&socket, &address)?;
        packets::send(&socket, message.as_bytes(), &[listener.as_fd()])
    };
    send()
        .at(Step::InstallSeccomp, &agent.path)
        .map_err(|error| error.remedy("the seccomp agent must be listening there"))
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn metadata_is_quoted_for_json() {
        assert_eq!(
            quoted("a\"b\\c\nd\u{1}é"),
            "\"a\\\"b\\\\c\\u000ad\\u0001é\""
        );
    }
}
