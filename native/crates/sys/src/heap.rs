//! Memory that a long-lived process holds without need: the C library's heap, and stack that was used once.

/// Beneath the caller's frame this much stays, then this much is given back: more than the deepest call has used.
const STACK_KEPT: usize = 8 << 10;
const STACK_GIVEN: usize = 128 << 10;

/// Blocks from this size on are mapped by themselves, so that a large message leaves no hole in the heap.
const MAPPED_BLOCK: i32 = 32 << 10;

/// To be called once, early (mallopt(3)).
pub fn keep_small() {
    // SAFETY: sets a parameter of the allocator; nothing is moved.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BLOCK);
    }
}

/// Returns unused pages to the kernel (malloc_trim(3), madvise(2)). The caller must be near the bottom of its stack.
#[inline(never)]
pub fn give_back() {
    // SAFETY: malloc_trim moves no allocation.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    let here = 0u8;
    let page = rustix::param::page_size();
    let end = ((&raw const here).addr() - STACK_KEPT) & !(page - 1);
    let start = std::ptr::with_exposed_provenance_mut::<libc::c_void>(end - STACK_GIVEN);
    // SAFETY: what lies beneath the stack pointer, past the red zone, belongs to frames that are gone; the stack grows into
    // fresh pages again. Where nothing is mapped nothing happens.
    unsafe { libc::madvise(start, STACK_GIVEN, libc::MADV_DONTNEED) };
}
