//! Without a user namespace of its own, a container's root may write what the host's root may, and a process of the container
//! that comes from a fork of the keeper shows the way to Brig's program by its /proc/<pid>/exe. So before it carries out such a
//! plan, a stage executes its own program once more, from a read-only mount of it that is attached nowhere: no process of
//! the container ever has another one behind it. With a user namespace the program's owner is unmapped, which is enough.
//!
//! The stage takes along all that it holds: descriptors by number, the rest in a file in memory.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, Mode, OFlags, SeekFrom};
use rustix::io::FdFlags;
use sys::exec::Image;
use sys::mounts::MountChange;
use wire::Message;
use wire::keeper::StageExecute;
use wire::keeper::source::Kind as SourceKind;
use wire::plan::namespace::Kind;
use wire::plan::{LaunchPlan, launch_plan};

use crate::errors::{At, Result, StageError, Step};
use crate::placeholder::Placeholder;
use crate::sources::{Handles, clone_at};
use crate::template::{MountOrder, Template};
use crate::{Class, Stage};

/// The name under which the program goes on as a stage; its one argument is the number of the file with the rest.
pub const NAME: &str = "brig-stage";

/// Whether the plan's process shares the host's user namespace.
pub fn is_needed(plan: &LaunchPlan) -> bool {
    match &plan.kind {
        Some(launch_plan::Kind::Create(create)) => !create
            .namespaces
            .iter()
            .any(|namespace| namespace.kind == i32::from(Kind::User)),
        Some(launch_plan::Kind::Exec(exec)) => !exec.join.contains(&i32::from(Kind::User)),
        None => false,
    }
}

/// What goes over from the one to the other.
pub struct Baggage {
    pub control: OwnedFd,
    pub class: Class,
    pub template: Template,
    pub handles: Handles,
    pub placeholder: Option<Placeholder>,
    pub execute: StageExecute,
    pub descriptors: Vec<OwnedFd>,
}

