//! Small pieces of memory in few instructions. A record takes some twenty of them and gives them back at its end, and the
//! allocator of wasi-libc has a tenth of a record's instructions.
//!
//! Pieces that were given back wait in lists by size, and are never joined again. So nothing is kept here that a buffered
//! record could be: what the lists take stays as small as what is needed at once.

#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;

/// What the sizes of pieces are multiples of, in bytes; also the largest alignment.
const STEP: usize = 16;
/// The largest piece that is kept here, in bytes.
const LARGEST: usize = 512;
/// The largest piece of bytes, which need no alignment: a buffered record is one, and always larger.
const LARGEST_TEXT: usize = 192;
/// What is taken of the other allocator at once, in bytes.
const CHUNK: usize = 8192;

const CLASSES: usize = LARGEST / STEP;

/// A piece that waits.
struct Free {
    next: *mut Free,
}

/// Keeps small pieces, and leaves the others to the allocator of the system.
pub(crate) struct Allocator {
    /// One list for each size, of which the smallest is [`STEP`].
    free: [Cell<*mut Free>; CLASSES],
    /// What is left of the last chunk.
    rest: Cell<*mut u8>,
    rest_bytes: Cell<usize>,
}

// SAFETY: the filter's VM has one thread. Elsewhere it is used by tests only, each with one of its own.
unsafe impl Sync for Allocator {}

impl Allocator {
    pub(crate) const fn new() -> Self {
        Self {
            free: [const { Cell::new(null_mut()) }; CLASSES],
            rest: Cell::new(null_mut()),
            rest_bytes: Cell::new(0),
        }
    }

    /// The list of pieces of this layout; `None`: it is not for here.
    #[inline(always)]
    fn list(&self, layout: Layout) -> Option<&Cell<*mut Free>> {
        let is_long_text = layout.align() == 1 && layout.size() > LARGEST_TEXT;
        if is_long_text || layout.align() > STEP {
            return None;
        }
        self.free.get(layout.size().wrapping_sub(1) / STEP)
    }

    /// A piece of this layout that was never used.
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

    /// What was left of the chunk before waits for somebody who wants just that size.
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
            // SAFETY: the rest is a multiple of `STEP` bytes of the chunk before, and nobody's.
            unsafe { give(list, self.rest.get()) };
        }
        self.rest.set(chunk);
        self.rest_bytes.set(CHUNK);
        true
    }

    /// Moves what is in a piece to another one.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    unsafe fn move_to(&self, piece: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: the caller promises that the new layout is not empty.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: both have as many bytes, and are not the same; the old one is its owner's to give back.
            unsafe {
                moved.copy_from_nonoverlapping(piece, old.size().min(new.size()));
                self.dealloc(piece, old);
            }
        }
        moved
    }
}

/// Puts a piece into a list.
///
/// # Safety
/// It must be aligned as [`STEP`], have the list's size, and be nobody's.
#[inline(always)]
unsafe fn give(list: &Cell<*mut Free>, piece: *mut u8) {
    let piece = piece.cast::<Free>();
    // SAFETY: it is large enough, aligned, and nobody's.
    unsafe { piece.write(Free { next: list.get() }) };
    list.set(piece);
}

// SAFETY: a piece is in one list, or with one owner; it has the size of its list, and is aligned as `STEP`. Which list is
// known from the layout, which an owner gives back as it was.
unsafe impl GlobalAlloc for Allocator {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(list) = self.list(layout) else {
            // SAFETY: what the caller promises.
            return unsafe { System.alloc(layout) };
        };
        let first = list.get();
        if first.is_null() {
            return self.cut(layout);
        }
        // SAFETY: what is in a list is a piece that waits.
        list.set(unsafe { (*first).next });
        first.cast()
    }

    #[inline(never)]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match self.list(layout) {
            // SAFETY: it was handed out for this layout, and its owner gives it back.
            Some(list) => unsafe { give(list, piece) },
            // SAFETY: what the caller promises.
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
            // SAFETY: what the caller promises; the system has handed it out.
            (None, None) => unsafe { System.realloc(piece, layout, new_size) },
            // SAFETY: what the caller promises; the new layout is not empty.
            _ => unsafe { self.move_to(piece, layout, new) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Action, Event, ExchangeRecord, Protocol};
    use crate::wire::{Encoder, Format, Numbered};
    use proptest::prelude::*;
    use uuid::Uuid;

    /// A piece with an owner, filled with a mark of its own.
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
            // SAFETY: it has so many bytes.
            unsafe { self.piece.write_bytes(self.mark, self.layout.size()) };
        }

        /// Nobody else has written to its first bytes.
        fn check(&self, bytes: usize) {
            // SAFETY: it has so many bytes, all written.
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

    /// Lists of the sizes of buffered records could hold the whole buffer once for each size.
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
            let bytes = Encoder::new(format, String::new()).record(&numbered).len();
            assert!(bytes > LARGEST_TEXT, "{format:?}: {bytes}");
        }
    }
}
