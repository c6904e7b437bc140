//! Sockets that a container may or may not have.

use crate::{errno, report};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::ExitCode;

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
