//! Namespaces: new, joined, shared with the host; what may be set in them.

use std::fs;
use std::os::fd::OwnedFd;

use sys::clone::{ForkFlags, Forked};
use wire::keeper::Failure;
use wire::keeper::source::Kind as SourceKind;
use wire::plan::namespace::Kind;
use wire::plan::{IdMap, Sysctl, TimeOffset};

use crate::Test;
use crate::cgroups;
use crate::exec::waiting;
use crate::keeper::Running;
use crate::plans::{CAPABILITIES, HOST_ID, IDS, Spec, container, exec, process};
use crate::world::World;

pub const TESTS: &[Test] = tests![
    a_network_namespace_of_the_host_is_joined,
    the_loopback_device_of_a_new_network_is_up_as_planned,
    an_app_container_joins_its_pods_namespaces,
    a_container_in_its_pods_user_namespace_has_a_pid_namespace_of_its_own,
    maps_that_are_not_those_of_the_joined_namespace_are_refused,
    a_container_without_a_user_namespace_works,
    namespaces_that_are_not_asked_for_are_the_hosts,
    a_time_namespace_has_the_offsets_of_the_plan,
    sysctls_are_written_in_the_containers_namespaces,
    a_sysctl_of_a_namespace_shared_with_the_host_is_refused,
    a_namespace_of_another_kind_is_refused,
    a_file_is_no_namespace,
    the_host_keeps_its_own_name,
];

/// A process that holds namespaces, until it is dropped.
struct Holder {
    pid: i32,
    pidfd: OwnedFd,
}

impl Holder {
    fn of(flags: ForkFlags) -> Holder {
        match unsafe { sys::clone::fork(flags, None) }.unwrap() {
            Forked::Child => {
                sys::credentials::die_with_parent().unwrap();
                loop {
                    unsafe { libc::pause() };
                }
            }
            Forked::Parent { pid, pidfd } => Holder { pid, pidfd },
        }
    }

    fn path(&self, name: &str) -> String {
        format!("/proc/{}/ns/{name}", self.pid)
    }

    fn link(&self, name: &str) -> String {
        fs::read_link(self.path(name))
            .unwrap()
            .into_os_string()
            .into_string()
            .unwrap()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
        crate::ended(&self.pidfd);
    }
}

fn join(spec: &mut Spec, kind: Kind, path: String) {
    let handle = spec.add_source(path, SourceKind::Namespace);
    spec.namespace(kind).unwrap().join_handle = handle;
}

fn refused(spec: Spec, world: &World) -> Failure {
    spec.create(world)
        .map(|running| running.kill())
        .expect_err("it started")
}

fn own(name: &str) -> String {
    fs::read_link(format!("/proc/self/ns/{name}"))
        .unwrap()
        .into_os_string()
        .into_string()
        .unwrap()
}

/// As CNI makes them: owned by the initial user namespace, joined by a container with a user namespace of its own.
fn a_network_namespace_of_the_host_is_joined() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let network = Holder::of(ForkFlags::NEW_NETWORK);
    let mut spec = container(
        &world,
        &[
            "sh",
            "-c",
            "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ls /sys/class/net; stat -f -c %T /sys",
        ],
    );
    join(&mut spec, Kind::Network, network.path("net"));
    spec.plan.sysctls = vec![
        sysctl("net/ipv4/ip_unprivileged_port_start", "0", Kind::Network),
        sysctl("net/ipv4/ping_group_range", "0 2147483647", Kind::Network),
    ];
    let running = spec.create(&world).unwrap();
    assert_eq!(running.executed.namespaces["net"], network.link("net"));
    let output = running.finish().output;
    assert_eq!(output, "0\nlo\nsysfs\n");
    assert_eq!(
        fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap(),
        "1024\n",
        "the host's own"
    );
}

fn the_loopback_device_of_a_new_network_is_up_as_planned() {
    // IFF_LOOPBACK, and IFF_UP where it is asked for.
    for (up, flags) in [(true, "0x9\n"), (false, "0x8\n")] {
        let world = World::new();
        let _cleanup = cgroups::Cleanup;
        let mut spec = container(&world, &["cat", "/sys/class/net/lo/flags"]);
        spec.plan.loopback_up = up;
        assert_eq!(spec.create(&world).unwrap().finish().output, flags);
    }
}

fn sysctl(path: &str, value: &str, namespace: Kind) -> Sysctl {
    Sysctl {
        path: path.into(),
        value: value.into(),
        namespace: namespace.into(),
        ignore_missing: false,
    }
}

fn path_of(running: &Running, name: &str) -> String {
    format!("/proc/{}/ns/{name}", running.pid)
}

