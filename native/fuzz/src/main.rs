//! One program for all targets, which the environment names (BRIG_FUZZ_TARGET); without a name it lists them. Arguments are
//! libFuzzer's.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

type Target = fn(&[u8]);

static TARGET: OnceLock<Target> = OnceLock::new();

fn chosen() -> Target {
    let all = [
        launcher::fuzzing::TARGETS,
        keeper::fuzzing::TARGETS,
        stage::fuzzing::TARGETS,
    ]
    .concat();
    let name = std::env::var("BRIG_FUZZ_TARGET").unwrap_or_default();
    match all.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => *target,
        None => {
            all.iter().for_each(|(known, _)| println!("{known}"));
            std::process::exit(i32::from(!name.is_empty()))
        }
    }
}

fuzz_target!(
    init: {
        // Before libFuzzer takes every exit for a find.
        TARGET.get_or_init(chosen);
    },
    |bytes: &[u8]| TARGET.get_or_init(chosen)(bytes)
);
