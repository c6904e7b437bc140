//! Messages with descriptors over unix sockets: the keeper's frames, and the packets between a stage and the process it makes.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// Most descriptors on one message.
pub const MAX_DESCRIPTORS: usize = 16;

/// A pair of connected sockets that keep message boundaries.
pub fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
}

/// Sends the whole of `bytes`, the descriptors on its first byte.
pub fn send(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> rustix::io::Result<()> {
    let mut rest = bytes;
    let mut descriptors = descriptors;
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(Errno::TOOMANYREFS);
        }
        match rustix::net::sendmsg(
            &socket,
            &[IoSlice::new(rest)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Ok(sent) => {
                descriptors = &[];
                rest = &rest[sent..];
                if rest.is_empty() {
                    return Ok(());
                }
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// One receive: how many bytes went into `buffer` (0: the other side is gone) and what came with them.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> rustix::io::Result<(usize, Vec<OwnedFd>)> {
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        match rustix::net::recvmsg(
            &socket,
            &mut [IoSliceMut::new(buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            Ok(received) => {
                let mut descriptors = Vec::new();
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(rights) = message {
                        descriptors.extend(rights);
                    }
                }
                return Ok((received.bytes, descriptors));
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Reads exactly one frame (u32 big-endian length, then that many bytes); None at a clean end.
pub fn receive_frame(
    socket: impl AsFd,
    limit: usize,
) -> rustix::io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut descriptors = Vec::new();
    let mut header = [0u8; 4];
    if !fill(&socket, &mut header, &mut descriptors)? {
        return Ok(None);
    }
    let length = u32::from_be_bytes(header) as usize;
    if length > limit {
        return Err(Errno::MSGSIZE);
    }
    let mut body = vec![0u8; length];
    if length > 0 && !fill(&socket, &mut body, &mut descriptors)? {
        return Err(Errno::PIPE);
    }
    Ok(Some((body, descriptors)))
}

/// Sends one frame with descriptors on its first byte.
pub fn send_frame(
    socket: impl AsFd,
    body: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> rustix::io::Result<()> {
    let length = u32::try_from(body.len()).map_err(|_| Errno::MSGSIZE)?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(body);
    send(socket, &frame, descriptors)
}

/// False when the other side is gone before the first byte; gone in the middle is EPIPE.
fn fill(
    socket: impl AsFd,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> rustix::io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        let (length, more) = receive(&socket, &mut buffer[filled..])?;
        descriptors.extend(more);
        if length == 0 {
            return if filled == 0 {
                Ok(false)
            } else {
                Err(Errno::PIPE)
            };
        }
        filled += length;
    }
    Ok(true)
}
