//! What a process is given and what becomes of bad requests, told before it starts.

use wire::plan::{IoPriority, MemoryPolicy, Rlimit, Scheduler};

use crate::keeper::fails;
use crate::plans::{Spec, capabilities, container, run};
use crate::world::World;
use crate::{Test, cgroups};

pub const TESTS: &[Test] = tests![
    a_missing_program_is_told_in_the_words_clients_look_for,
    a_missing_interpreter_is_told_by_the_barrier,
    a_missing_working_directory_is_made,
    a_working_directory_beyond_the_root_is_refused,
    a_process_inherits_no_descriptor_signal_mask_or_disposition,
    limits_and_scheduling_are_as_planned,
    an_exec_runs_on_the_cpus_of_its_own,
    an_unmapped_user_is_refused_by_name,
    capability_sets_are_exactly_those_of_the_plan,
    every_process_has_a_keyring_of_its_own,
    landlock_rules_hold_inside,
    a_dead_keeper_ends_its_containers,
    brigs_own_program_can_not_be_written_from_inside,
    a_profile_that_is_not_loaded_is_refused,
];

fn a_missing_program_is_told_in_the_words_clients_look_for() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    for (args, cause) in [
        (
            "nothing",
            "exec: \"nothing\": executable file not found in $PATH",
        ),
        (
            "/nothing",
            "exec: \"/nothing\": stat /nothing: no such file or directory",
        ),
        ("/etc/passwd", "exec: \"/etc/passwd\": permission denied"),
        ("/etc", "exec: \"/etc\": is a directory: permission denied"),
        (
            "/etc/passwd/x",
            "exec: \"/etc/passwd/x\": stat /etc/passwd/x: not a directory",
        ),
    ] {
        let failure = fails(run(&world, |_| {}, &[args]));
        assert_eq!(
            (
                failure.step.as_str(),
                failure.object.as_str(),
                failure.cause.as_str()
            ),
            ("exec", args, cause)
        );
        assert!(
            cgroups::directories()
                .iter()
                .all(|directory| !directory.exists()),
            "cgroups were left behind"
        );
    }
    let failure = fails(run(&world, |spec| spec.process().args.clear(), &[]));
    assert_eq!(failure.cause, "no command to run");
}

fn a_missing_interpreter_is_told_by_the_barrier() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let script = world.upper().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut running = run(&world, |_| {}, &["/script"]).unwrap();
    let failure = running.release().unwrap_err();
    assert_eq!(failure.cause, "exec /script: no such file or directory");
    assert_eq!(crate::ended(&running.pidfd), Some(127));
}

fn a_missing_working_directory_is_made() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let running = run(
        &world,
        |spec| spec.process().cwd = "/srv/app".into(),
        &["sh", "-c", "pwd; touch here"],
    )
    .unwrap();
    assert_eq!(running.finish().output, "/srv/app\n");
    assert!(world.upper().join("srv/app/here").exists());
}

fn a_working_directory_beyond_the_root_is_refused() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    for number in 0..32 {
        // Whatever descriptors Brig or the keeper hold, none of them becomes the working directory.
        let cwd = format!("/proc/self/fd/{number}");
        if let Ok(running) = run(
            &world,
            |spec| spec.process().cwd = cwd.clone(),
            &["/bin/sh", "-c", "pwd -P"],
        ) {
            let place = running.finish().output;
            panic!("{cwd} led to {place}");
        }
    }
    let failure = fails(run(
        &world,
        |spec| spec.process().cwd = "/etc/passwd".into(),
        &["true"],
    ));
    assert_eq!(
        (failure.step.as_str(), failure.errno),
        ("enter working directory", libc::ENOTDIR)
    );
}

fn a_process_inherits_no_descriptor_signal_mask_or_disposition() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let running = run(&world, |_| {}, &["/probe", "descriptors"]).unwrap();
    // At the barrier nothing of the host is held any more: standard streams, barrier and link alone.
    let held = std::fs::read_dir(format!("/proc/{}/fd", running.pid))
        .unwrap()
        .count();
    assert_eq!(held, 5);
    assert_eq!(running.finish().output, "0 1 2\n");
    cgroups::remove();
    let output = run(
        &world,
        |_| {},
        &["/bin/grep", "-E", "SigBlk|SigIgn", "/proc/self/status"],
    )
    .unwrap()
    .finish()
    .output;
    assert_eq!(
        output,
        "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
    );
}

