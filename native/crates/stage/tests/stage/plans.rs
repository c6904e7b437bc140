//! Plans made by hand: a standard container, to be changed by each test.

use wire::keeper::Source;
use wire::keeper::source::Kind as SourceKind;
use wire::plan::device::Type;
use wire::plan::namespace::Kind;
use wire::plan::{
    Bind, Capabilities, CgroupView, CreatePlan, Device, ExecPlan, Fresh, IdMap, Mount, Namespace,
    Overlay, Process, Root, SeccompFilter, Symlink, launch_plan, mount, root,
};

use brig_stage::MountOrder;
use wire::keeper::Failure;

use crate::cgroups;
use crate::keeper::{Running, StageProcess, fails, source};
use crate::world::{World, text};

/// First host id of the containers' range, and its size.
pub const HOST_ID: u32 = 200_000;
pub const IDS: u32 = 65_536;

/// MOUNT_ATTR_* of <linux/mount.h>.
pub const RDONLY: u64 = 1;
pub const NOSUID: u64 = 2;
pub const NODEV: u64 = 4;
pub const NOEXEC: u64 = 8;

/// What containerd gives by default.
pub const CAPABILITIES: u64 = 0xa804_25fb;
pub const ALL_CAPABILITIES: u64 = 0x1ff_ffff_ffff;

/// A container with its sources.
pub struct Spec {
    pub plan: CreatePlan,
    pub sources: Vec<Source>,
    pub order: Option<MountOrder>,
}

/// An overlay of the image and the probe, all namespaces but the network's, standard mounts, running `args`.
pub fn container(world: &World, args: &[&str]) -> Spec {
    let sources = vec![
        source(1, text(&world.image()), SourceKind::Bind),
        source(2, text(&world.probe_layer()), SourceKind::Bind),
        source(3, text(&world.path("upper")), SourceKind::Bind),
    ];
    let maps = vec![IdMap {
        container_id: 0,
        host_id: HOST_ID,
        size: IDS,
    }];
    let plan = CreatePlan {
        namespaces: [
            Kind::Mount,
            Kind::Pid,
            Kind::Ipc,
            Kind::Uts,
            Kind::Cgroup,
            Kind::User,
            Kind::Network,
        ]
        .into_iter()
        .map(|kind| Namespace {
            kind: kind.into(),
            join_handle: 0,
        })
        .collect(),
        uid_maps: maps.clone(),
        gid_maps: maps,
        cgroups: Some(cgroups::plan()),
        root: Some(Root {
            source: Some(root::Source::Overlay(Overlay {
                lower: vec![2, 1],
                upper_parent: 3,
                upper_name: "fs".into(),
                work_name: "work".into(),
                options: vec!["index=off".into()],
                ..Overlay::default()
            })),
            idmap: world.idmaps(),
            ..Root::default()
        }),
        mounts: standard_mounts(),
        devices: [
            ("null", 3),
            ("zero", 5),
            ("full", 7),
            ("random", 8),
            ("urandom", 9),
        ]
        .into_iter()
        .map(|(name, minor)| device(&format!("/dev/{name}"), 1, minor))
        .chain([device("/dev/tty", 5, 0)])
        .collect(),
        symlinks: [
            ("/dev/fd", "/proc/self/fd"),
            ("/dev/ptmx", "pts/ptmx"),
            ("/dev/stdout", "/proc/self/fd/1"),
        ]
        .into_iter()
        .map(|(path, target)| Symlink {
            path: path.into(),
            target: target.into(),
        })
        .collect(),
        masked_paths: [
            "/proc/kcore",
            "/proc/keys",
            "/proc/timer_list",
            "/sys/firmware",
            "/proc/acpi",
            "/proc/scsi",
        ]
        .map(str::to_owned)
        .into(),
        readonly_paths: [
            "/proc/bus",
            "/proc/fs",
            "/proc/irq",
            "/proc/sys",
            "/proc/sysrq-trigger",
        ]
        .map(str::to_owned)
        .into(),
        hostname: "inside".into(),
        process: Some(process(args)),
        ..CreatePlan::default()
    };
    Spec {
        plan,
        sources,
        order: None,
    }
}

pub fn process(args: &[&str]) -> Process {
    Process {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: vec!["PATH=/bin".into()],
        cwd: "/".into(),
        capabilities: Some(capabilities(CAPABILITIES)),
        no_new_privileges: true,
        seccomp: vec![allow_all()],
        ..Process::default()
    }
}

pub fn capabilities(set: u64) -> Capabilities {
    Capabilities {
        bounding: set,
        effective: set,
        permitted: set,
        inheritable: 0,
        ambient: 0,
    }
}

fn standard_mounts() -> Vec<Mount> {
    vec![
        fresh("/proc", "proc", NOSUID | NODEV | NOEXEC, &[]),
        fresh("/dev", "tmpfs", NOSUID, &["mode=755", "size=65536k"]),
        fresh(
            "/dev/pts",
            "devpts",
            NOSUID | NOEXEC,
            &[
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                &format!("gid={}", HOST_ID + 5),
            ],
        ),
        fresh(
            "/dev/shm",
            "tmpfs",
            NOSUID | NODEV | NOEXEC,
            &["mode=1777", "size=65536k"],
        ),
        fresh("/dev/mqueue", "mqueue", NOSUID | NODEV | NOEXEC, &[]),
        fresh("/sys", "sysfs", NOSUID | NODEV | NOEXEC | RDONLY, &[]),
        Mount {
            destination: "/sys/fs/cgroup".into(),
            source: Some(mount::Source::CgroupView(CgroupView { read_only: true })),
            attr_set: NOSUID | NODEV | NOEXEC | RDONLY,
            spec_index: -1,
            ..Mount::default()
        },
    ]
}

