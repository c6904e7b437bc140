//! One ttrpc call within a deadline: the frame of ten bytes and a message, as containerd's ttrpc has it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::protobuf::{Value, Writer, fields};

/// Longest payload of a frame.
const LONGEST_PAYLOAD: usize = 4 << 20;

const HEADER: usize = 10;
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Payload(Vec<u8>),
    /// A gRPC status code other than 0, and its message.
    Status(u64, String),
}

/// Calls `service`/`method` over a connected socket that doesn't block.
///
/// # Errors
/// No complete answer before `deadline`, or one that is none.
pub fn call(
    socket: &OwnedFd,
    service: &str,
    method: &str,
    payload: &[u8],
    deadline: Instant,
) -> io::Result<Answer> {
    let left = deadline.saturating_duration_since(Instant::now());
    let request = Writer::default()
        .text(1, service)
        .text(2, method)
        .bytes(3, payload)
        .number(4, u64::try_from(left.as_nanos()).unwrap_or(0))
        .done();
    let mut frame = Vec::with_capacity(HEADER + request.len());
    frame.extend_from_slice(
        &u32::try_from(request.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    frame.extend_from_slice(&1u32.to_be_bytes());
    frame.extend_from_slice(&[REQUEST, 0]);
    frame.extend_from_slice(&request);
    write_all(socket, &frame, deadline)?;

    let header = read_exact(socket, HEADER, deadline)?;
    let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
    if length > LONGEST_PAYLOAD || header[8] != RESPONSE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    parse(&read_exact(socket, length, deadline)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A response's message.
pub fn parse(response: &[u8]) -> Option<Answer> {
    let (mut code, mut message, mut payload) = (0, String::new(), Vec::new());
    for field in fields(response) {
        match field? {
            (1, Value::Bytes(status)) => {
                for field in fields(status) {
                    match field? {
                        (1, Value::Number(number)) => code = number,
                        (2, Value::Bytes(text)) => {
                            message = String::from_utf8_lossy(text).into_owned()
                        }
                        _ => {}
                    }
                }
            }
            (2, Value::Bytes(bytes)) => payload = bytes.to_vec(),
            _ => {}
        }
    }
    Some(if code == 0 {
        Answer::Payload(payload)
    } else {
        Answer::Status(code, message)
    })
}

fn write_all(socket: &OwnedFd, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::net::send(socket, bytes, rustix::net::SendFlags::NOSIGNAL) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::AGAIN) => await_ready(socket, PollFlags::OUT, deadline)?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn read_exact(socket: &OwnedFd, count: usize, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        match rustix::io::read(socket, &mut bytes[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(Errno::AGAIN) => await_ready(socket, PollFlags::IN, deadline)?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

fn await_ready(socket: &OwnedFd, flags: PollFlags, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left == Duration::ZERO {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let timeout = Timespec {
        tv_sec: left.as_secs().cast_signed(),
        tv_nsec: left.subsec_nanos().into(),
    };
    match rustix::event::poll(&mut [PollFd::new(socket, flags)], Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn serve(answer: Vec<u8>) -> (OwnedFd, std::thread::JoinHandle<Vec<u8>>) {
        let (client, mut server) = UnixStream::pair().expect("socket pair");
        client.set_nonblocking(true).expect("non-blocking");
        let server = std::thread::spawn(move || {
            let mut header = [0; HEADER];
            server.read_exact(&mut header).expect("header");
            let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
            let mut request = vec![0; length];
            server.read_exact(&mut request).expect("request");
            server.write_all(&answer).expect("answer");
            request
        });
        (client.into(), server)
    }

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(payload.len())
            .expect("short")
            .to_be_bytes()
            .to_vec();
        frame.extend_from_slice(&[0, 0, 0, 1, kind, 0]);
        frame.extend_from_slice(payload);
        frame
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn a_payload_comes_back() {
        let (client, server) = serve(frame(RESPONSE, &Writer::default().bytes(2, b"done").done()));
        assert_eq!(
            call(&client, "s", "m", b"in", soon()).expect("answer"),
            Answer::Payload(b"done".to_vec())
        );
        let request = server.join().expect("server");
        assert!(
            request.starts_with(
                &Writer::default()
                    .text(1, "s")
                    .text(2, "m")
                    .bytes(3, b"in")
                    .done()
            )
        );
    }

    #[test]
    fn an_empty_frame_is_an_empty_success() {
        let (client, _server) = serve(frame(RESPONSE, &[]));
        assert_eq!(
            call(&client, "s", "m", &[], soon()).expect("answer"),
            Answer::Payload(vec![])
        );
    }

    #[test]
    fn a_status_is_told_apart() {
        let status = Writer::default().number(1, 5).text(2, "gone").done();
        let (client, _server) = serve(frame(RESPONSE, &Writer::default().bytes(1, &status).done()));
        assert_eq!(
            call(&client, "s", "m", &[], soon()).expect("answer"),
            Answer::Status(5, "gone".into())
        );
    }

    #[test]
    fn a_server_that_never_answers_costs_no_more_than_the_deadline() {
        let (client, _server) = UnixStream::pair().expect("socket pair");
        client.set_nonblocking(true).expect("non-blocking");
        let deadline = Instant::now() + Duration::from_millis(50);
        let error = call(&client.into(), "s", "m", &[], deadline).expect_err("silence");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn a_giant_frame_is_refused_before_memory_is_taken() {
        let (client, _server) = serve(vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, RESPONSE, 0]);
        assert_eq!(
            call(&client, "s", "m", &[], soon())
                .expect_err("giant")
                .kind(),
            io::ErrorKind::InvalidData
        );
    }

    proptest! {
        #[test]
        fn any_response_gets_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
