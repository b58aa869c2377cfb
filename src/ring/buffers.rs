//! Provided buffers: memory that the kernel fills with datagrams, and takes in the order given.
//!
//! Each group counts what it gave and what came back, because an exhausted group and an overrun
//! socket end a receive with the same errno, and only this count tells them apart. Buffers are
//! given back to the kernel at one moment, the end of a reap, so the count is exact. Never
//! incremental: the kernel cuts the last message of each buffer there.

use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::error::{RingError, errno_of};
use super::limits::BUFFERS_PER_GROUP_MAX;

/// What the kernel writes before the datagram: `struct io_uring_recvmsg_out` and the sender's name.
pub(super) const HEADER_BYTES: usize = 16 + size_of::<libc::sockaddr_nl>();

/// Buffers start on a cache line, so two of them never share one.
const STRIDE_ALIGN: usize = 64;

const _: () = assert!(size_of::<BufRingEntry>() == 16);
const _: () = assert!(size_of::<libc::sockaddr_nl>() == 12);

/// One group of equal buffers and the ring in which the kernel finds them.
pub(super) struct Buffers {
    id: u16,
    /// The ring of entries; the kernel knows it until the io_uring is gone.
    entries: Mapping,
    /// The buffers, `stride` bytes each.
    memory: Mapping,
    count: u16,
    /// Bytes of one buffer, the header included.
    bytes: usize,
    stride: usize,
    /// Our tail; the kernel's copy of it may be older until `publish`.
    tail: u16,
    /// Buffers given to the kernel since the start, up to the last `publish`, and to the one
    /// before it.
    given: u64,
    given_before: u64,
    /// Buffers seen in completions since the start.
    taken: u64,
    /// Buffers written to the ring since the last `publish`.
    returned: u16,
}

impl Buffers {
    /// Maps `count` buffers (rounded up to a power of 2) for datagrams of at most
    /// `payload_bytes`, and registers them as group `id`.
    pub(super) fn register(
        uring: &IoUring,
        id: u16,
        count: u16,
        payload_bytes: u32,
    ) -> Result<Buffers, RingError> {
        let count = count.clamp(1, BUFFERS_PER_GROUP_MAX).next_power_of_two();
        let bytes = HEADER_BYTES + payload_bytes as usize;
        let stride = bytes.next_multiple_of(STRIDE_ALIGN);
        let entries = Mapping::new(usize::from(count) * size_of::<BufRingEntry>())?;
        let memory = Mapping::new(usize::from(count) * stride)?;
        // SAFETY: the entries are a mapping of `count` entries on a page boundary, all zero. The
        // group owns them, and the kernel pins their pages for as long as it knows them.
        unsafe {
            uring.submitter().register_buf_ring_with_flags(
                entries.base.as_ptr() as u64,
                count,
                id,
                0,
            )
        }
        .map_err(|e| RingError::from_setup("register a ring of buffers", errno_of(&e)))?;
        let mut group = Buffers {
            id,
            entries,
            memory,
            count,
            bytes,
            stride,
            tail: 0,
            given: 0,
            given_before: 0,
            taken: 0,
            returned: 0,
        };
        for buffer in 0..count {
            group.write_entry(buffer);
        }
        group.publish();
        group.given_before = group.given;
        Ok(group)
    }

    pub(super) fn id(&self) -> u16 {
        self.id
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// Buffers that the kernel has, or that it filled without our having seen it yet.
    pub(super) fn free(&self) -> u16 {
        (self.given - self.taken) as u16
    }

    /// Takes the buffer that a completion names. The bytes are the buffer's own, clamped to
    /// `result`, which the kernel can report larger than the buffer.
    pub(super) fn take(&mut self, buffer: u16, result: i32) -> Option<&[u8]> {
        if buffer >= self.count || self.taken == self.given {
            return None;
        }
        self.taken += 1;
        let length = usize::try_from(result).unwrap_or(0).min(self.bytes);
        let offset = usize::from(buffer) * self.stride;
        // SAFETY: the buffer lies within the mapping (its number was checked). The kernel gave it
        // to us with this completion and writes to it again only after `give_back` and `publish`,
        // which need `&mut self` and so cannot happen while these bytes are borrowed.
        Some(unsafe { slice::from_raw_parts(self.memory.base.as_ptr().add(offset), length) })
    }

    /// Notes that a taken buffer may be filled again; the kernel learns it by `publish`.
    pub(super) fn give_back(&mut self, buffer: u16) {
        debug_assert!(buffer < self.count);
        self.write_entry(buffer);
    }

    /// Shows the kernel all that was given back.
    pub(super) fn publish(&mut self) {
        self.given_before = self.given;
        if self.returned == 0 {
            return;
        }
        self.given += u64::from(self.returned);
        self.returned = 0;
        // SAFETY: the tail lies in the first entry of the mapping, aligned to 2, and is shared
        // with the kernel, which only reads it; hence the atomic store. Release makes the entries
        // written before it visible first.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.base.as_ptr().cast());
            (*tail.cast::<AtomicU16>()).store(self.tail, Ordering::Release);
        }
    }

    /// Had the kernel no buffer left when it posted the completion that is being reaped?
    ///
    /// Then that was the end of the receive, and not an overrun: a socket's own error is met only
    /// after a buffer was taken for it. Buffers are published at the end of a reap only, so the
    /// count that the kernel saw was this one or, where it works outside our enter too, the one
    /// before it; see [`Buffers::was_perhaps_exhausted`].
    pub(super) fn was_exhausted(&self) -> bool {
        self.taken == self.given
    }

    /// Had it none left as far as it knew, if it posted while the reap before was still running?
    pub(super) fn was_perhaps_exhausted(&self) -> bool {
        self.taken == self.given_before
    }

    /// Gives the memory up for good: the kernel may still write to it.
    pub(super) fn leak(&mut self) {
        self.entries.leaked = true;
        self.memory.leaked = true;
    }

    fn write_entry(&mut self, buffer: u16) {
        let index = usize::from(self.tail & (self.count - 1));
        let offset = usize::from(buffer) * self.stride;
        // SAFETY: the index is within the mapping of `count` entries. The kernel does not read an
        // entry at or past the tail that it knows, and at most `count` buffers exist, so this one
        // is ours. The setters leave the tail, which shares the first entry, alone.
        unsafe {
            let entry = &mut *self.entries.base.as_ptr().cast::<BufRingEntry>().add(index);
            entry.set_addr(self.memory.base.as_ptr().add(offset) as u64);
            entry.set_len(self.bytes as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
        self.returned += 1;
    }
}

/// Anonymous memory on a page boundary; pages that were never touched cost nothing.
struct Mapping {
    base: NonNull<u8>,
    length: usize,
    leaked: bool,
}

impl Mapping {
    fn new(length: usize) -> Result<Mapping, RingError> {
        // SAFETY: a new private mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }
        .map_err(|e| RingError::from_setup("map memory for buffers", e.raw_os_error()))?;
        match NonNull::new(base.cast()) {
            Some(base) => Ok(Mapping { base, length, leaked: false }),
            None => Err(RingError::from_setup("map memory for buffers", libc::ENOMEM)),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.leaked {
            return;
        }
        // SAFETY: we mapped exactly this, and the owner drops it only when no operation in flight
        // can still write to it.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.length) };
    }
}