fn limits_and_scheduling_are_as_planned() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let change = |spec: &mut Spec| {
        let process = spec.process();
        process.oom_score_adj = Some(500);
        process.rlimits = vec![Rlimit {
            resource: 7,
            soft: 77,
            hard: 99,
        }];
        process.scheduler = Some(Scheduler {
            policy: 3,
            nice: 5,
            ..Scheduler::default()
        });
        process.io_priority = Some(IoPriority {
            class: 3,
            priority: 0,
        });
        process.personality = Some(0x0004_0000);
        // For its execs alone.
        process.cpu_affinity_initial = vec![1];
        process.cpu_affinity_final = vec![1];
        process.memory_policy = Some(MemoryPolicy {
            mode: 2,
            nodes: vec![1],
        });
    };
    let running = run(&world, change, &["true"]).unwrap();
    let read =
        |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", running.pid)).unwrap();
    assert_eq!(read("oom_score_adj"), "500\n");
    let files: Vec<String> = read("limits")
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap()
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    assert_eq!(files[3..5], ["77", "99"]);
    assert_eq!(running.status("Cpus_allowed_list"), cpus_of_this_test());
    running.kill();
    for (probe, answer) in [
        ("personality", "0x40000\n"),
        ("scheduler", "3 5\n"),
        ("io-priority", &format!("{}\n", 3 << 13)),
        ("memory-policy", "2 0x1\n"),
    ] {
        cgroups::remove();
        let outcome = run(&world, change, &["/probe", probe]).unwrap().finish();
        assert_eq!(outcome.output, answer, "{probe}");
    }
}

fn cpus_of_this_test() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap().trim().to_owned()
}

fn an_exec_runs_on_the_cpus_of_its_own() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let init = crate::exec::waiting(&world);
    let mut on_the_first = crate::plans::process(&["true"]);
    on_the_first.cpu_affinity_final = vec![1];
    let running = crate::plans::exec(&world, &init, on_the_first.clone()).unwrap();
    assert_eq!(running.status("Cpus_allowed_list"), "0");
    running.kill();
    // What holds before it enters the cgroups shows in nothing but the kernel's refusal of it.
    on_the_first.cpu_affinity_initial = vec![0];
    let refused = fails(crate::plans::exec(&world, &init, on_the_first));
    assert_eq!(
        (refused.object.as_str(), refused.errno),
        ("initial CPU affinity", libc::EINVAL)
    );
    init.kill();
}

fn an_unmapped_user_is_refused_by_name() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let refused = fails(run(&world, |spec| spec.process().uid = 70_000, &["true"]));
    assert_eq!(
        (refused.step.as_str(), refused.object.as_str()),
        ("set ids", "user 70000")
    );
    assert!(refused.remedy.contains("extra_ids"));
    let refused = fails(run(
        &world,
        |spec| spec.process().additional_gids = vec![1, 70_001],
        &["true"],
    ));
    assert_eq!(refused.object, "additional groups [1, 70001]");
}

fn capability_sets_are_exactly_those_of_the_plan() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let wanted = wire::plan::Capabilities {
        bounding: 0b1111_1111,
        permitted: 0b0111_1111,
        effective: 0b0011_1111,
        inheritable: 0b0001_1111,
        ambient: 0b0000_1111,
    };
    for uid in [0, 1000] {
        cgroups::remove();
        let change = |spec: &mut Spec| {
            spec.process().capabilities = Some(wanted);
            spec.process().uid = uid;
        };
        let running = run(&world, change, &["true"]).unwrap();
        for (field, set) in [
            ("CapBnd", wanted.bounding),
            ("CapPrm", wanted.permitted),
            ("CapEff", wanted.effective),
            ("CapInh", wanted.inheritable),
            ("CapAmb", wanted.ambient),
        ] {
            assert_eq!(
                running.status(field),
                format!("{set:016x}"),
                "{field} of user {uid}"
            );
        }
        running.kill();
    }
}

fn every_process_has_a_keyring_of_its_own() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let own = unsafe { libc::syscall(libc::SYS_keyctl, 0, -3, 1) };
    let output = run(
        &world,
        |spec| spec.process().new_session_keyring = true,
        &["/probe", "keyring"],
    )
    .unwrap()
    .finish()
    .output;
    assert_ne!(output.trim(), own.to_string());
}

