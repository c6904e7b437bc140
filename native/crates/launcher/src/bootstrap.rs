//! What containerd writes to the standard input of `start`: up to 2.2 the options as a `google.protobuf.Any`, from 2.3 on
//! `containerd.runtime.bootstrap.v1.BootstrapParams`, which carries them as extensions. Both begin with a string, so they are
//! told apart by content: a BootstrapParams names the id and the namespace that the command line names.
//!
//! Of the options only the shim's cgroup is of use here (Create brings them all again, for brigd); but a type that no one would
//! understand is refused at once.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, PathBuf};

use crate::problem::{Outcome, Problem};
use crate::protobuf::{Value, fields};

/// Most bytes read from standard input.
const MOST_INPUT: u64 = 4 << 20;

/// Types of options that Brig understands.
const OPTION_TYPES: [&str; 4] = [
    "runtimeoptions.v1.Options",
    "containerd.runc.v1.Options",
    // What containerd 1.6's and 1.7's clients give to runtimes that aren't called runc.
    "containerd.linux.runc.CreateOptions",
    "containerd.runc.v1.CheckpointOptions",
];

/// Where those that can name the shim's cgroup do it (field numbers of their .proto files).
const SHIM_CGROUP: [(&str, u32); 2] = [
    ("containerd.runc.v1.Options", 3),
    ("containerd.linux.runc.CreateOptions", 9),
];

/// What `start` takes from its standard input.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// It was a BootstrapParams: the daemon is 2.3 or later.
    pub is_bootstrap: bool,
    /// Where the daemon wants sockets (2.3 and later).
    pub socket_dir: Option<PathBuf>,
    /// Where the daemon takes events (2.3 and later).
    pub events_address: Option<PathBuf>,
    /// The cgroup that the shim shall run in, as a path beneath each hierarchy.
    pub shim_cgroup: Option<PathBuf>,
}

/// Reads standard input to its end, unless it is a terminal.
///
/// # Errors
/// It can't be read, or is longer than 4 MiB.
pub fn read_stdin() -> Outcome<Vec<u8>> {
    let stdin = io::stdin();
    let mut bytes = Vec::new();
    if stdin.is_terminal() {
        return Ok(bytes);
    }
    match stdin.lock().take(MOST_INPUT + 1).read_to_end(&mut bytes) {
        // A caller may have closed it.
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(Vec::new()),
        Err(error) => Err(Problem::new("read the options", "standard input", error)),
        Ok(_) if bytes.len() as u64 > MOST_INPUT => Err(Problem::new(
            "read the options",
            "standard input",
            "longer than 4 MiB",
        )),
        Ok(_) => Ok(bytes),
    }
}

/// Understands either form.
///
/// # Errors
/// Neither form, or options of an unknown type that aren't empty.
pub fn parse(bytes: &[u8], id: &str, namespace: &str) -> Outcome<Input> {
    if let Some(params) = Params::parse(bytes)
        && params.id == id.as_bytes()
        && params.namespace == namespace.as_bytes()
    {
        let mut shim_cgroup = None;
        for options in params.extensions {
            shim_cgroup = shim_cgroup_of(options)?.or(shim_cgroup);
        }
        return Ok(Input {
            is_bootstrap: true,
            socket_dir: absolute("socket_dir", params.socket_dir)?,
            events_address: absolute("containerd_ttrpc_address", params.events_address)?,
            shim_cgroup,
        });
    }
    Ok(Input {
        shim_cgroup: shim_cgroup_of(bytes)?,
        ..Input::default()
    })
}

/// An absolute path without a NUL, or nothing.
fn absolute(field: &'static str, bytes: &[u8]) -> Outcome<Option<PathBuf>> {
    match bytes {
        [] => Ok(None),
        [b'/', rest @ ..] if !rest.contains(&0) => {
            Ok(Some(PathBuf::from(OsStr::from_bytes(bytes))))
        }
        _ => Err(Problem::new(
            "read the options",
            field,
            "is no absolute path",
        )),
    }
}

#[derive(Default)]
struct Params<'a> {
    id: &'a [u8],
    namespace: &'a [u8],
    extensions: Vec<&'a [u8]>,
    events_address: &'a [u8],
    socket_dir: &'a [u8],
}

impl<'a> Params<'a> {
    /// Field numbers of containerd's bootstrap.proto.
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut params = Params::default();
        for field in fields(bytes) {
            match field? {
                (1, Value::Bytes(id)) => params.id = id,
                (2, Value::Bytes(namespace)) => params.namespace = namespace,
                (5, Value::Bytes(address)) => params.events_address = address,
                (8, Value::Bytes(extension)) => {
                    for field in fields(extension) {
                        if let (1, Value::Bytes(any)) = field? {
                            params.extensions.push(any);
                        }
                    }
                }
                (9, Value::Bytes(dir)) => params.socket_dir = dir,
                _ => {}
            }
        }
        Some(params)
    }
}

