//! The contexts of the VM by the host's ids: root contexts, each with one configuration, and their
//! streams.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use super::http_context::Http;
use super::root_context::Root;
use super::worker::Worker;

#[derive(Default)]
struct Contexts {
    /// Few: one per configuration, plus one while an old one drains.
    roots: Vec<Rc<Root>>,
    streams: HashMap<u32, Http, BuildHasherDefault<IdHasher>>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

impl Contexts {
    fn root(&self, id: u32) -> Option<&Rc<Root>> {
        self.roots.iter().find(|root| root.id() == id)
    }
}

/// Makes a root context (`root` is 0), or a stream of one.
pub(super) fn create(context: u32, root: u32) {
    CONTEXTS.with_borrow_mut(|contexts| {
        if root == 0 {
            // The host starts a context again when two filters share it.
            if contexts.root(context).is_none() {
                contexts.roots.push(Rc::new(Root::new(context)));
            }
        } else {
            let worker = contexts.root(root).and_then(|root| root.worker());
            contexts.streams.insert(context, Http::new(context, worker));
        }
    });
}

/// Calls a root context; `None` when there is none with this id.
pub(super) fn with_root<T>(context: u32, call: impl FnOnce(&Root) -> T) -> Option<T> {
    let root = CONTEXTS.with_borrow(|contexts| contexts.root(context).cloned())?;
    Some(call(&root))
}

/// The newest worker of another root context for which this holds.
pub(super) fn newest_other(context: u32, holds: impl Fn(&Worker) -> bool) -> Option<Rc<Worker>> {
    CONTEXTS.with_borrow(|contexts| {
        let others = contexts.roots.iter().filter(|root| root.id() != context);
        let workers = others.filter_map(|root| Some((root.id(), root.worker()?)));
        // Host ids increase, so the largest is the newest.
        workers
            .filter(|(_, worker)| holds(worker))
            .max_by_key(|(id, _)| *id)
            .map(|(_, worker)| worker)
    })
}

/// Calls a stream; `None` when there is none with this id.
pub(super) fn with_stream<T>(context: u32, call: impl FnOnce(&mut Http) -> T) -> Option<T> {
    CONTEXTS.with_borrow_mut(|contexts| contexts.streams.get_mut(&context).map(call))
}

/// Removes a stream; for a root context, returns whether the host may delete it. The deletion
/// callback is not exported: it would be another call per stream.
pub(super) fn done(context: u32) -> bool {
    if let Some(mut stream) = CONTEXTS.with_borrow_mut(|contexts| contexts.streams.remove(&context))
    {
        stream.on_done();
        return true;
    }

    let is_done = with_root(context, Root::on_done).unwrap_or(true);
    if is_done {
        forget_root(context);
    }
    is_done
}

/// Removes a root context that the host deletes.
pub(super) fn forget_root(context: u32) {
    let of_root = |root: &Rc<Root>| root.id() == context;
    let gone = CONTEXTS.with_borrow_mut(|contexts| {
        let index = contexts.roots.iter().position(of_root)?;
        Some(contexts.roots.swap_remove(index))
    });
    drop(gone);
}

/// Ids are consecutive, so they need no hash. They are multiplied, since the table also uses the
/// highest bits.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        /// 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(FACTOR);
    }
}
