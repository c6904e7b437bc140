//! A further process in a running container has all its restrictions.

use crate::Test;
use crate::cgroups;
use crate::keeper::Running;
use crate::plans::{CAPABILITIES, HOST_ID, capabilities, container, exec, process};
use crate::world::World;

pub const TESTS: &[Test] = tests![
    an_exec_enters_every_namespace_and_cgroup_of_its_container,
    an_exec_has_its_own_user_directory_and_capabilities,
    an_exec_of_a_missing_program_is_told_before_it_starts,
    an_exec_into_a_container_that_has_ended_fails,
    nobody_inside_can_look_into_a_process_that_enters,
    a_signal_from_an_exec_reaches_init,
    an_exec_sees_the_descriptors_of_init,
];

/// A container whose init waits.
pub fn waiting(world: &World) -> Running {
    let mut running = container(world, &["/probe", "wait"]).create(world).unwrap();
    running.release().unwrap();
    assert_eq!(running.read_line(), "waiting");
    running
}

fn an_exec_enters_every_namespace_and_cgroup_of_its_container() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let init = waiting(&world);
    let exec = exec(
        &world,
        &init,
        process(&[
            "sh",
            "-c",
            "readlink /proc/self/ns/mnt; readlink /proc/1/ns/mnt; id -u",
        ]),
    )
    .unwrap();
    for (name, link) in &init.executed.namespaces {
        assert_eq!(&exec.executed.namespaces[name], link, "{name} namespace");
    }
    for directory in cgroups::directories() {
        let members = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap();
        assert!(
            members.lines().any(|pid| pid == exec.pid.to_string()),
            "{directory:?}: {members}"
        );
    }
    assert_eq!(exec.status("CapBnd"), format!("{CAPABILITIES:016x}"));
    assert_eq!(exec.status("NoNewPrivs"), "1");
    assert_eq!(exec.status("Seccomp"), "2");
    let outcome = exec.finish();
    let lines: Vec<&str> = outcome.output.lines().collect();
    assert_eq!(lines[0], lines[1]);
    assert_eq!(lines[2], "0");
    assert_eq!(outcome.status, 0);
    init.kill();
}

fn an_exec_has_its_own_user_directory_and_capabilities() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let init = waiting(&world);
    let mut user = process(&["sh", "-c", "id -u; id -g; pwd; echo $HOME; umask"]);
    (user.uid, user.gid, user.cwd, user.umask) = (1000, 1000, "/tmp".into(), Some(0o27));
    user.additional_gids = vec![7, 8];
    user.home_from_passwd = true;
    user.capabilities = Some(capabilities(0));
    let exec = exec(&world, &init, user).unwrap();
    let host = (HOST_ID + 1000).to_string();
    assert_eq!(
        exec.status("Uid")
            .split_ascii_whitespace()
            .collect::<Vec<_>>(),
        [&host; 4]
    );
    assert_eq!(
        exec.status("Groups"),
        format!("{} {}", HOST_ID + 7, HOST_ID + 8)
    );
    assert_eq!(exec.status("CapPrm"), "0000000000000000");
    assert_eq!(exec.finish().output, "1000\n1000\n/tmp\n/home/user\n0027\n");
    init.kill();
}

fn an_exec_of_a_missing_program_is_told_before_it_starts() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let init = waiting(&world);
    let failure = exec(&world, &init, process(&["no-such-program"]))
        .err()
        .unwrap();
    assert_eq!(
        failure.cause,
        "exec: \"no-such-program\": executable file not found in $PATH"
    );
    let mut elsewhere = process(&["true"]);
    elsewhere.cwd = "/no/such/directory".into();
    let failure = exec(&world, &init, elsewhere).err().unwrap();
    assert_eq!(
        (failure.step.as_str(), failure.errno),
        ("enter working directory", libc::ENOENT)
    );
    init.kill();
}

fn an_exec_into_a_container_that_has_ended_fails() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let init = waiting(&world);
    init.kill();
    let failure = exec(&world, &init, process(&["true"])).err().unwrap();
    assert_eq!(
        (failure.step.as_str(), failure.errno),
        ("join namespace", libc::ESRCH)
    );
}

/// While a hundred processes enter, container root watches every foreign process it can see.
fn nobody_inside_can_look_into_a_process_that_enters() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let init = waiting(&world);
    let mut spy = exec(&world, &init, process(&["/probe", "spy"])).unwrap();
    spy.release().unwrap();
    assert_eq!(spy.read_line(), "watching");
    for _ in 0..100 {
        // Its program is Brig's own until it is released.
        let entering = exec(&world, &init, process(&["/proc/self/exe"]));
        if let Ok(entering) = entering {
            entering.kill();
        }
    }
    drop(spy.input.take());
    let mut seen = Vec::new();
    loop {
        match spy.read_line() {
            line if line.is_empty() => break,
            line => seen.push(line),
        }
    }
    assert_eq!(seen, ["somebody"], "what container root could reach");
    crate::ended(&spy.pidfd);
    init.kill();
}

fn a_signal_from_an_exec_reaches_init() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    // It lives on: its end would end the exec'd process too, maybe before that has told its own.
    let program = "trap 'echo hung up' HUP; echo waiting; while true; do sleep 1 & wait; done";
    let mut init = container(&world, &["sh", "-c", program])
        .create(&world)
        .unwrap();
    init.release().unwrap();
    assert_eq!(init.read_line(), "waiting");
    let sent = exec(&world, &init, process(&["kill", "-HUP", "1"]))
        .unwrap()
        .finish();
    // Init's end may come before its own.
    assert!([0, 137].contains(&sent.status), "{}", sent.output);
    assert_eq!(init.read_line(), "hung up");
    init.kill();
}

fn an_exec_sees_the_descriptors_of_init() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let init = waiting(&world);
    let outcome = exec(&world, &init, process(&["ls", "/proc/1/fd"]))
        .unwrap()
        .finish();
    assert_eq!(outcome.output, "0\n1\n2\n");
    init.kill();
}
