//! Sockets that a container may or may not have.

use crate::{errno, report};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::FromRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::ExitCode;
use std::time::Duration;

pub fn connect_abstract(arguments: &[String]) -> ExitCode {
    let Some(name) = arguments.first() else {
        return ExitCode::from(2);
    };
    let outcome = SocketAddr::from_abstract_name(name.as_bytes())
        .and_then(|address| UnixStream::connect_addr(&address));
    report::line(
        "connect",
        &outcome.map_or_else(|error| errno::of(&error), |_| "ok".to_string()),
        name,
    );
    ExitCode::SUCCESS
}

pub fn raw_socket() -> ExitCode {
    // SAFETY: no pointers.
    let raw = unsafe {
        libc::socket(
            libc::AF_INET,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            libc::IPPROTO_ICMP,
        )
    };
    report::call("raw socket", libc::c_long::from(raw));
    // SAFETY: no pointers.
    let packet = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    report::call("packet socket", libc::c_long::from(packet));
    ExitCode::SUCCESS
}

pub fn ping_socket() -> ExitCode {
    // SAFETY: no pointers.
    let socket = unsafe {
        libc::socket(
            libc::AF_INET,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            libc::IPPROTO_ICMP,
        )
    };
    report::call("ping socket", libc::c_long::from(socket));
    ExitCode::SUCCESS
}

/// Sends one echo request through a datagram socket, as `ping` does without privilege, and waits for its answer.
pub fn ping(arguments: &[String]) -> ExitCode {
    let Some(address) = arguments
        .first()
        .and_then(|text| text.parse::<Ipv4Addr>().ok())
    else {
        return ExitCode::from(2);
    };
    let outcome = echo(address);
    report::line(
        "ping",
        &outcome.map_or_else(|error| errno::of(&error), |()| "ok".to_string()),
        &address.to_string(),
    );
    ExitCode::SUCCESS
}

fn echo(address: Ipv4Addr) -> std::io::Result<()> {
    // SAFETY: no pointers.
    let socket = unsafe {
        libc::socket(
            libc::AF_INET,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            libc::IPPROTO_ICMP,
        )
    };
    if socket < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor was opened above and is nobody else's.
    let socket = unsafe { UdpSocket::from_raw_fd(socket) };
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    // Type 8 is an echo request, type 0 its answer (RFC 792); the kernel fills in identifier and checksum.
    let request = [8, 0, 0, 0, 0, 0, 0, 1, b'b', b'r', b'i', b'g'];
    socket.send_to(&request, (address, 0))?;
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer)?;
    if answer
        .get(..length)
        .is_some_and(|got| got.first() == Some(&0) && got.ends_with(b"brig"))
    {
        Ok(())
    } else {
        Err(std::io::Error::from_raw_os_error(libc::EBADMSG))
    }
}

pub fn bind(arguments: &[String]) -> ExitCode {
    let Some(port) = arguments.first().and_then(|text| text.parse::<u16>().ok()) else {
        return ExitCode::from(2);
    };
    let outcome = TcpListener::bind(("0.0.0.0", port));
    report::line(
        "bind",
        &outcome.map_or_else(|error| errno::of(&error), |_| "ok".to_string()),
        &port.to_string(),
    );
    ExitCode::SUCCESS
}
