//! Devices, masks, terminals.

use std::fs;
use std::os::unix::fs::symlink;

use wire::keeper::source::Kind as SourceKind;
use wire::plan::device::Type;
use wire::plan::{CgroupWrite, Device};

use crate::Test;
use crate::cgroups;
use crate::exec::waiting;
use crate::plans::{ALL_CAPABILITIES, Spec, bind, capabilities, container, device, exec, process};
use crate::world::{World, text};

pub const TESTS: &[Test] = tests![
    standard_devices_work_and_belong_to_container_root,
    a_device_node_in_an_image_is_dead,
    a_device_where_nodes_are_dead_is_bound,
    a_device_goes_over_what_an_image_has_in_its_place,
    a_process_can_make_no_device,
    the_device_cgroup_forbids_what_it_does_not_list,
    masked_files_are_empty_and_masked_directories_too,
    a_mask_is_made_of_a_null_device_of_our_own,
    a_terminal_is_the_containers_own,
    an_exec_gets_a_terminal_of_the_container,
    a_terminal_without_a_devpts_is_refused,
];

fn standard_devices_work_and_belong_to_container_root() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let change = |spec: &mut Spec| {
        spec.plan.devices.push(Device {
            path: "/dev/deep/fifo".into(),
            r#type: Type::Fifo.into(),
            mode: 0o640,
            uid: 7,
            gid: 8,
            ..Device::default()
        });
    };
    let mut spec = container(
        &world,
        &[
            "sh",
            "-c",
            "echo x > /dev/null; head -c 4 /dev/zero | wc -c; echo x > /dev/full; stat -c '%u:%g %a %t:%T %F' /dev/null /dev/deep/fifo; ls -l /dev/fd /dev/ptmx | sed 's/.*-> //'; stat -c %u /dev/pts /dev/pts/ptmx /dev /dev/shm",
        ],
    );
    change(&mut spec);
    let output = spec.create(&world).unwrap().finish().output;
    assert_eq!(
        output,
        "4\nsh: write error: No space left on device\n0:0 666 1:3 character special file\n7:8 640 0:0 fifo\n/proc/self/fd\npts/ptmx\n0\n0\n0\n0\n"
    );
}

fn a_device_node_in_an_image_is_dead() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        world.upper().join("null"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o666),
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    let mut spec = container(&world, &["/probe", "open-read", "/null", "/dev/null"]);
    spec.process().capabilities = Some(capabilities(ALL_CAPABILITIES));
    assert_eq!(
        spec.create(&world).unwrap().finish().output,
        "/null=EACCES\n/dev/null=ok\n"
    );
}

fn a_device_where_nodes_are_dead_is_bound() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(
        &world,
        &[
            "sh",
            "-c",
            "head -c 3 /device | wc -c; stat -c '%u %a' /device",
        ],
    );
    spec.plan.devices.push(Device {
        uid: 5,
        mode: 0o604,
        ..device("/device", 1, 5)
    });
    assert_eq!(spec.create(&world).unwrap().finish().output, "3\n5 604\n");
}

fn a_device_goes_over_what_an_image_has_in_its_place() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    // A volume as /dev, whose null is a file.
    let volume = world.directory_with("dev", "null", "not null");
    symlink("/etc/passwd", volume.join("zero")).unwrap();
    for name in ["full", "random", "urandom", "tty"] {
        symlink(format!("/{name}"), volume.join(name)).unwrap();
    }
    let mut spec = container(
        &world,
        &["sh", "-c", "cat /dev/null; head -c 2 /dev/zero | wc -c"],
    );
    let handle = spec.add_source(text(&volume), SourceKind::Bind);
    spec.plan
        .mounts
        .retain(|mount| !mount.destination.starts_with("/dev"));
    spec.plan.mounts.push(bind("/dev", handle, 0));
    spec.plan.symlinks.clear();
    assert_eq!(spec.create(&world).unwrap().finish().output, "2\n");
    assert_eq!(fs::read_to_string(volume.join("null")).unwrap(), "not null");
}

fn a_process_can_make_no_device() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(&world, &["sh", "-c", "mknod /dev/mem c 1 1 2>&1"]);
    spec.process().capabilities = Some(capabilities(ALL_CAPABILITIES));
    assert_eq!(
        spec.create(&world).unwrap().finish().output,
        "mknod: /dev/mem: Operation not permitted\n"
    );
}

