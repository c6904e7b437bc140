//! The pod's Landlock domain: taken by the keeper before it forks its first stage, so that all of the pod's processes are in it,
//! and proven by trying what it must refuse. Takes no decision: brigd compares the result with what the wall promises.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use wire::keeper::LandlockProbe;
use wire::keeper::landlock_probe::Trial;

use crate::keeper::Keeper;

/// LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET and LANDLOCK_SCOPE_SIGNAL of <linux/landlock.h>.
const SCOPES: u64 = 1 | 2;

/// First Landlock ABI with scopes (Linux 6.12).
const SCOPES_ABI: i32 = 6;

impl Keeper {
    /// Before the first stage: all of the pod's processes are to share one domain, in which they can signal each other.
    pub fn take_domain(&mut self) {
        if self.domain.is_some() {
            return;
        }
        let probe = enter();
        if probe.abi < SCOPES_ABI {
            self.log.info("this kernel has no Landlock scopes (Linux 6.12): signals and abstract sockets are not confined by them");
        } else if !probe.failed.is_empty() {
            self.log
                .error(format_args!("Landlock scopes: {}", probe.failed));
        }
        self.domain = Some(probe);
    }
}

/// Puts this process, and all it forks from now on, into a domain of its own. It restricts nothing but the scopes, so mount()
/// keeps working; CAP_SYS_ADMIN stands in for no_new_privs.
fn enter() -> LandlockProbe {
    let mut probe = LandlockProbe {
        abi: sys::landlock::abi(),
        ..LandlockProbe::default()
    };
    if probe.abi < SCOPES_ABI {
        return probe;
    }
    // Without it the connection isn't tried, and its trial says why.
    let outside = Outside::listen();
    let before = outside.try_all();
    let taken = sys::landlock::create(0, 0, SCOPES)
        .and_then(|ruleset| sys::landlock::restrict_self(ruleset.as_fd()));
    match taken {
        Err(error) => probe.failed = error.to_string(),
        Ok(()) => {
            probe.trials = std::iter::zip(before, outside.try_all())
                .map(|((access, before), (_, within))| Trial {
                    access: access.to_owned(),
                    before,
                    within,
                })
                .collect();
        }
    }
    probe
}

/// What stands outside of the domain to be tried: a listening socket made before it, and the first process.
struct Outside(Result<(OwnedFd, SocketAddrUnix), Errno>);

impl Outside {
    fn listen() -> Outside {
        let bound = || {
            let name = format!("brig-probe-{}", crate::host::random_name());
            let address = SocketAddrUnix::new_abstract_name(name.as_bytes())?;
            let listener = stream()?;
            rustix::net::bind(&listener, &address)?;
            // Two connections that nobody accepts.
            rustix::net::listen(&listener, 2)?;
            Ok((listener, address))
        };
        Outside(bound())
    }

    /// Each access with its errno.
    fn try_all(&self) -> [(&'static str, i32); 2] {
        // No signal is sent, but permission to send one is checked (kill(2)).
        let signal = rustix::process::test_kill_process(rustix::process::Pid::INIT);
        let connection = match &self.0 {
            Ok((_, address)) => stream().and_then(|socket| rustix::net::connect(&socket, address)),
            Err(error) => Err(*error),
        };
        [("signal", signal), ("abstract socket", connection)]
            .map(|(access, result)| (access, result.map_or_else(Errno::raw_os_error, |()| 0)))
    }
}

fn stream() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_a_domain_everything_tried_is_allowed() {
        assert_eq!(
            Outside::listen().try_all(),
            [("signal", 0), ("abstract socket", 0)]
        );
    }

    #[test]
    fn within_it_both_are_refused_where_the_kernel_has_scopes() {
        // A thread of its own: a domain is never left, and belongs to the thread that took it.
        let probe = std::thread::spawn(enter).join().expect("the thread ends");
        assert_eq!(probe.failed, "");
        let refused = |access: &str| Trial {
            access: access.to_owned(),
            before: 0,
            within: libc::EPERM,
        };
        let expected = if probe.abi < SCOPES_ABI {
            Vec::new()
        } else {
            vec![refused("signal"), refused("abstract socket")]
        };
        assert_eq!(probe.trials, expected, "ABI {}", probe.abi);
    }
}
