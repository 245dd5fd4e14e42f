//! The VM: its name, and the detection of crashed VMs that it replaces.
//!
//! Every VM registers a queue under its name. Envoy stores with a queue the thread and the VM's
//! key, not the VM. A message for a crashed VM is delivered, on its thread, to the VM that was
//! loaded in its place. So a message for another VM proves that this other one is gone, since a
//! live VM gets its messages itself. A replacement with another key gets none; `pipeline/watch.rs`
//! finds these cases.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use uuid::Uuid;

use super::imports;
use crate::pipeline::account::Account;
use crate::quota::Quota;
use crate::recorder::MAX_BODIES_BYTES;

/// The context that receives the messages. The first of a VM is always a root context, and no
/// stream has its id.
const FIRST_CONTEXT: u32 = 1;

#[derive(Default)]
struct Vm {
    id: OnceCell<Uuid>,
    /// Queues of other VMs that a message was sent to.
    called: RefCell<Vec<(u32, Uuid)>>,
    crashed: RefCell<Vec<Uuid>>,
    bodies: OnceCell<Rc<Quota>>,
    /// By plugin name.
    accounts: RefCell<Vec<(Vec<u8>, Rc<Account>)>>,
}

thread_local! {
    /// One per VM, since it describes the VM.
    static VM: Vm = Vm::default();
}

/// The VM's name. Without one, `fresh` becomes the name and its queue is registered.
pub(super) fn register(fresh: Uuid, root: u32) -> Uuid {
    VM.with(|vm| {
        *vm.id.get_or_init(|| {
            if root == FIRST_CONTEXT {
                // Without a queue, no VM takes over from this one.
                let _ = imports::register_shared_queue(&queue_name(fresh));
            }
            fresh
        })
    })
}

/// The quota for response bodies that all configurations of this VM share.
pub(super) fn bodies() -> Rc<Quota> {
    VM.with(|vm| Rc::clone(vm.bodies.get_or_init(|| Quota::new(MAX_BODIES_BYTES))))
}

/// The account of the records that all configurations of a plugin hold in this VM.
pub(super) fn account(plugin: &[u8]) -> Rc<Account> {
    VM.with(|vm| {
        let mut accounts = vm.accounts.borrow_mut();
        if let Some((_, account)) = accounts.iter().find(|(name, _)| name == plugin) {
            return Rc::clone(account);
        }
        let account = Rc::default();
        accounts.push((plugin.to_vec(), Rc::clone(&account)));
        account
    })
}

/// Sends a message to other VMs, from the context that receives the messages.
pub(super) fn probe_peers(root: u32, others: &[Uuid]) {
    if root != FIRST_CONTEXT {
        return;
    }

    let vm_id = imports::property("plugin_vm_id").unwrap_or_default();
    VM.with(|vm| {
        for other in others {
            if let Some(queue) = imports::resolve_shared_queue(&vm_id, &queue_name(*other)) {
                vm.called.borrow_mut().push((queue, *other));
                // Without a message, no VM takes over from that one.
                let _ = imports::enqueue_shared_queue(queue, b"?");
            }
        }
    });
}

/// A message has come on a queue that is not a root context's own.
pub(super) fn on_probe(queue: u32) {
    VM.with(|vm| {
        let of_another = vm
            .called
            .borrow()
            .iter()
            .find(|(called, _)| *called == queue)
            .map(|(_, other)| *other);

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
