//! Compiles the contract in native/proto; needs protoc (Debian: protobuf-compiler).

fn main() -> std::io::Result<()> {
    let root = std::path::Path::new("../../proto");
    let files = [
        root.join("brig/plan/v1/plan.proto"),
        root.join("brig/keeper/v1/keeper.proto"),
    ];
    prost_build::Config::new().compile_protos(&files, &[root])?;
    println!("cargo:rerun-if-changed=../../proto");
    Ok(())
}