/// The shim's cgroup in an `Any` with options.
fn shim_cgroup_of(any: &[u8]) -> Outcome<Option<PathBuf>> {
    let (mut type_url, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in fields(any) {
        match field {
            Some((1, Value::Bytes(bytes))) => type_url = bytes,
            Some((2, Value::Bytes(bytes))) => value = bytes,
            Some(_) => {}
            None => {
                return Err(Problem::new("read the options", "standard input", "is no protobuf message")
                    .remedy("expected google.protobuf.Any or containerd.runtime.bootstrap.v1.BootstrapParams"));
            }
        }
    }
    let type_url = String::from_utf8_lossy(type_url);
    let name = type_url.rsplit('/').next().unwrap_or_default();
    if value.is_empty() {
        return Ok(None);
    }
    if let Some((_, number)) = SHIM_CGROUP.iter().find(|(known, _)| *known == name) {
        return cgroup_path(value, *number);
    }
    if OPTION_TYPES.contains(&name) {
        return Ok(None);
    }
    Err(Problem::new(
        "read the options",
        type_url,
        "unknown type of runtime options",
    )
    .remedy(format!("known are {}", OPTION_TYPES.join(", "))))
}

/// A path beneath a hierarchy, which no `..` leads out of. Options that can't be read are brigd's to tell.
fn cgroup_path(options: &[u8], number: u32) -> Outcome<Option<PathBuf>> {
    let mut path: &[u8] = &[];
    for field in fields(options) {
        match field {
            Some((found, Value::Bytes(bytes))) if found == number => path = bytes,
            Some(_) => {}
            None => return Ok(None),
        }
    }
    let Some(path) = absolute("shim_cgroup", path)? else {
        return Ok(None);
    };
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(Problem::at(
            "read the options",
            &path,
            "shim_cgroup leads out by ..",
        ));
    }
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::Writer;
    use proptest::prelude::*;

    fn typed(type_url: &str, value: &[u8]) -> Vec<u8> {
        Writer::default().text(1, type_url).bytes(2, value).done()
    }

    fn params(id: &str, options: &[u8], dir: &str) -> Vec<u8> {
        let extension = Writer::default().bytes(1, options).done();
        Writer::default()
            .text(1, id)
            .text(2, "k8s.io")
            // LogLevel DEBUG is -4, a varint of ten bytes.
            .number(3, -4i64 as u64)
            .text(4, "2.3.4")
            .text(5, "/run/containerd/containerd.sock.ttrpc")
            .bytes(8, &extension)
            .text(9, dir)
            .done()
    }

    #[test]
    fn no_options_are_fine() {
        assert_eq!(parse(&[], "c", "k8s.io"), Ok(Input::default()));
    }

    #[test]
    fn each_known_type_is_taken_with_and_without_a_prefix() {
        for name in OPTION_TYPES {
            assert_eq!(
                parse(&typed(name, b"x"), "c", "k8s.io"),
                Ok(Input::default())
            );
            assert_eq!(
                parse(
                    &typed(&format!("type.googleapis.com/{name}"), b"x"),
                    "c",
                    "k8s.io"
                ),
                Ok(Input::default())
            );
        }
    }

    #[test]
    fn an_unknown_type_is_refused_unless_it_is_empty() {
        assert_eq!(
            parse(&typed("foo.Options", b""), "c", "k8s.io"),
            Ok(Input::default())
        );
        let said = parse(&typed("foo.Options", b"x"), "c", "k8s.io")
            .expect_err("refused")
            .to_string();
        assert!(
            said.starts_with("read the options: foo.Options: unknown type"),
            "{said}"
        );
        assert!(parse(&params("c", &typed("foo.Options", b"x"), ""), "c", "k8s.io").is_err());
    }

    #[test]
    fn bootstrap_params_say_where_sockets_go() {
        let options = typed("runtimeoptions.v1.Options", b"x");
        let input = parse(&params("c", &options, "/run/x/s"), "c", "k8s.io").expect("valid");
        assert_eq!(input.socket_dir, Some("/run/x/s".into()));
        assert_eq!(
            input.events_address,
            Some("/run/containerd/containerd.sock.ttrpc".into())
        );
        let input = parse(&params("c", &options, ""), "c", "k8s.io").expect("valid");
        assert_eq!(input.socket_dir, None);
        assert!(parse(&params("c", &options, "run/x"), "c", "k8s.io").is_err());
    }

    #[test]
    fn the_shims_cgroup_is_found_in_either_kind_of_options() {
        for (name, number) in SHIM_CGROUP {
            let options = Writer::default().text(number, "/x/shim").done();
            let found = parse(&typed(name, &options), "c", "k8s.io").expect("valid");
            assert_eq!(found.shim_cgroup, Some("/x/shim".into()));
            for wrong in ["x/shim", "/x/../../shim"] {
                let options = Writer::default().text(number, wrong).done();
                let said = parse(&typed(name, &options), "c", "k8s.io").expect_err(wrong);
                assert!(said.to_string().contains("shim_cgroup"), "{said}");
            }
        }
    }

    #[test]
    fn another_containers_params_are_no_options() {
        assert!(parse(&params("other", &[], "/run/x/s"), "c", "k8s.io").is_err());
    }

    proptest! {
        #[test]
        fn any_input_gets_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, "c", "k8s.io");
        }

        #[test]
        fn damaged_params_get_an_answer(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = params("c", &typed("runtimeoptions.v1.Options", b"x"), "/run/x/s");
            let index = at.index(bytes.len());
            bytes[index] = byte;
            let _ = parse(&bytes, "c", "k8s.io");
        }
    }
}
