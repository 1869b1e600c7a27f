//! The allocator of the addon's own memory, jemalloc; V8 and Node.js keep theirs.
//!
//! Freeing millions of sessions on another thread than the one that made them does not slow the
//! other threads down (see docs/design.md for other allocators).

use std::ffi::c_char;
use std::ptr::null_mut;

use tikv_jemalloc_sys::mallctl;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Never 2 MB pages: the first touch of one takes up to a millisecond. jemalloc reads its settings
/// from a variable of this name.
// SAFETY: the type is that of C's `const char *malloc_conf`; no other library has a variable of
// this name, as it is prefixed.
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: Settings = Settings(c"thp:never".as_ptr());

#[repr(transparent)]
struct Settings(*const c_char);

// SAFETY: nobody writes to the text, which lives for ever.
unsafe impl Sync for Settings {}

/// Gives what is free back to the system.
pub(super) fn give_back() {
    // SAFETY: `arena.<i>.purge` neither reads nor writes a value; 4096 stands for all arenas. An
    // error means that nothing was given back, which harms nobody.
    unsafe { mallctl(c"arena.4096.purge".as_ptr(), null_mut(), null_mut(), null_mut(), 0) };
}