/// Whichever kind of cgroups the machine has: rules by files on v1, by a program on v2.
fn the_device_cgroup_forbids_what_it_does_not_list() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(&world, &["/probe", "open-read", "/dev/null", "/dev/zero"]);
    let cgroups = spec.plan.cgroups.as_mut().unwrap();
    let v1 = cgroups
        .dirs
        .iter()
        .position(|dir| dir.controllers.split(',').any(|name| name == "devices"));
    if let Some(dir) = v1 {
        for (file, value) in [("devices.deny", "a"), ("devices.allow", "c 1:3 rwm")] {
            cgroups.writes.push(CgroupWrite {
                dir: dir as u32,
                file: file.into(),
                value: value.into(),
                ..CgroupWrite::default()
            });
        }
    } else {
        // r0 = ctx->major == 1 && ctx->minor == 3 (struct bpf_cgroup_dev_ctx: access_type, major, minor).
        let instruction = |code: u8, registers: u8, offset: i16, value: i32| {
            let mut bytes = vec![code, registers];
            bytes.extend_from_slice(&offset.to_le_bytes());
            bytes.extend_from_slice(&value.to_le_bytes());
            bytes
        };
        cgroups.device_program = [
            instruction(0x61, 0x12, 4, 0),
            instruction(0x61, 0x13, 8, 0),
            instruction(0xb7, 0x00, 0, 0),
            instruction(0x55, 0x02, 2, 1),
            instruction(0x55, 0x03, 1, 3),
            instruction(0xb7, 0x00, 0, 1),
            instruction(0x95, 0x00, 0, 0),
        ]
        .concat();
    }
    let outcome = spec.create(&world).unwrap().finish();
    assert_eq!(outcome.output, "/dev/null=ok\n/dev/zero=EPERM\n");
}

fn masked_files_are_empty_and_masked_directories_too() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(
        &world,
        &[
            "sh",
            "-c",
            "cat /proc/version /etc/passwd; ls -A /etc/dir /proc/fs; echo x > /etc/dir/y; echo x > /proc/sys/kernel/domainname",
        ],
    );
    fs::create_dir_all(world.upper().join("etc/dir")).unwrap();
    fs::write(world.upper().join("etc/dir/x"), "").unwrap();
    for path in [
        "/proc/version",
        "/etc/passwd",
        "/etc/dir",
        "/proc/fs",
        "/no/such/path",
    ] {
        spec.plan.masked_paths.push(path.into());
    }
    let output = spec.create(&world).unwrap().finish().output;
    assert_eq!(
        output,
        "/etc/dir:\n\n/proc/fs:\nsh: can't create /etc/dir/y: Read-only file system\nsh: can't create /proc/sys/kernel/domainname: Read-only file system\n"
    );
}

/// An image or volume that has prepared /dev/null itself gets nothing for it.
fn a_mask_is_made_of_a_null_device_of_our_own() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let volume = world.directory_with("dev", "other", "");
    symlink("/etc/passwd", volume.join("null")).unwrap();
    let mut spec = container(
        &world,
        &[
            "sh",
            "-c",
            "cat /proc/version; echo; cat /etc/passwd | wc -l",
        ],
    );
    let handle = spec.add_source(text(&volume), SourceKind::Bind);
    spec.plan
        .mounts
        .retain(|mount| !mount.destination.starts_with("/dev"));
    spec.plan.mounts.push(bind("/dev", handle, 0));
    spec.plan.devices.clear();
    spec.plan.symlinks.clear();
    spec.plan.masked_paths.push("/proc/version".into());
    assert_eq!(spec.create(&world).unwrap().finish().output, "\n2\n");
}

/// Reads a terminal's master to its end, which is EIO.
fn transcript(master: &std::os::fd::OwnedFd) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = rustix::io::read(master, &mut buffer) {
        all.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8_lossy(&all).replace('\r', "")
}

fn terminal_of(spec: &mut wire::plan::Process) {
    spec.terminal = true;
    spec.console_height = 33;
    spec.console_width = 99;
}

fn a_terminal_is_the_containers_own() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(&world, &["/probe", "terminal"]);
    terminal_of(spec.process());
    let mut running = spec.create(&world).unwrap();
    let master = running.terminal.take().unwrap();
    running.release().unwrap();
    assert_eq!(crate::ended(&running.pidfd), Some(0));
    assert_eq!(
        transcript(&master),
        "size 33 99\ncontrolling=ok\nsession leader true\nforeground true\nconsole is the terminal true\nowner 0:5 mode 620\n"
    );
}

fn an_exec_gets_a_terminal_of_the_container() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let init = waiting(&world);
    let mut process = process(&["sh", "-c", "tty; stty size; stat -c %u:%g $(tty)"]);
    terminal_of(&mut process);
    process.uid = 1000;
    let mut running = exec(&world, &init, process).unwrap();
    let master = running.terminal.take().unwrap();
    running.release().unwrap();
    assert_eq!(crate::ended(&running.pidfd), Some(0));
    assert_eq!(transcript(&master), "/dev/pts/0\n33 99\n1000:5\n");
    init.kill();
}

fn a_terminal_without_a_devpts_is_refused() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(&world, &["true"]);
    terminal_of(spec.process());
    for mount in &mut spec.plan.mounts {
        if mount.destination == "/dev/pts" {
            *mount = crate::plans::fresh("/dev/pts", "tmpfs", 0, &[]);
        }
    }
    spec.plan.devices.push(device("/dev/pts/ptmx", 5, 2));
    let failure = spec.create(&world).err().unwrap();
    assert_eq!(
        (failure.step.as_str(), failure.errno),
        ("open terminal", libc::ENOTTY)
    );
}
