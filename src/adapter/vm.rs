//! The VM itself: who it is, and whether it runs in the place of one that has crashed.
//!
//! Every VM registers a queue under its name. Envoy remembers with a queue the thread and the VM's key, not the VM: a
//! message for a VM that has crashed is delivered, on its thread, to the VM that was loaded in its place. So a VM that
//! hears a message for another one knows that this other one is gone. A VM that lives hears its own messages itself,
//! and nobody can take it for dead, however slow it is.

use std::cell::{OnceCell, RefCell};

use uuid::Uuid;

use super::hostcalls::ProcessData;
use super::imports;
use crate::pipeline::journal::other_vms;

/// The context that hears the messages: the first of a VM is always a root context, and no stream can have its id.
const FIRST_CONTEXT: u32 = 1;

#[derive(Default)]
struct Vm {
    id: OnceCell<Uuid>,
    /// Queues of other VMs that a message was sent to.
    called: RefCell<Vec<(u32, Uuid)>>,
    crashed: RefCell<Vec<Uuid>>,
}

thread_local! {
    /// One for each VM, since that is what it tells of.
    static VM: Vm = Vm::default();
}

/// The VM's name; `fresh` becomes it when it has none yet, and its queue is registered then.
pub(super) fn enlist(fresh: Uuid, root: u32) -> Uuid {
    VM.with(|vm| {
        *vm.id.get_or_init(|| {
            if root == FIRST_CONTEXT {
                // Without a queue nobody takes over from this VM.
                let _ = imports::register_shared_queue(&queue_name(fresh));
            }
            fresh
        })
    })
}

/// Sends a message to every other VM that has streams with records. Only the context that hears the answers may ask.
pub(super) fn call_the_roll(root: u32) {
    if root != FIRST_CONTEXT {
        return;
    }
    let vm_id = imports::property("plugin_vm_id").unwrap_or_default();
    VM.with(|vm| {
        for other in other_vms(&ProcessData, vm.id.get().copied().unwrap_or_default()) {
            if let Some(queue) = imports::resolve_shared_queue(&vm_id, &queue_name(other)) {
                vm.called.borrow_mut().push((queue, other));
                // Without a message nobody takes over from that VM.
                let _ = imports::enqueue_shared_queue(queue, b"?");
            }
        }
    });
}

/// A message has come on a queue that is not a root context's own.
pub(super) fn hear(queue: u32) {
    VM.with(|vm| {
        let of_another = vm.called.borrow().iter().find(|(called, _)| *called == queue).map(|(_, other)| *other);
        if let Some(other) = of_another
            && !vm.crashed.borrow().contains(&other)
        {
            vm.crashed.borrow_mut().push(other);
        }
    });
}

/// The crashed VM with this index in the order of discovery.
pub(super) fn crashed(index: usize) -> Option<Uuid> {
    VM.with(|vm| vm.crashed.borrow().get(index).copied())
}

fn queue_name(vm: Uuid) -> String {
    format!("audit_filter.vm.{vm}")
}
