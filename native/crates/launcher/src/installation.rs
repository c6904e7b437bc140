//! Where things are: the prefix this program stands in, and the `[paths]` of the configuration file.
//!
//! The file is `BRIG_CONFIG`, else `etc/brig/brig.toml` beneath the prefix; a prefix of `/usr` or `/` stands for the
//! distribution's places (`/etc`, `/run`, `/var`). brigd reads the whole file; here only `[paths]` is looked at, strictly, and of
//! the classes which API they serve.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::problem::{Outcome, Problem};

/// The locations of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Directory above `bin`.
    pub prefix: PathBuf,
    /// The configuration file, if there is one.
    pub config: Option<PathBuf>,
    /// Sockets of brigd and state of the pods; mode 0700.
    pub run: PathBuf,
    /// Sockets that containerd connects to, one per pod.
    pub sockets: PathBuf,
    /// The floor files.
    pub floor: PathBuf,
    /// Classes that containerd calls over gRPC.
    pub grpc_classes: BTreeSet<String>,
}

/// Variable that names another configuration file.
pub const CONFIG_VARIABLE: &str = "BRIG_CONFIG";

/// Keys of `[paths]`; `var` is brigd's alone.
const KEYS: [&str; 4] = ["run", "var", "sockets", "floor"];

/// Longest configuration file read.
const LONGEST_FILE: u64 = 1 << 20;

/// Where containerd's own shims put their sockets.
const CONTAINERD_SOCKETS: &str = "/run/containerd/s";

impl Installation {
    /// The installation of the running program; found once, so that it holds when the file behind it is replaced.
    ///
    /// # Errors
    /// The configuration file can't be read or understood.
    pub fn current() -> Outcome<&'static Self> {
        static CURRENT: OnceLock<Installation> = OnceLock::new();
        if let Some(current) = CURRENT.get() {
            return Ok(current);
        }
        let program = installed(own_program()?, std::env::var_os("PATH"));
        let found = Self::find(&program, std::env::var_os(CONFIG_VARIABLE))?;
        Ok(CURRENT.get_or_init(|| found))
    }

    /// The installation that `program` belongs to.
    fn find(program: &Path, config: Option<OsString>) -> Outcome<Self> {
        let prefix = program
            .parent()
            .and_then(Path::parent)
            .unwrap_or(Path::new("/"));
        let chosen = config.filter(|file| !file.is_empty()).map(PathBuf::from);
        let file = chosen
            .clone()
            .unwrap_or_else(|| root_of(prefix).join("etc/brig/brig.toml"));
        if !file.is_absolute() {
            return Err(
                Problem::at("find the configuration", &file, "is no absolute path")
                    .remedy(format!("set {CONFIG_VARIABLE} to an absolute path")),
            );
        }
        match read(&file) {
            Ok(text) => Self::parse(prefix, &file, &text),
            Err(error) if error.kind() == ErrorKind::NotFound && chosen.is_none() => {
                Ok(Self::by_default(prefix))
            }
            Err(error) => Err(
                Problem::at("read the configuration", &file, error).remedy(format!(
                    "make it readable for root, or unset {CONFIG_VARIABLE}"
                )),
            ),
        }
    }

    fn by_default(prefix: &Path) -> Self {
        let root = root_of(prefix);
        Self {
            prefix: prefix.to_owned(),
            config: None,
            run: root.join("run/brig"),
            sockets: PathBuf::from(CONTAINERD_SOCKETS),
            floor: root.join("etc/brig/floor"),
            grpc_classes: BTreeSet::new(),
        }
    }

    pub fn parse(prefix: &Path, file: &Path, text: &str) -> Outcome<Self> {
        let mut installation = Self::by_default(prefix);
        installation.config = Some(file.to_owned());
        let fault = |at: usize, cause: String, remedy: &str| {
            let (line, column) = position(text, at);
            Problem::new(
                "read the configuration",
                format!("{}:{line}:{column}", file.display()),
                cause,
            )
            .remedy(remedy)
        };
        let table = toml::de::DeTable::parse(text).map_err(|error| {
            fault(
                error.span().map_or(0, |span| span.start),
                error.message().to_owned(),
                "correct the syntax (TOML 1.0)",
            )
        })?;
        installation.grpc_classes = grpc_classes(table.get_ref(), &fault)?;
        let Some(paths) = table.get_ref().get("paths") else {
            return Ok(installation);
        };
        let Some(keys) = paths.get_ref().as_table() else {
            return Err(fault(
                paths.span().start,
                "paths is no table".to_owned(),
                "write [paths]",
            ));
        };
        for (key, value) in keys {
            let name = key.get_ref().as_ref();
            if !KEYS.contains(&name) {
                return Err(fault(
                    key.span().start,
                    format!("unknown key {name:?} in [paths]"),
                    "known are run, var, sockets, floor",
                ));
            }
            let Some(path) = value
                .get_ref()
                .as_str()
                .filter(|path| path.starts_with('/') && !path.contains('\0'))
            else {
                return Err(fault(
                    value.span().start,
                    format!("{name} is no absolute path"),
                    "write a string that begins with /",
                ));
            };
            match name {
                "run" => installation.run = path.into(),
                "sockets" => installation.sockets = path.into(),
                "floor" => installation.floor = path.into(),
                _ => {}
            }
        }
        Ok(installation)
    }

    /// Where `etc`, `run` and `var` stand unless the configuration says otherwise.
    pub fn root(&self) -> &Path {
        root_of(&self.prefix)
    }

    /// What belongs to the program: the Java image, jars, options.
    pub fn lib(&self) -> PathBuf {
        self.prefix.join("lib/brig")
    }
}

