//! The C library's heap.

/// Returns unused pages of the heap to the kernel (malloc_trim(3)).
pub fn give_back() {
    // SAFETY: malloc_trim moves no allocation.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
