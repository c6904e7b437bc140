//! Seccomp: in which order filters come into force, and where their listeners go.

use wire::keeper::source::Kind as SourceKind;
use wire::plan::SeccompFilter;

use crate::keeper::fails;
use crate::plans::{
    ALLOW, CAPABILITIES, ERRNO, NOTIFY, Spec, all_but, capabilities, container, filter, run,
};
use crate::world::{World, text};
use crate::{Test, cgroups};

pub const TESTS: &[Test] = tests![
    a_filter_without_no_new_privileges_is_installed_before_capabilities_go,
    a_filter_that_forbids_reading_is_installed_after_the_barrier,
    filters_apply_in_their_order,
    a_seccomp_listener_comes_back,
];

fn a_filter_without_no_new_privileges_is_installed_before_capabilities_go() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let change = |spec: &mut Spec| {
        let process = spec.process();
        process.no_new_privileges = false;
        process.uid = 1000;
        process.capabilities = Some(capabilities(CAPABILITIES));
        process.seccomp = vec![all_but(libc::SYS_getpgrp, ERRNO | 38)];
    };
    let running = run(
        &world,
        change,
        &["/probe", "syscall", &libc::SYS_getpgrp.to_string()],
    )
    .unwrap();
    assert_eq!(running.status("Seccomp"), "2");
    assert_eq!(running.status("NoNewPrivs"), "0");
    assert_eq!(running.status("CapPrm"), format!("{CAPABILITIES:016x}"));
    assert_eq!(
        running.finish().output,
        format!("{}=ENOSYS\n", libc::SYS_getpgrp)
    );
}

fn a_filter_that_forbids_reading_is_installed_after_the_barrier() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let forbid =
        |spec: &mut Spec| spec.process().seccomp = vec![all_but(libc::SYS_read, ERRNO | 1)];
    let running = run(&world, forbid, &["/probe", "read", "/etc/passwd"]).unwrap();
    assert_eq!(running.executed.after_barrier, ["seccomp"]);
    assert_eq!(running.status("Seccomp"), "0");
    assert_eq!(running.finish().output, "/etc/passwd=EPERM\n");
    // Where it can't be last, it is refused.
    cgroups::remove();
    let forbid = |spec: &mut Spec| {
        spec.process().seccomp = vec![all_but(libc::SYS_read, ERRNO | 1)];
        spec.process().no_new_privileges = false;
    };
    assert_eq!(
        fails(run(&world, forbid, &["true"])).step,
        "install seccomp filter"
    );
}

fn filters_apply_in_their_order() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    // The second one still lets seccomp through when the first is in force already, and both count.
    let change = |spec: &mut Spec| {
        spec.process().seccomp = vec![
            all_but(libc::SYS_getpgrp, ERRNO | 38),
            all_but(libc::SYS_seccomp, ERRNO | 1),
            filter(&[(6, 0, 0, ALLOW)]),
        ];
    };
    let refused = fails(run(&world, change, &["true"]));
    assert_eq!(
        (refused.step.as_str(), refused.errno),
        ("install seccomp filter", libc::EPERM)
    );
    let change = |spec: &mut Spec| {
        spec.process().seccomp = vec![
            all_but(libc::SYS_getpgrp, ERRNO | 38),
            all_but(libc::SYS_getppid, ERRNO | 2),
        ];
    };
    for (number, answer) in [(libc::SYS_getpgrp, "ENOSYS"), (libc::SYS_getppid, "ENOENT")] {
        cgroups::remove();
        let output = run(&world, change, &["/probe", "syscall", &number.to_string()])
            .unwrap()
            .finish()
            .output;
        assert_eq!(output, format!("{number}={answer}\n"));
    }
}

fn a_seccomp_listener_comes_back() {
    let world = World::new();
    let _cleanup = cgroups::Cleanup;
    let mut spec = container(
        &world,
        &["/probe", "syscall", &libc::SYS_getpgrp.to_string()],
    );
    let socket = std::os::unix::net::UnixListener::bind(world.path("agent")).unwrap();
    let handle = spec.add_source(text(&world.path("agent")), SourceKind::Socket);
    let filter = SeccompFilter {
        listener_handle: handle,
        listener_metadata: "metadata".into(),
        ..all_but(libc::SYS_getpgrp, NOTIFY)
    };
    spec.process().seccomp = vec![filter];
    spec.plan.state_json_parts = ["{\"status\":\"", "\",\"pid\":", "}"]
        .map(str::to_owned)
        .into();
    let mut running = spec.create(&world).unwrap();
    assert_eq!(running.status("Seccomp"), "2");
    assert!(running.listener.is_some());
    // The agent was handed the same, with the state.
    let (message, listener) = crate::keeper::receive_one(socket.accept().unwrap().0.into());
    assert_eq!(
        String::from_utf8(message).unwrap(),
        format!(
            "{{\"ociVersion\":\"1.2.0\",\"fds\":[\"seccompFd\"],\"pid\":{pid},\"metadata\":\"metadata\",\"state\":{{\"status\":\"creating\",\"pid\":{pid}}}}}",
            pid = running.pid
        )
    );
    running.release().unwrap();
    // Every getpgrp is answered by EXDEV.
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| crate::probe::answer_one(&listener, libc::EXDEV));
        let mut output = String::new();
        use std::io::Read;
        std::fs::File::from(running.output.try_clone().unwrap())
            .read_to_string(&mut output)
            .unwrap();
        output
    });
    assert_eq!(answer, format!("{}={}\n", libc::SYS_getpgrp, libc::EXDEV));
    crate::ended(&running.pidfd);
}
