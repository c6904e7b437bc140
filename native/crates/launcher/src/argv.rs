//! The command line containerd calls a shim with: long options with one dash, the value in the next argument, the
//! subcommand last. Options nobody here knows are passed over, since newer daemons may bring some.

use crate::problem::{Outcome, Problem};

/// What a shim was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// `start`: see to it that a keeper serves, print its address.
    Start(Call),
    /// `delete`: clean up after one container, whoever is still alive.
    Delete(Call),
    /// `-info`: say what the runtime offers.
    Info,
    /// `-v`: say which version this is.
    Version,
}

/// What containerd says about itself and the container.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub namespace: String,
    pub address: String,
    pub publish_binary: String,
    pub id: String,
    pub bundle: String,
    pub debug: bool,
}

/// Longest id and namespace taken: both end up as one component of a file's name (NAME_MAX).
const LONGEST_NAME: usize = 255;

/// Reads the arguments after the program's name.
///
/// # Errors
/// No subcommand, an unknown one, an option without its value, or an id or namespace that can't be a file's name.
pub fn parse(args: &[String]) -> Outcome<Request> {
    let mut call = Call::default();
    let mut command = None;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let Some(option) = arg.strip_prefix('-') else {
            command = Some(arg.as_str());
            continue;
        };
        let option = option.strip_prefix('-').unwrap_or(option);
        let (name, inline) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (option, None),
        };
        let field = match name {
            "namespace" => &mut call.namespace,
            "address" => &mut call.address,
            "publish-binary" => &mut call.publish_binary,
            "id" => &mut call.id,
            "bundle" => &mut call.bundle,
            "debug" => {
                call.debug = inline.is_none_or(|value| value == "true");
                continue;
            }
            "info" => return Ok(Request::Info),
            "v" | "version" => return Ok(Request::Version),
            _ => continue,
        };
        *field = match inline {
            Some(value) => value,
            None => args
                .next()
                .ok_or_else(|| Problem::new("read the command line", arg, "its value is missing"))?
                .clone(),
        };
    }
    let Some(command) = command else {
        return Err(
            Problem::new("read the command line", "subcommand", "there is none").remedy(
                "a shim is called by containerd with start or delete; -info and -v are for people",
            ),
        );
    };
    match command {
        "start" | "delete" => {}
        other => {
            return Err(
                Problem::new("read the command line", other, "no such subcommand")
                    .remedy("known are start and delete"),
            );
        }
    }
    check_name("-id", &call.id)?;
    check_name("-namespace", &call.namespace)?;
    if command == "start" {
        Ok(Request::Start(call))
    } else {
        Ok(Request::Delete(call))
    }
}

fn check_name(option: &'static str, name: &str) -> Outcome<()> {
    let cause = if name.is_empty() {
        "is empty"
    } else if name == "." || name == ".." || name.contains(['/', '\0']) {
        "can't be the name of a file"
    } else if name.len() > LONGEST_NAME {
        "is longer than 255 bytes"
    } else {
        return Ok(());
    };
    Err(Problem::new(
        "read the command line",
        option,
        format!("{name:?} {cause}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn reads_what_containerd_writes() {
        let line = "-namespace k8s.io -address /run/containerd/containerd.sock -publish-binary /usr/bin/containerd -id c1 -debug start";
        assert_eq!(
            parse(&words(line)),
            Ok(Request::Start(Call {
                namespace: "k8s.io".into(),
                address: "/run/containerd/containerd.sock".into(),
                publish_binary: "/usr/bin/containerd".into(),
                id: "c1".into(),
                bundle: String::new(),
                debug: true,
            }))
        );
        let line = "-namespace default -address /a -publish-binary /b -id c1 -bundle /x/c1 delete";
        match parse(&words(line)) {
            Ok(Request::Delete(call)) => {
                assert_eq!((call.bundle.as_str(), call.debug), ("/x/c1", false))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn passes_over_options_of_a_later_daemon() {
        let line = "-namespace d -id c1 -new-thing=5 -switch start";
        assert!(matches!(parse(&words(line)), Ok(Request::Start(_))));
    }

    #[test]
    fn people_may_ask_for_version_and_features() {
        assert_eq!(parse(&words("-v")), Ok(Request::Version));
        assert_eq!(parse(&words("-info")), Ok(Request::Info));
        assert_eq!(parse(&words("--info")), Ok(Request::Info));
    }

    #[test]
    fn refuses_ids_that_would_leave_a_directory() {
        for id in ["", ".", "..", "a/b", "../x", &"x".repeat(256)] {
            let args = ["-namespace", "d", "-id", id, "start"].map(str::to_owned);
            let problem = parse(&args).expect_err(id).to_string();
            assert!(
                problem.starts_with("read the command line: -id: "),
                "{problem}"
            );
        }
    }

    #[test]
    fn names_what_is_wrong_with_a_command_line() {
        let said = |line| parse(&words(line)).expect_err(line).to_string();
        assert!(said("-namespace d -id").contains("-id: its value is missing"));
        assert!(said("-namespace d -id c stop").contains("stop: no such subcommand"));
        assert!(said("-namespace d -id c").contains("subcommand: there is none"));
    }

    proptest! {
        #[test]
        fn any_arguments_get_an_answer(args in prop::collection::vec("-{0,2}[a-z=/.]{0,12}", 0..12)) {
            let _ = parse(&args);
        }
    }
}
