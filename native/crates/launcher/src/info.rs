//! `-info`: what the runtime offers, as containerd 2 asks it before it sends id-mapped mounts, user namespaces or recursive
//! read-only mounts, and as CRI passes it on to kubelet. `features.json` beside this file is the OCI "features" document.

use crate::protobuf::Writer;

/// The OCI features document.
pub const FEATURES: &str = include_str!("features.json");

/// What an `Any` with that document is called by containerd.
const FEATURES_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/// A serialized `containerd.types.RuntimeInfo` (field numbers of its introspection.proto).
pub fn runtime_info(program: &str) -> Vec<u8> {
    let version = Writer::default().text(1, env!("CARGO_PKG_VERSION")).done();
    let features = Writer::default()
        .text(1, FEATURES_TYPE)
        .text(2, FEATURES)
        .done();
    Writer::default()
        .text(1, program)
        .bytes(2, &version)
        .bytes(4, &features)
        .done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{Value, fields};

    #[test]
    fn containerd_finds_the_features_it_looks_for() {
        let info = runtime_info("containerd-shim-brig-v2");
        let read: Vec<_> = fields(&info)
            .map(|field| field.expect("well formed"))
            .collect();
        assert_eq!(read[0], (1, Value::Bytes(b"containerd-shim-brig-v2")));
        let (4, Value::Bytes(any)) = read[2] else {
            panic!("{read:?}")
        };
        let any: Vec<_> = fields(any)
            .map(|field| field.expect("well formed"))
            .collect();
        assert_eq!(
            any,
            [
                (1, Value::Bytes(FEATURES_TYPE.as_bytes())),
                (2, Value::Bytes(FEATURES.as_bytes()))
            ]
        );
        for wanted in ["\"user\"", "\"rro\"", "\"idmap\": { \"enabled\": true }"] {
            assert!(FEATURES.contains(wanted), "{wanted}");
        }
    }
}
