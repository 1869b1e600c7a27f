//! How much memory the allocator takes for what is asked of it.

/// What an allocation of `size` bytes takes by jemalloc's size classes: multiples of 16 up to 64
/// bytes, then four sizes for each power of two (<https://jemalloc.net/jemalloc.3.html>, "Size
/// classes"). To ask for all of it costs nothing, and lets a counter gain a digit in place.
pub(crate) const fn allocated(size: usize) -> usize {
    if size == 0 {
        return 0;
    }
    let step = if size <= 64 { 16 } else { 1 << ((size - 1).ilog2() - 2) };
    match size.checked_next_multiple_of(step) {
        Some(rounded) => rounded,
        None => size,
    }
}
