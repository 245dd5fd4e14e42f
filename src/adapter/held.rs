//! Requests that `require_audit` holds: the stream of each ticket, and the calls that continue or
//! answer it.

use std::cell::RefCell;

use super::imports;
use crate::pipeline::admission::Decision;
use crate::record::RequireAudit;

/// The held requests of one worker.
#[derive(Default)]
pub(super) struct Held(RefCell<Vec<(u64, u32)>>);

impl Held {
    /// Notes the stream of a held request.
    pub(super) fn hold(&self, ticket: u64, context: u32) {
        self.0.borrow_mut().push((ticket, context));
    }

    /// The stream has ended.
    pub(super) fn forget(&self, ticket: u64) {
        self.0.borrow_mut().retain(|(held, _)| *held != ticket);
    }

    /// Continues a held request, or answers it. `root` is the context of the current callback.
    pub(super) fn release(&self, decision: Decision, root: u32) {
        let context = self
            .0
            .borrow()
            .iter()
            .find(|(held, _)| *held == decision.ticket)
            .map(|(_, context)| *context);
        self.forget(decision.ticket);

        if context.is_some_and(imports::set_effective_context) {
            if decision.proceed {
                imports::continue_request();
            } else {
                refuse(RequireAudit::Acknowledged);
            }
            imports::set_effective_context(root);
        }
    }
}

/// Answers the request of the effective context: 503, or UNAVAILABLE (14) for a gRPC call.
pub(super) fn refuse(required: RequireAudit) {
    let body = if required == RequireAudit::Acknowledged {
        "request refused: its audit record was not acknowledged in time"
    } else {
        "request refused: its audit record cannot be buffered"
    };
    imports::send_local_response(503, 14, "audit_record_required", body);
}