/// Executes the program anew; returns only on failure.
pub fn restart(
    control: &OwnedFd,
    class: &Class,
    stage: &Stage,
    execute: &StageExecute,
    descriptors: &[OwnedFd],
) -> StageError {
    let object = "Brig's own program, read-only";
    let attempt = || -> Result<std::convert::Infallible> {
        let program = read_only_program(stage).at(Step::StartChild, object)?;
        let mut bag = Writer::default();
        bag.descriptor(control)?;
        bag.bytes(class.name.as_bytes());
        bag.bytes(class.floor_dir.as_os_str().as_bytes());
        bag.descriptor(&stage.template.mount_namespace)?;
        bag.descriptor(&stage.template.probe_user_namespace)?;
        bag.number(u32::from(stage.template.order == MountOrder::Attached));
        bag.number(
            stage
                .placeholder
                .map_or(0, |placeholder| placeholder.pid() as u32),
        );
        bag.bytes(&execute.encode_to_vec());
        bag.number(descriptors.len() as u32);
        for descriptor in descriptors {
            bag.descriptor(descriptor)?;
        }
        let handles: Vec<_> = stage.handles.all().collect();
        bag.number(handles.len() as u32);
        for (handle, opened) in handles {
            bag.number(handle);
            bag.number(i32::from(opened.kind) as u32);
            bag.bytes(opened.path.as_bytes());
            bag.descriptor(&opened.descriptor)?;
        }
        let file = bag.into_file().at(Step::StartChild, object)?;
        let text = |text: &str| CString::new(text).unwrap_or_default();
        let image = Image::new(
            text(""),
            vec![text(NAME), text(&file.as_raw_fd().to_string())],
            Vec::new(),
        );
        Err(image.execute_descriptor(program.as_fd())).at(Step::StartChild, object)
    };
    match attempt() {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn read_only_program(stage: &Stage) -> rustix::io::Result<OwnedFd> {
    let own = stage
        .procfs
        .open("self", OFlags::PATH | OFlags::DIRECTORY)?;
    // A magic link, followed by intention: to the program that runs.
    let program = rustix::fs::openat(&own, "exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let clone = clone_at(&program, false)?;
    let change = MountChange {
        set: libc::MOUNT_ATTR_RDONLY,
        propagation: libc::MS_PRIVATE,
        ..MountChange::default()
    };
    sys::mounts::change(&clone, change, false).map_err(|error| crate::sources::raw(&error))?;
    Ok(clone)
}

/// The other side: reads what `restart` has written. None for anything else.
pub fn arrive(argument: &str) -> Option<Baggage> {
    let number: RawFd = argument.parse().ok().filter(|number| *number > 2)?;
    let mut bag = Reader::open(number)?;
    let control = bag.descriptor()?;
    let class = Class {
        name: String::from_utf8(bag.bytes()?).ok()?,
        floor_dir: PathBuf::from(std::ffi::OsString::from_vec(bag.bytes()?)),
    };
    let (mount_namespace, probe_user_namespace) = (bag.descriptor()?, bag.descriptor()?);
    let order = if bag.number()? == 1 {
        MountOrder::Attached
    } else {
        MountOrder::Detached
    };
    let placeholder = Placeholder::of_pid(i32::try_from(bag.number()?).ok()?);
    let execute = StageExecute::decode(bag.bytes()?.as_slice()).ok()?;
    let descriptors = (0..bag.number()?)
        .map(|_| bag.descriptor())
        .collect::<Option<_>>()?;
    let mut handles = Handles::default();
    for _ in 0..bag.number()? {
        let handle = bag.number()?;
        let kind = SourceKind::try_from(bag.number()? as i32).ok()?;
        let path = String::from_utf8(bag.bytes()?).ok()?;
        handles.put(handle, kind, path, bag.descriptor()?)?;
    }
    let template = Template {
        mount_namespace,
        probe_user_namespace,
        order,
    };
    Some(Baggage {
        control,
        class,
        template,
        handles,
        placeholder,
        execute,
        descriptors,
    })
}

/// Numbers as four bytes, strings with their length before them.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_ne_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u32);
        self.0.extend_from_slice(bytes);
    }

    /// By its number; it stays open over execve.
    fn descriptor(&mut self, descriptor: &OwnedFd) -> Result<()> {
        rustix::io::fcntl_setfd(descriptor, FdFlags::empty()).at(Step::StartChild, "descriptor")?;
        self.number(descriptor.as_raw_fd() as u32);
        Ok(())
    }

    fn into_file(self) -> rustix::io::Result<OwnedFd> {
        let file = rustix::fs::memfd_create("stage", MemfdFlags::empty())?;
        let mut rest = self.0.as_slice();
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(&file, rest)?..];
        }
        rustix::fs::seek(&file, SeekFrom::Start(0))?;
        Ok(file)
    }
}

struct Reader {
    content: Vec<u8>,
    at: usize,
}

impl Reader {
    fn open(number: RawFd) -> Option<Reader> {
        let file = sys::process::adopt_descriptor(number)?;
        let mut content = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match rustix::io::read(&file, &mut buffer).ok()? {
                0 => return Some(Reader { content, at: 0 }),
                length => content.extend_from_slice(&buffer[..length]),
            }
        }
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.content.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_ne_bytes)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.number()? as usize;
        self.take(length).map(<[u8]>::to_vec)
    }

    fn descriptor(&mut self) -> Option<OwnedFd> {
        sys::process::adopt_descriptor(i32::try_from(self.number()?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut bag = Writer::default();
        bag.number(7);
        bag.bytes(b"text");
        let file = bag.into_file().unwrap();
        let number = rustix::io::dup(&file).unwrap();
        let mut bag = Reader::open(std::os::fd::IntoRawFd::into_raw_fd(number)).unwrap();
        assert_eq!(bag.number(), Some(7));
        assert_eq!(bag.bytes().as_deref(), Some(&b"text"[..]));
        assert_eq!(bag.number(), None);
    }

    #[test]
    fn an_argument_that_is_no_file_is_refused() {
        for argument in ["", "x", "-1", "0", "1", "2", "99999"] {
            assert!(arrive(argument).is_none(), "{argument}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read_to_an_end(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let mut bag = Reader { content: bytes, at: 0 };
            while bag.bytes().is_some() {}
        }
    }
}
