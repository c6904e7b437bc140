//! Bytes on their way to a socket that doesn't block, with the descriptors that ride on them.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};

/// Most descriptors on one chunk.
const MOST_DESCRIPTORS: usize = 8;

#[derive(Default)]
pub struct Outbox {
    chunks: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    /// Bytes of the first chunk that are gone.
    sent: usize,
    bytes: usize,
}

impl Outbox {
    pub fn push(&mut self, chunk: Vec<u8>) {
        self.push_with(chunk, Vec::new());
    }

    /// The descriptors ride on the chunk's first byte; at most 8.
    pub fn push_with(&mut self, chunk: Vec<u8>, descriptors: Vec<OwnedFd>) {
        self.bytes += chunk.len();
        self.chunks.push_back((chunk, descriptors));
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sends what the socket takes.
    ///
    /// # Errors
    /// The kernel's; the connection is of no more use.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        while let Some((chunk, descriptors)) = self.chunks.front_mut() {
            let rest = chunk.get(self.sent..).unwrap_or_default();
            let result = if descriptors.is_empty() || self.sent > 0 {
                send(socket, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
            } else {
                send_with(socket, rest, descriptors)
            };
            match result {
                Ok(count) => {
                    self.sent += count;
                    self.bytes = self.bytes.saturating_sub(count);
                    if self.sent >= chunk.len() {
                        self.chunks.pop_front();
                        self.sent = 0;
                    }
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        self.chunks = VecDeque::new();
        Ok(())
    }
}

fn send_with(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[OwnedFd],
) -> Result<usize, Errno> {
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::TOOBIG);
    }
    sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut ancillary,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )
}
