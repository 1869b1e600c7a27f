//! Sets the linker flags of a Node addon, where one is built. On Linux one of them has it stay
//! loaded, which jemalloc needs: it runs code of its own at the end of each thread that used it.

fn main() {
    if std::env::var_os("CARGO_FEATURE_NODE").is_some() {
        napi_build::setup();
    }
}