/// Classes with `api = "grpc"`. Whatever else is wrong with a class is brigd's to tell; that calls may be lost must be accepted
/// before the first is made.
fn grpc_classes(
    table: &toml::de::DeTable<'_>,
    fault: &dyn Fn(usize, String, &str) -> Problem,
) -> Outcome<BTreeSet<String>> {
    let mut grpc = BTreeSet::new();
    let classes = table
        .get("class")
        .and_then(|classes| classes.get_ref().as_table());
    for (name, class) in classes.into_iter().flatten() {
        let Some(keys) = class.get_ref().as_table() else {
            continue;
        };
        let Some(api) = keys.get("api") else {
            continue;
        };
        if api.get_ref().as_str() != Some("grpc") {
            continue;
        }
        let accepted = keys
            .get("grpc_accept_loss")
            .is_some_and(|accepted| accepted.get_ref().as_bool() == Some(true));
        if !accepted {
            return Err(fault(
                api.span().start,
                "\"grpc\" loses calls when the daemon ends, since HTTP/2 connections end with it"
                    .to_owned(),
                "set grpc_accept_loss = true, or use \"ttrpc\"",
            ));
        }
        grpc.insert(name.get_ref().clone().into_owned());
    }
    Ok(grpc)
}

/// The prefix as seen by configuration and state: `/usr` and `/` are the system itself.
fn root_of(prefix: &Path) -> &Path {
    if prefix == Path::new("/usr") {
        Path::new("/")
    } else {
        prefix
    }
}

fn own_program() -> Outcome<PathBuf> {
    let link = fs::read_link("/proc/self/exe").map_err(|error| {
        Problem::new("find the installation", "/proc/self/exe", error).remedy("mount /proc")
    })?;
    // The kernel marks a file that has been replaced since; its directory is still the right one.
    let bytes = link.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    Ok(PathBuf::from(OsString::from_vec(bytes.to_vec())))
}

/// A program that was copied away from its installation (containerd may be told to run any path) belongs to the one whose brigd
/// the search path leads to.
fn installed(program: PathBuf, search_path: Option<OsString>) -> PathBuf {
    let stands = |program: &Path| {
        let prefix = program.parent().and_then(Path::parent);
        prefix.is_some_and(|prefix| prefix.join("lib/brig").is_dir())
    };
    if stands(&program) {
        return program;
    }
    let search_path = search_path.unwrap_or_default();
    let mut found = std::env::split_paths(&search_path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("brigd"))
        .filter(|candidate| candidate.exists() && stands(candidate));
    found.next().unwrap_or(program)
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs::File::open(file)?
        .take(LONGEST_FILE + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(std::io::Error::new(
            ErrorKind::FileTooLarge,
            "longer than 1 MiB",
        ));
    }
    Ok(text)
}