fn landlock_rules_hold_inside() {
    use wire::plan::Landlock;
    use wire::plan::landlock::PathRule;
    if sys::landlock::abi() == 0 {
        println!("this kernel has no Landlock");
        return;
    }
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    // Execute, read a file, read a directory, below /bin, /probe and /proc; reading files below /etc/passwd.
    let rule = |path: &str, allowed: u64| PathRule {
        path: path.into(),
        allowed,
        ignore_missing: false,
    };
    let change = |spec: &mut Spec| {
        spec.process().landlock = Some(Landlock {
            handled_fs: 0b1101,
            paths: vec![
                rule("/bin", 0b1101),
                rule("/probe", 0b1101),
                rule("/etc/passwd", 0b1101),
                PathRule {
                    path: "/no/such".into(),
                    allowed: 0b1101,
                    ignore_missing: true,
                },
            ],
            ..Landlock::default()
        });
    };
    let running = run(
        &world,
        change,
        &[
            "/probe",
            "open-read",
            "/etc/passwd",
            "/etc",
            "/proc/self/status",
        ],
    )
    .unwrap();
    assert_eq!(running.executed.skipped, ["Landlock rule /no/such"]);
    assert_eq!(
        running.finish().output,
        "/etc/passwd=ok\n/etc=EACCES\n/proc/self/status=EACCES\n"
    );
}

fn a_dead_keeper_ends_its_containers() {
    use sys::clone::{ForkFlags, Forked, fork};
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    crate::keeper::become_keeper();
    let (read, write) = rustix::pipe::pipe().unwrap();
    // A keeper of its own that dies without a word, once with a released container and once with one at its barrier.
    for release in [true, false] {
        cgroups::remove();
        let keeper = match unsafe { fork(ForkFlags::empty(), None) }.unwrap() {
            Forked::Child => {
                let mut running = container(&world, &["sleep", "1000"])
                    .create(&world)
                    .unwrap();
                if release {
                    running.release().unwrap();
                }
                rustix::io::write(&write, &running.pid.to_ne_bytes()).unwrap();
                sys::process::exit_now(0)
            }
            Forked::Parent { pidfd, .. } => pidfd,
        };
        let mut pid = [0u8; 4];
        assert_eq!(rustix::io::read(&read, &mut pid).unwrap(), 4);
        assert_eq!(crate::ended(&keeper), Some(0));
        // Now ours, as the nearest subreaper.
        let pid = rustix::process::Pid::from_raw(i32::from_ne_bytes(pid)).unwrap();
        let orphan =
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        let status = crate::ended(&orphan).unwrap();
        assert!(status == 137 || !release && status == 1, "{status}");
    }
}

/// An image whose command is /proc/self/exe executes whatever program started it: with a user namespace its owner is unmapped,
/// without one it lies on a read-only mount.
fn brigs_own_program_can_not_be_written_from_inside() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let steal = ["/proc/self/exe", "write-own-program"];
    let output = run(&world, |_| {}, &steal).unwrap().finish().output;
    assert_eq!(output, "own program=EACCES\n");
    let all = |spec: &mut Spec| {
        spec.without_user_namespace();
        spec.process().capabilities =
            Some(capabilities(crate::plans::ALL_CAPABILITIES & !(1 << 24)));
    };
    cgroups::remove();
    let output = run(&world, all, &steal).unwrap().finish().output;
    assert_eq!(output, "own program=EROFS\n");
    // The interpreter of a script is found the same way.
    cgroups::remove();
    let script = world.upper().join("script");
    std::fs::write(&script, "#!/proc/self/exe write-own-program\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = run(&world, all, &["/script"]).unwrap().finish().output;
    assert_eq!(output, "own program=EROFS\n");
    // And a process that enters.
    cgroups::remove();
    let mut spec = container(&world, &["/probe", "wait"]);
    all(&mut spec);
    let mut init = spec.create(&world).unwrap();
    init.release().unwrap();
    assert_eq!(init.read_line(), "waiting");
    let mut plan = wire::plan::ExecPlan {
        process: Some(crate::plans::process(&steal)),
        ..Default::default()
    };
    use wire::plan::namespace::Kind;
    plan.join = [
        Kind::Mount,
        Kind::Pid,
        Kind::Ipc,
        Kind::Uts,
        Kind::Cgroup,
        Kind::Network,
    ]
    .map(i32::from)
    .into();
    let output = crate::plans::exec_plan(&world, &init, plan)
        .unwrap()
        .finish()
        .output;
    assert_eq!(output, "own program=EROFS\n");
    init.kill();
}

/// Where AppArmor is off, no profile is loaded either.
fn a_profile_that_is_not_loaded_is_refused() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let refused = fails(run(
        &world,
        |spec| spec.process().apparmor_profile = "no-such-profile".into(),
        &["true"],
    ));
    assert_eq!(
        (refused.step.as_str(), refused.object.as_str()),
        ("set LSM label", "AppArmor profile no-such-profile")
    );
}
