//! `brig`: hands its arguments to brigd, which runs the command in Java, and passes on what comes back.

use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use wire::Message;
use wire::keeper::{Command, FromCommand, Opening, from_command, opening};

use crate::installation::Installation;
use crate::problem::{Outcome, Problem};
use crate::{socket, starter};

/// How much of the daemon's log is shown when it goes away.
const TAIL: usize = 2048;

/// Runs one command; the answer is its exit code.
///
/// # Errors
/// The daemon can't be started or goes away before the command has ended.
pub fn run(args: Vec<String>) -> Outcome<u8> {
    let installation = Installation::current()?;
    let path = starter::socket_path(installation);
    let fault = |cause: io::Error| {
        let cause = match cause.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                "the daemon ended before the command did".to_owned()
            }
            _ => cause.to_string(),
        };
        Problem::at("run the command", &path, cause)
            .remedy(last_words(&starter::log_path(installation)))
    };
    starter::ensure(installation)?;
    let Some(connection) = socket::connect(&path)? else {
        return Err(fault(io::ErrorKind::ConnectionRefused.into()));
    };
    let mut connection = UnixStream::from(connection);
    connection.set_nonblocking(false).map_err(fault)?;
    let cwd = std::env::current_dir()
        .map(|dir| dir.to_string_lossy().into_owned())
        .unwrap_or_default();
    let command = Opening {
        role: Some(opening::Role::Command(Command {
            protocol_version: wire::KEEPER_VERSION,
            args,
            cwd,
            terminal: io::stdout().is_terminal(),
        })),
    };
    let command = command.encode_to_vec();
    let length = u32::try_from(command.len())
        .ok()
        .filter(|length| *length as usize <= wire::MAX_FRAME);
    let Some(length) = length else {
        return Err(Problem::new(
            "run the command",
            "arguments",
            "longer than 16 MiB",
        ));
    };
    connection
        .write_all(&length.to_be_bytes())
        .and_then(|()| connection.write_all(&command))
        .map_err(fault)?;
    loop {
        match read_message(&mut connection).map_err(fault)?.message {
            Some(from_command::Message::Output(output)) => pass_on(output.stream, &output.data),
            Some(from_command::Message::ExitCode(code)) => {
                return Ok(u8::try_from(code).unwrap_or(u8::MAX));
            }
            None => {}
        }
    }
}

fn read_message(connection: &mut UnixStream) -> io::Result<FromCommand> {
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > wire::MAX_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the daemon sent a frame of more than 16 MiB",
        ));
    }
    let mut message = vec![0; length];
    connection.read_exact(&mut message)?;
    FromCommand::decode(message.as_slice())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// A reader that has gone (`brig ps | head`) doesn't end the command: its exit code still counts.
fn pass_on(stream: u32, data: &[u8]) {
    let _ = if stream == 2 {
        io::stderr().write_all(data)
    } else {
        io::stdout().write_all(data)
    };
}

fn last_words(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL)..])
        .trim()
        .to_owned();
    if tail.is_empty() {
        format!("see {}", log.display())
    } else {
        format!("the end of {}:\n{tail}", log.display())
    }
}
