//! What the kernel says of a process right after its execve. Takes no decision: brigd compares it with the plan.

use std::fs;

use wire::keeper::AfterExec;

/// Of a child that has not been reaped; its program may run already, or have ended.
pub fn read(pid: i32) -> AfterExec {
    let file = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    // In this order: who is still in its user namespace after the status was read was there before.
    let status = file("status");
    let user_namespace = fs::read_link(format!("/proc/{pid}/ns/user"))
        .map(|link| link.to_string_lossy().into_owned())
        .unwrap_or_default();
    AfterExec {
        status,
        // A kernel without a module that labels processes refuses to answer.
        label: file("attr/current")
            .trim_end_matches(['\0', '\n'])
            .to_owned(),
        user_namespace,
    }
}
