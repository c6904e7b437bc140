//! The launcher's parsers of bytes from outside, for native/fuzz: each takes anything and comes to an end.

use std::path::Path;

/// A parser's name and what to feed.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("launcher-arguments", arguments),
    ("launcher-bootstrap", bootstrap),
    ("launcher-annotations", annotations),
    ("launcher-configuration", configuration),
    ("launcher-protobuf", protobuf),
    ("launcher-ttrpc", ttrpc),
];

/// One argument per line.
fn arguments(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let args: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let _ = crate::argv::parse(&args);
}

/// Both forms of what containerd writes to standard input.
fn bootstrap(bytes: &[u8]) {
    let _ = crate::bootstrap::parse(bytes, "c", "k8s.io");
}

/// A config.json, searched for the pod's id.
fn annotations(bytes: &[u8]) {
    if let Some(id) = crate::annotations::group(bytes) {
        assert!(!id.is_empty() && !id.contains('/'));
    }
}

/// A brig.toml.
fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = crate::installation::Installation::parse(
        Path::new("/opt/brig"),
        Path::new("/opt/brig/etc/brig/brig.toml"),
        &text,
    );
}

fn protobuf(bytes: &[u8]) {
    assert!(crate::protobuf::fields(bytes).count() <= bytes.len());
}

/// A shim's answer.
fn ttrpc(bytes: &[u8]) {
    let _ = crate::ttrpc::parse(bytes);
}