/// Line and column, from 1, of a byte in a text.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Outcome<Installation> {
        Installation::parse(Path::new("/opt/brig"), Path::new("/c.toml"), text)
    }

    #[test]
    fn a_prefix_keeps_everything_beneath_it_but_the_sockets() {
        let found = Installation::find(Path::new("/opt/brig/bin/brig"), None).expect("defaults");
        assert_eq!(found.run, Path::new("/opt/brig/run/brig"));
        assert_eq!(found.floor, Path::new("/opt/brig/etc/brig/floor"));
        assert_eq!(found.sockets, Path::new(CONTAINERD_SOCKETS));
        assert_eq!(found.lib(), Path::new("/opt/brig/lib/brig"));
    }

    #[test]
    fn a_system_installation_uses_the_distributions_places() {
        let found = Installation::by_default(Path::new("/usr"));
        assert_eq!(
            (found.run.as_path(), found.floor.as_path()),
            (Path::new("/run/brig"), Path::new("/etc/brig/floor"))
        );
        assert_eq!(found.lib(), Path::new("/usr/lib/brig"));
    }

    #[test]
    fn paths_are_read_and_other_tables_are_not() {
        let text = "[namespace]\nids_per_pod = 65536\nx = [{a = 1}, '''\nb''']\n[paths]\nrun = \"/r\" # here\nvar = '/v'\nsockets = \"/s\"\nfloor=\"/f\"\n";
        let found = parse(text).expect("valid");
        assert_eq!(
            (
                found.run.as_path(),
                found.sockets.as_path(),
                found.floor.as_path()
            ),
            (Path::new("/r"), Path::new("/s"), Path::new("/f"))
        );
        assert_eq!(found.config.as_deref(), Some(Path::new("/c.toml")));
    }

    #[test]
    fn faults_are_told_with_line_column_and_remedy() {
        let said = |text: &str| parse(text).expect_err(text).to_string();
        assert_eq!(
            said("[paths]\nrun = \"/r\"\n  rum = \"/x\"\n"),
            "read the configuration: /c.toml:3:3: unknown key \"rum\" in [paths] (known are run, var, sockets, floor)"
        );
        assert_eq!(
            said("[paths]\nrun = \"r\"\n"),
            "read the configuration: /c.toml:2:7: run is no absolute path (write a string that begins with /)"
        );
        assert!(said("[paths]\nrun = 3\n").contains("/c.toml:2:7: run is no absolute path"));
        assert!(
            said("[paths\n").contains("/c.toml:1:"),
            "{}",
            said("[paths\n")
        );
        assert!(said("paths = 1\n").contains("/c.toml:1:9: paths is no table"));
    }

    #[test]
    fn a_copied_program_belongs_to_the_installation_on_the_search_path() {
        let dir = std::env::temp_dir().join(format!("brig-installed-{}", std::process::id()));
        let (here, there) = (dir.join("here/bin"), dir.join("there/bin"));
        for made in [&here, &there, &dir.join("there/lib/brig")] {
            fs::create_dir_all(made).expect("directory");
        }
        fs::write(there.join("brigd"), "").expect("file");
        let search = std::env::join_paths([&here, &there]).expect("path");
        let copied = here.join("containerd-shim-brig-v2");
        let installed_one = there.join("containerd-shim-brig-v2");
        assert_eq!(
            installed(copied.clone(), Some(search.clone())),
            there.join("brigd")
        );
        assert_eq!(
            installed(installed_one.clone(), Some(search)),
            installed_one
        );
        assert_eq!(installed(copied.clone(), None), copied);
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn classes_that_speak_grpc_are_known_and_must_accept_what_it_costs() {
        let found = parse(
            "[class.a]\napi = \"grpc\"\ngrpc_accept_loss = true\n[class.b]\napi = \"ttrpc\"\n[class.c]\n",
        )
        .expect("valid");
        assert_eq!(
            found.grpc_classes.iter().collect::<Vec<_>>(),
            [&"a".to_owned()]
        );
        for text in ["", "grpc_accept_loss = false\n"] {
            let said = parse(&format!("[class.a]\n{text}api = \"grpc\"\n"))
                .expect_err(text)
                .to_string();
            assert!(said.contains("grpc_accept_loss = true"), "{said}");
            assert!(said.contains("HTTP/2"), "{said}");
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let found = Installation::find(
            Path::new("/opt/brig/bin/brig"),
            Some("/nonexistent/brig.toml".into()),
        );
        assert!(
            found
                .expect_err("missing")
                .to_string()
                .contains("/nonexistent/brig.toml")
        );
        let found = Installation::find(Path::new("/opt/brig/bin/brig"), Some("brig.toml".into()));
        assert!(
            found
                .expect_err("relative")
                .to_string()
                .contains("is no absolute path")
        );
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "(\\[paths\\]\n|run|var|=|\"|'|/x|\\[|\\]|\n|\\{|,|#|é| ){0,30}") {
            let _ = parse(&text);
        }
    }
}
