//! Size-class free lists for allocations up to 512 bytes; larger ones go to wasi-libc. A record
//! makes about twenty of them and frees them at its end. In wasi-libc they take a tenth of a
//! record's instructions.
//!
//! Freed pieces wait in lists by size, and are never merged. Pieces as large as a buffered record
//! are not kept, so the lists stay as small as the concurrent need.

#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;

/// Granularity of sizes, in bytes; also the largest alignment.
const STEP: usize = 16;
/// The largest piece in the lists, in bytes.
const LARGEST: usize = 512;
/// The largest piece with alignment 1. A buffered record has this alignment, and is always larger.
const LARGEST_TEXT: usize = 192;
/// Bytes taken from the other allocator at once.
const CHUNK: usize = 8192;

const CLASSES: usize = LARGEST / STEP;

/// A freed piece in a list.
struct Free {
    next: *mut Free,
}

/// Serves small pieces; the system's allocator serves the others.
pub(crate) struct Allocator {
    /// One list per size; the smallest size is [`STEP`].
    free: [Cell<*mut Free>; CLASSES],
    /// The rest of the last chunk.
    rest: Cell<*mut u8>,
    rest_bytes: Cell<usize>,
}

// SAFETY: the filter's VM has one thread. Elsewhere only tests use it, each with a separate
// instance.
unsafe impl Sync for Allocator {}

impl Allocator {
    pub(crate) const fn new() -> Self {
        Self {
            free: [const { Cell::new(null_mut()) }; CLASSES],
            rest: Cell::new(null_mut()),
            rest_bytes: Cell::new(0),
        }
    }

    /// The list of pieces of this layout; `None`: the system serves it.
    #[inline(always)]
    fn list(&self, layout: Layout) -> Option<&Cell<*mut Free>> {
        let is_long_text = layout.align() == 1 && layout.size() > LARGEST_TEXT;
        if is_long_text || layout.align() > STEP {
            return None;
        }
        self.free.get(layout.size().wrapping_sub(1) / STEP)
    }

    /// A new piece of this layout, cut from the chunk.
    #[cold]
    #[inline(never)]
    fn cut(&self, layout: Layout) -> *mut u8 {
        let bytes = layout.size().next_multiple_of(STEP);
        if self.rest_bytes.get() < bytes && !self.take_chunk() {
            return null_mut();
        }
        let piece = self.rest.get();
        self.rest.set(piece.wrapping_add(bytes));
        self.rest_bytes.set(self.rest_bytes.get() - bytes);
        piece
    }

    /// Takes a new chunk. The rest of the previous one goes into the list of its size.
    fn take_chunk(&self) -> bool {
        let Ok(layout) = Layout::from_size_align(CHUNK, STEP) else {
            return false;
        };
        // SAFETY: the layout is not empty.
        let chunk = unsafe { System.alloc(layout) };
        if chunk.is_null() {
            return false;
        }

        if let Some(list) = self
            .rest_bytes
            .get()
            .checked_sub(1)
            .and_then(|last| self.free.get(last / STEP))
        {
            // SAFETY: the rest is a multiple of `STEP` bytes of the previous chunk, without an
            // owner.
            unsafe { give(list, self.rest.get()) };
        }

        self.rest.set(chunk);
        self.rest_bytes.set(CHUNK);
        true
    }

    /// Moves the content of a piece to a new one.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    unsafe fn move_to(&self, piece: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: the caller promises that the new layout is not empty.
        let moved = unsafe { self.alloc(new) };

        if !moved.is_null() {
            // SAFETY: both have this many bytes, and are distinct; the owner gives the old one
            // back.
            unsafe {
                moved.copy_from_nonoverlapping(piece, old.size().min(new.size()));
                self.dealloc(piece, old);
            }
        }

        moved
    }
}

/// A piece of the system. Out of line, since it has a stack frame.
///
/// # Safety
/// As for [`GlobalAlloc::alloc`].
#[cold]
#[inline(never)]
unsafe fn of_system(layout: Layout) -> *mut u8 {
    // SAFETY: guaranteed by the caller.
    unsafe { System.alloc(layout) }
}

/// Puts a piece into a list.
///
/// # Safety
/// It must be aligned as [`STEP`], have the list's size, and have no owner.
#[inline(always)]
unsafe fn give(list: &Cell<*mut Free>, piece: *mut u8) {
    let piece = piece.cast::<Free>();
    // SAFETY: it is large enough, aligned, and without an owner.
    unsafe { piece.write(Free { next: list.get() }) };
    list.set(piece);
}

// SAFETY: a piece is in one list, or with one owner; it has the size of its list, and is aligned as
// `STEP`. The layout determines the list, and an owner gives the piece back with the same layout.
unsafe impl GlobalAlloc for Allocator {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(list) = self.list(layout) else {
            // SAFETY: guaranteed by the caller.
            return unsafe { of_system(layout) };
        };

