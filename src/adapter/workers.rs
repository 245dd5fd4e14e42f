//! The root contexts of the VM and their workers: few, one for each configuration, and one more
//! while an old one drains.

use std::cell::RefCell;
use std::rc::Rc;

use super::worker::Worker;

#[derive(Default)]
struct Workers {
    /// The host's ids of all root contexts.
    roots: Vec<u32>,
    /// Workers whose root context has not ended.
    workers: Vec<(u32, Rc<Worker>)>,
}

thread_local! {
    static WORKERS: RefCell<Workers> = RefCell::default();
}

/// Registers a root context. False: it is registered.
pub(super) fn is_new_root(root: u32) -> bool {
    WORKERS.with_borrow_mut(|all| {
        let is_new = !all.roots.contains(&root);
        if is_new {
            all.roots.push(root);
        }
        is_new
    })
}

/// Whether this is a root context.
pub(super) fn is_root(context: u32) -> bool {
    WORKERS.with_borrow(|all| all.roots.contains(&context))
}

/// Adds the worker of a root context.
pub(super) fn add(root: u32, worker: Rc<Worker>) {
    WORKERS.with_borrow_mut(|all| all.workers.push((root, worker)));
}

/// Removes the worker of a root context that has ended.
pub(super) fn remove(root: u32) {
    let of_root = |(other, _): &(u32, Rc<Worker>)| *other == root;
    let removed = WORKERS.with_borrow_mut(|all| {
        let index = all.workers.iter().position(of_root)?;
        Some(all.workers.swap_remove(index))
    });
    drop(removed);
}

/// The newest worker of another root context for which this holds.
fn newest_other(root: u32, holds: impl Fn(&Worker) -> bool) -> Option<Rc<Worker>> {
    WORKERS.with_borrow(|all| {
        let others = all.workers.iter().filter(|(other, _)| *other != root);
        // Host ids increase, so the largest is the newest.
        others
            .filter(|(_, worker)| holds(worker))
            .max_by_key(|(id, _)| *id)
            .map(|(_, worker)| Rc::clone(worker))
    })
}

impl Worker {
    /// The worker that replaces this one: that of the newest configuration of the same plugin in
    /// this VM. `None` also while this one is not draining.
    pub(super) fn successor(&self) -> Option<Rc<Self>> {
        let own = self.pipeline.borrow();
        let succeeds =
            |other: &Self| other.plugin == self.plugin && other.pipeline.borrow().can_succeed(&own);
        if own.is_draining() {
            newest_other(self.root, succeeds)
        } else {
            None
        }
    }

    /// Sends this worker's records to the destination of the plugin's newest configuration, also
    /// while its requests are ongoing.
    pub(super) fn follow_newest(&self) {
        let own = self.pipeline.borrow();
        let is_newer = |other: &Self| {
            other.root > self.root
                && other.plugin == self.plugin
                && own.can_follow(&other.pipeline.borrow())
        };
        let newest = newest_other(self.root, is_newer);
        drop(own);

        if let Some(newest) = newest {
            self.with_pipeline(|pipeline| pipeline.follow(&newest.pipeline.borrow()));
        }
    }

    /// Offers undeliverable records to another VM, if this one has no other configuration of the
    /// plugin.
    pub(super) fn offer(&self) {
        let is_alone = newest_other(self.root, |other| other.plugin == self.plugin).is_none();
        self.with_pipeline(|pipeline| pipeline.offer(is_alone, self.clock.now()));
    }
}
