//! Where a process's input comes from and its output goes: what containerd may say in a stdio field.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::io::Errno;
use wire::keeper::Failure;

use crate::problem::explained;

/// Longest field, and most arguments of a logger.
const LONGEST: usize = 16 << 10;
const MOST_ARGUMENTS: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Null,
    Fifo(PathBuf),
    File(PathBuf),
    /// A program that takes the output.
    Logger {
        program: PathBuf,
        args: Vec<OsString>,
        /// An end of file without a byte on the ready pipe is a failure (binary-v2).
        strict: bool,
    },
}

impl Target {
    /// # Errors
    /// A form that is not known, or a path that is not absolute.
    pub fn parse(field: &str, text: &str) -> Result<Target, Failure> {
        let refuse = |cause: &str| {
            let remedy = "fifo, file, binary and binary-v2 are possible";
            Err(explained(
                &format!("open {field}"),
                text,
                Errno::INVAL,
                cause,
                remedy,
            ))
        };
        if text.is_empty() {
            return Ok(Target::Null);
        }
        if text.len() > LONGEST || text.contains('\0') {
            return refuse("too long, or with a NUL in it");
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => {
                return absolute(PathBuf::from(text))
                    .map(Target::Fifo)
                    .map_or_else(|()| refuse("not absolute"), Ok);
            }
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let Ok(path) = absolute(PathBuf::from(decode(path, false))) else {
            return refuse("the path is not absolute");
        };
        match scheme {
            "fifo" => Ok(Target::Fifo(path)),
            "file" => Ok(Target::File(path)),
            "binary" | "binary-v2" => {
                let args = arguments(query);
                if args.len() > MOST_ARGUMENTS {
                    return refuse("too many arguments");
                }
                Ok(Target::Logger {
                    program: path,
                    args,
                    strict: scheme == "binary-v2",
                })
            }
            _ => refuse("this scheme is not supported"),
        }
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf, ()> {
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(())
    }
}

/// `k=v&…` as containerd makes a command line of it: k, v, …; the first value of a key that comes twice.
fn arguments(query: &str) -> Vec<OsString> {
    let mut seen: Vec<OsString> = Vec::new();
    let mut args = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decode(key, true);
        if !seen.contains(&key) {
            seen.push(key.clone());
            args.extend([key, decode(value, true)]);
        }
    }
    args
}

/// Percent-decoding (RFC 3986); a plus is a blank in a query. What is no valid escape stays as it is.
fn decode(text: &str, query: bool) -> OsString {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let escaped = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped =
            escaped.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match (
            first,
            escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()),
        ) {
            (b'%', Some(byte)) if byte != 0 => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', _) if query => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Option<Target> {
        Target::parse("stdout", text).ok()
    }

    #[test]
    fn every_form_that_containerd_uses_is_understood() {
        assert_eq!(parse(""), Some(Target::Null));
        assert_eq!(
            parse("/run/fifo/a"),
            Some(Target::Fifo("/run/fifo/a".into()))
        );
        assert_eq!(
            parse("fifo:///run/fifo/a"),
            Some(Target::Fifo("/run/fifo/a".into()))
        );
        assert_eq!(
            parse("file:///var/log/a%20b"),
            Some(Target::File("/var/log/a b".into()))
        );
        let logger = |args: &[&str], strict| {
            let args = args.iter().map(OsString::from).collect();
            Some(Target::Logger {
                program: "/bin/logger".into(),
                args,
                strict,
            })
        };
        assert_eq!(parse("binary:///bin/logger"), logger(&[], false));
        assert_eq!(
            parse("binary-v2:///bin/logger?a=1"),
            logger(&["a", "1"], true)
        );
        assert_eq!(
            parse("binary:///bin/logger?id=x+y&--flag&id=z&p=%2Fa"),
            logger(&["id", "x y", "--flag", "", "p", "/a"], false)
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_with_a_remedy() {
        for text in [
            "relative",
            "fifo://host/path",
            "ttrpc+unix:///s?streaming_id=x",
            "binary://",
        ] {
            let failure = Target::parse("stdout", text).unwrap_err();
            assert_eq!(
                (failure.step.as_str(), failure.object.as_str()),
                ("open stdout", text)
            );
            assert!(!failure.remedy.is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail_otherwise_than_by_refusal(text in ".{0,300}") {
            let _ = parse(&text);
            let _ = parse(&format!("binary:///{text}"));
        }
    }
}
