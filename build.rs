//! Sets the linker flags of a Node addon, where one is built.

fn main() {
    if std::env::var_os("CARGO_FEATURE_NODE").is_none() {
        return;
    }
    napi_build::setup();
    // Node unloads an addon when the last worker that loaded it ends. The thread of that worker
    // ends later, and then runs what jemalloc registered for the end of each thread that used it.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