        let first = list.get();
        if first.is_null() {
            return self.cut(layout);
        }
        // SAFETY: a list holds only freed pieces.
        list.set(unsafe { (*first).next });
        first.cast()
    }

    #[inline(never)]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match self.list(layout) {
            // SAFETY: it was handed out for this layout, and its owner gives it back.
            Some(list) => unsafe { give(list, piece) },
            // SAFETY: guaranteed by the caller.
            None => unsafe { System.dealloc(piece, layout) },
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else {
            return null_mut();
        };

        match (self.list(layout), self.list(new)) {
            (Some(old_list), Some(new_list)) if std::ptr::eq(old_list, new_list) => piece,
            // SAFETY: guaranteed by the caller; the system has handed it out.
            (None, None) => unsafe { System.realloc(piece, layout, new_size) },
            // SAFETY: guaranteed by the caller; the new layout is not empty.
            _ => unsafe { self.move_to(piece, layout, new) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Action, Event, ExchangeRecord, Protocol};
    use crate::wire::{Encoder, Format, Numbered, Resource};
    use proptest::prelude::*;
    use uuid::Uuid;

    /// A piece with an owner, filled with a mark.
    struct Owned {
        piece: *mut u8,
        layout: Layout,
        mark: u8,
    }

    impl Owned {
        fn take(allocator: &Allocator, size: usize, align: usize, mark: u8) -> Self {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the layout is not empty.
            let piece = unsafe { allocator.alloc(layout) };

            let owned = Self {
                piece,
                layout,
                mark,
            };
            owned.fill();
            owned
        }

        fn fill(&self) {
            assert!(!self.piece.is_null());
            assert_eq!(self.piece as usize % self.layout.align(), 0);
            // SAFETY: it has this many bytes.
            unsafe { self.piece.write_bytes(self.mark, self.layout.size()) };
        }

        /// Checks that no other owner has written to its first bytes.
        fn check(&self, bytes: usize) {
            // SAFETY: it has this many bytes, all written.
            let content = unsafe { std::slice::from_raw_parts(self.piece, bytes) };
            assert!(content.iter().all(|byte| *byte == self.mark));
        }

        fn resize(&mut self, allocator: &Allocator, size: usize) {
            let kept = size.min(self.layout.size());
            // SAFETY: it was handed out for this layout, and the new size is not 0.
            self.piece = unsafe { allocator.realloc(self.piece, self.layout, size) };
            self.layout = Layout::from_size_align(size, self.layout.align()).unwrap();
            self.check(kept);
            self.fill();
        }

        fn give_back(self, allocator: &Allocator) {
            self.check(self.layout.size());
            // SAFETY: it was handed out for this layout.
            unsafe { allocator.dealloc(self.piece, self.layout) };
        }
    }

    fn sizes() -> impl Strategy<Value = usize> {
        let near = |size: usize| size - 2..size + 3;
        prop_oneof![6 => 1..=LARGEST, 1 => near(LARGEST), 1 => near(LARGEST_TEXT), 1 => LARGEST..3 * CHUNK]
    }

    proptest! {
        #[test]
        fn owners_never_share(steps in prop::collection::vec((0..3_u8, sizes(), 0..6_u32, any::<prop::sample::Index>()), 1..400)) {
            let allocator = Allocator::new();
            let mut owned: Vec<Owned> = Vec::new();
            for (mark, (step, size, align, which)) in (0_u8..=255).cycle().zip(steps) {
                match step {
                    0 if !owned.is_empty() => owned.swap_remove(which.index(owned.len())).give_back(&allocator),
                    1 if !owned.is_empty() => {
                        let at = which.index(owned.len());
                        owned[at].resize(&allocator, size);
                    }
                    _ => owned.push(Owned::take(&allocator, size, 1 << align, mark)),
                }
                owned.iter().for_each(|owned| owned.check(owned.layout.size()));
            }

            owned.into_iter().for_each(|owned| owned.give_back(&allocator));
        }
    }

    #[test]
    fn what_was_given_back_is_handed_out_again() {
        let allocator = Allocator::new();
        let first = Owned::take(&allocator, 40, 8, 1);
        let place = first.piece;
        first.give_back(&allocator);
        let other_size = Owned::take(&allocator, 50, 8, 2);
        assert_ne!(other_size.piece, place);
        let again = Owned::take(&allocator, 33, 1, 3);
        assert_eq!(again.piece, place, "the same size after rounding");
    }

    /// Lists for sizes of buffered records could hold the whole buffer once per size.
    #[test]
    fn no_exchange_is_as_small_as_what_is_kept() {
        for format in [Format::OtlpProtobuf, Format::OtlpJson, Format::Ndjson] {
            let mut least = ExchangeRecord::new("a".into(), Protocol::Http, None);
            least.action = Action::Text(b"a".to_vec());
            let event = Event::Exchange(Box::new(least));

            let numbered = Numbered {
                number: 0,
                uid: Uuid::nil(),
                time_unix_nanos: 1_700_000_000_000_000_000,
                observed_unix_nanos: 1_700_000_000_000_000_000,
                event: &event,
            };

            let bytes = Encoder::new(format, Resource::default())
                .record(&numbered)
                .len();
            assert!(bytes > LARGEST_TEXT, "{format:?}: {bytes}");
        }
    }
}