pub fn fresh(destination: &str, fs_type: &str, attr_set: u64, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        source: Some(mount::Source::Fresh(Fresh {
            fs_type: fs_type.into(),
            source_name: fs_type.into(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            ..Fresh::default()
        })),
        attr_set,
        spec_index: -1,
        ..Mount::default()
    }
}

pub fn bind(destination: &str, handle: u32, attr_set: u64) -> Mount {
    Mount {
        destination: destination.into(),
        source: Some(mount::Source::Bind(Bind {
            handle,
            recursive: true,
        })),
        attr_set,
        spec_index: 0,
        ..Mount::default()
    }
}

pub fn device(path: &str, major: u32, minor: u32) -> Device {
    Device {
        path: path.into(),
        r#type: Type::Char.into(),
        major,
        minor,
        mode: 0o666,
        ..Device::default()
    }
}

/// struct sock_filter[] of (code, jt, jf, k).
pub fn filter(instructions: &[(u16, u8, u8, u32)]) -> SeccompFilter {
    let mut program = Vec::new();
    for (code, jump_true, jump_false, k) in instructions {
        program.extend_from_slice(&code.to_ne_bytes());
        program.extend_from_slice(&[*jump_true, *jump_false]);
        program.extend_from_slice(&k.to_ne_bytes());
    }
    SeccompFilter {
        program,
        ..SeccompFilter::default()
    }
}

pub const ALLOW: u32 = 0x7fff_0000;
pub const ERRNO: u32 = 0x0005_0000;
pub const NOTIFY: u32 = 0x7fc0_0000;

pub fn allow_all() -> SeccompFilter {
    filter(&[(0x06, 0, 0, ALLOW)])
}

/// Answers `verdict` for one call, allows the others.
pub fn all_but(number: i64, verdict: u32) -> SeccompFilter {
    filter(&[
        (0x20, 0, 0, 0),
        (0x15, 0, 1, number as u32),
        (0x06, 0, 0, verdict),
        (0x06, 0, 0, ALLOW),
    ])
}

impl Spec {
    pub fn process(&mut self) -> &mut Process {
        self.plan.process.as_mut().unwrap()
    }

    /// Adds a source; answers its handle.
    pub fn add_source(&mut self, path: impl Into<String>, kind: SourceKind) -> u32 {
        let handle = 100 + self.sources.len() as u32;
        self.sources.push(source(handle, path, kind));
        handle
    }

    pub fn namespace(&mut self, kind: Kind) -> Option<&mut Namespace> {
        self.plan
            .namespaces
            .iter_mut()
            .find(|namespace| namespace.kind == i32::from(kind))
    }

    pub fn without_namespace(&mut self, kind: Kind) {
        self.plan
            .namespaces
            .retain(|namespace| namespace.kind != i32::from(kind));
    }

    pub fn without_user_namespace(&mut self) {
        self.without_namespace(Kind::User);
        self.plan.uid_maps.clear();
        self.plan.gid_maps.clear();
        self.plan.root.as_mut().unwrap().idmap = false;
        for mount in &mut self.plan.mounts {
            if let Some(mount::Source::Fresh(fresh)) = &mut mount.source
                && fresh.fs_type == "devpts"
            {
                fresh.options = vec![
                    "newinstance".into(),
                    "ptmxmode=0666".into(),
                    "mode=0620".into(),
                    "gid=5".into(),
                ];
            }
        }
    }

    pub fn create(self, world: &World) -> Result<Running, Failure> {
        let stage = StageProcess::fork(world.floor_dir(), self.order);
        let reports = stage.open(self.sources)?;
        for report in &reports {
            assert_eq!(report.errno, 0, "{report:?}");
        }
        stage.execute(launch_plan::Kind::Create(self.plan), None)
    }
}

/// Runs a process in a running container.
pub fn exec(world: &World, init: &Running, process: Process) -> Result<Running, Failure> {
    let mut cgroups = cgroups::plan();
    cgroups.dirs.iter_mut().for_each(|dir| dir.create = false);
    let plan = ExecPlan {
        join: [
            Kind::Mount,
            Kind::Pid,
            Kind::Ipc,
            Kind::Uts,
            Kind::Cgroup,
            Kind::User,
            Kind::Network,
        ]
        .map(i32::from)
        .into(),
        cgroups: Some(cgroups),
        process: Some(process),
        ..ExecPlan::default()
    };
    exec_plan(world, init, plan)
}

pub fn exec_plan(world: &World, init: &Running, plan: ExecPlan) -> Result<Running, Failure> {
    use std::os::fd::AsFd;
    let stage = StageProcess::fork(world.floor_dir(), None);
    stage.execute(launch_plan::Kind::Exec(plan), Some(init.pidfd.as_fd()))
}

/// The failure of a container that must not start.
pub fn refused(spec: Spec, world: &World) -> Failure {
    fails(spec.create(world))
}

/// A container of this world, changed. Of several that a test starts one after another, each finds its cgroups gone.
pub fn run(
    world: &World,
    change: impl FnOnce(&mut Spec),
    args: &[&str],
) -> Result<Running, Failure> {
    cgroups::remove();
    let mut spec = container(world, args);
    change(&mut spec);
    spec.create(world)
}

/// The same, with a script of the shell.
pub fn run_script(
    world: &World,
    change: impl FnOnce(&mut Spec),
    script: &str,
) -> Result<Running, Failure> {
    run(world, change, &["sh", "-c", script])
}

/// What a script says that has to end well.
pub fn output(world: &World, change: impl FnOnce(&mut Spec), script: &str) -> String {
    let outcome = run_script(world, change, script).unwrap().finish();
    assert_eq!(outcome.status, 0, "{}", outcome.output);
    outcome.output
}
