//! The released program can't unwind (a panic aborts it) and leaves no core behind (it is not dumpable), so it goes without the
//! tables for that, which are a twelfth of it (docs/decisions, "The size of the native program").

fn main() {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let dir = variable("CARGO_MANIFEST_DIR");
    println!("cargo::rerun-if-changed=no-unwinding.ld");
    // Tried with the linker that Rust brings along for this architecture.
    if variable("PROFILE") == "release" && variable("CARGO_CFG_TARGET_ARCH") == "x86_64" {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{dir}/no-unwinding.ld");
    }
}