/// A pod: everything but mounts and cgroups is the pause container's.
fn an_app_container_joins_its_pods_namespaces() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let pause = waiting(&world);
    let mut spec = container(
        &World::new(),
        &[
            "sh",
            "-c",
            "id -u; ls /proc | grep -c '^[0-9]'; touch /dev/shm/x",
        ],
    );
    let shared = [
        (Kind::Pid, "pid"),
        (Kind::Ipc, "ipc"),
        (Kind::Uts, "uts"),
        (Kind::Network, "net"),
        (Kind::User, "user"),
    ];
    for (kind, name) in shared {
        join(&mut spec, kind, path_of(&pause, name));
    }
    spec.plan.hostname.clear();
    separate(&mut spec);
    let running = spec.create(&world).unwrap();
    for (_, name) in shared {
        assert_eq!(
            running.executed.namespaces[name], pause.executed.namespaces[name],
            "{name}"
        );
    }
    assert_ne!(
        running.executed.namespaces["mnt"],
        pause.executed.namespaces["mnt"]
    );
    assert_eq!(running.status("CapEff"), format!("{CAPABILITIES:016x}"));
    // pause, sh, ls, grep.
    let output = running.finish().output;
    assert!(
        output.starts_with("0\n4\n") || output.starts_with("0\n3\n"),
        "{output}"
    );
    pause.kill();
}

/// Cgroups beside those of the first container.
fn separate(spec: &mut Spec) {
    for dir in &mut spec.plan.cgroups.as_mut().unwrap().dirs {
        dir.reuse = true;
    }
}

fn a_container_in_its_pods_user_namespace_has_a_pid_namespace_of_its_own() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let pause = waiting(&world);
    let mut spec = container(
        &World::new(),
        &[
            "sh",
            "-c",
            "echo $$; cat /proc/1/comm; id -u; touch /owned; stat -c %u /owned",
        ],
    );
    for (kind, name) in [
        (Kind::Ipc, "ipc"),
        (Kind::Network, "net"),
        (Kind::User, "user"),
    ] {
        join(&mut spec, kind, path_of(&pause, name));
    }
    separate(&mut spec);
    let running = spec.create(&world).unwrap();
    assert_eq!(
        running.executed.namespaces["user"],
        pause.executed.namespaces["user"]
    );
    for name in ["pid", "uts", "mnt"] {
        assert_ne!(
            running.executed.namespaces[name], pause.executed.namespaces[name],
            "{name}"
        );
        assert_ne!(running.executed.namespaces[name], own(name), "{name}");
    }
    // New namespaces belong to the pod's user namespace: its root may use them.
    let init = running;
    let mut init = init;
    init.release().unwrap();
    drop(init.input.take());
    let lines: Vec<String> = (0..4).map(|_| init.read_line()).collect();
    assert_eq!(lines, ["1", "sh", "0", "0"]);
    crate::ended(&init.pidfd);
    pause.kill();
}

fn maps_that_are_not_those_of_the_joined_namespace_are_refused() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let pause = waiting(&world);
    let mut spec = container(&world, &["true"]);
    join(&mut spec, Kind::User, path_of(&pause, "user"));
    spec.plan.uid_maps = vec![IdMap {
        container_id: 0,
        host_id: HOST_ID + 1,
        size: IDS,
    }];
    let failure = refused(spec, &world);
    assert_eq!(failure.cause, "not those of the joined user namespace");
    pause.kill();
}

fn a_container_without_a_user_namespace_works() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(
        &world,
        &[
            "sh",
            "-c",
            "id -u; touch /made; cat /proc/self/uid_map; echo x > /dev/null && tty || true",
        ],
    );
    spec.without_user_namespace();
    let running = spec.create(&world).unwrap();
    assert_eq!(running.executed.namespaces["user"], own("user"));
    assert_eq!(running.status("CapBnd"), format!("{CAPABILITIES:016x}"));
    let output = running.finish().output;
    assert!(
        output.starts_with("0\n         0          0 4294967295\n"),
        "{output}"
    );
    let owner =
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(world.upper().join("made")).unwrap());
    assert_eq!(owner, 0);
}

fn namespaces_that_are_not_asked_for_are_the_hosts() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(
        &world,
        &[
            "sh",
            "-c",
            "readlink /proc/self/ns/pid; ls -d /proc/1 /sys/class/net/lo",
        ],
    );
    for kind in [Kind::Pid, Kind::Ipc, Kind::Uts, Kind::Network, Kind::Cgroup] {
        spec.without_namespace(kind);
    }
    spec.plan.hostname.clear();
    let running = spec.create(&world).unwrap();
    for name in ["pid", "ipc", "uts", "net", "cgroup"] {
        assert_eq!(running.executed.namespaces[name], own(name), "{name}");
    }
    assert_eq!(
        running.finish().output,
        format!("{}\n/proc/1\n/sys/class/net/lo\n", own("pid"))
    );
}

