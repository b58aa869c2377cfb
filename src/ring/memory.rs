//! How the C library hands out memory.

/// From now on all threads of the process take memory from one place, which suits few threads that
/// seldom allocate together. What a second thread takes from a place of its own costs it a
/// mprotect(2) for each page (`grow_heap` in glibc's malloc/arena.c), under the lock that page
/// faults of all threads need.
///
/// For the program alone: a library leaves that to who uses it. Other C libraries have no such
/// places.
pub(crate) fn share_one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes two numbers and keeps nothing of ours.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