fn a_time_namespace_has_the_offsets_of_the_plan() {
    if !std::path::Path::new("/proc/self/ns/time").exists() {
        println!("this kernel has no time namespaces");
        return;
    }
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(&world, &["cat", "/proc/uptime"]);
    spec.plan.namespaces.push(wire::plan::Namespace {
        kind: Kind::Time.into(),
        join_handle: 0,
    });
    spec.plan.time_offsets = vec![TimeOffset {
        clock: "boottime".into(),
        secs: 1_000_000,
        nanosecs: 0,
    }];
    let running = spec.create(&world).unwrap();
    assert_ne!(running.executed.namespaces["time"], own("time"));
    let output = running.finish().output;
    let uptime: f64 = output.split(' ').next().unwrap().parse().unwrap();
    let host: f64 = fs::read_to_string("/proc/uptime")
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        (uptime - host - 1_000_000.0).abs() < 60.0,
        "{uptime} inside, {host} outside"
    );
    cgroups::remove();
    let mut spec = container(&world, &["true"]);
    spec.plan.namespaces.push(wire::plan::Namespace {
        kind: Kind::Time.into(),
        join_handle: 0,
    });
    spec.plan.time_offsets = vec![TimeOffset {
        clock: "realtime".into(),
        secs: 1,
        nanosecs: 0,
    }];
    assert_eq!(refused(spec, &world).step, "make namespace");
}

fn sysctls_are_written_in_the_containers_namespaces() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(
        &world,
        &[
            "sh",
            "-c",
            "cd /proc/sys; cat kernel/shmmni kernel/domainname net/ipv4/ip_forward fs/mqueue/msg_max",
        ],
    );
    spec.plan.sysctls = vec![
        sysctl("kernel/shmmni", "1234", Kind::Ipc),
        sysctl("kernel/domainname", "example.net", Kind::Uts),
        sysctl("net/ipv4/ip_forward", "1", Kind::Network),
        sysctl("fs/mqueue/msg_max", "77", Kind::Ipc),
        Sysctl {
            ignore_missing: true,
            ..sysctl("net/no/such", "1", Kind::Network)
        },
    ];
    let before = |path: &str| fs::read_to_string(format!("/proc/sys/{path}")).unwrap();
    let host = [
        "kernel/shmmni",
        "kernel/domainname",
        "net/ipv4/ip_forward",
        "fs/mqueue/msg_max",
    ]
    .map(before);
    let running = spec.create(&world).unwrap();
    assert_eq!(running.executed.skipped, ["sysctl net/no/such"]);
    assert_eq!(running.finish().output, "1234\nexample.net\n1\n77\n");
    assert_eq!(
        [
            "kernel/shmmni",
            "kernel/domainname",
            "net/ipv4/ip_forward",
            "fs/mqueue/msg_max"
        ]
        .map(before),
        host
    );
}

fn a_sysctl_of_a_namespace_shared_with_the_host_is_refused() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    // hostNetwork pods of CRI name the host's own namespace by a path.
    for by_path in [true, false] {
        let mut spec = container(&world, &["true"]);
        if by_path {
            join(&mut spec, Kind::Network, "/proc/self/ns/net".into());
        } else {
            spec.without_namespace(Kind::Network);
        }
        spec.plan.sysctls = vec![sysctl(
            "net/ipv4/ip_unprivileged_port_start",
            "0",
            Kind::Network,
        )];
        let failure = refused(spec, &world);
        assert_eq!(
            failure.cause,
            "the container shares the host's net namespace"
        );
    }
    let mut spec = container(&world, &["true"]);
    spec.plan.sysctls = vec![sysctl("vm/swappiness", "1", Kind::Unspecified)];
    assert_eq!(
        refused(spec, &world).cause,
        "belongs to no namespace: it would change the host"
    );
    let mut spec = container(&world, &["true"]);
    spec.plan.sysctls = vec![sysctl("net/../vm/swappiness", "1", Kind::Network)];
    assert_eq!(refused(spec, &world).cause, "not a path below /proc/sys");
}

fn a_namespace_of_another_kind_is_refused() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(&world, &["true"]);
    join(&mut spec, Kind::Network, "/proc/self/ns/ipc".into());
    let failure = refused(spec, &world);
    assert_eq!(
        (failure.step.as_str(), failure.cause.as_str()),
        ("join namespace", "not a net namespace")
    );
}

fn a_file_is_no_namespace() {
    let world = World::new();
    let stage = crate::keeper::StageProcess::fork(world.floor_dir(), None);
    let reports = stage
        .open(vec![crate::keeper::source(
            1,
            "/etc/passwd",
            SourceKind::Namespace,
        )])
        .unwrap();
    assert_eq!(reports[0].errno, libc::EINVAL);
    stage.kill();
}

fn the_host_keeps_its_own_name() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let before = rustix::system::uname().nodename().to_owned();
    let mut spec = container(&world, &["true"]);
    spec.without_namespace(Kind::Uts);
    assert_eq!(
        refused(spec, &world).cause,
        "the container has no UTS namespace of its own"
    );
    assert_eq!(rustix::system::uname().nodename(), before.as_c_str());
    let init = waiting(&world);
    assert_eq!(
        exec(
            &world,
            &init,
            process(&["cat", "/proc/sys/kernel/hostname"])
        )
        .unwrap()
        .finish()
        .output,
        "inside\n"
    );
    init.kill();
}
