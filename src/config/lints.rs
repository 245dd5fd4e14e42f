//! Checks for legal settings that are probably unintended: warnings, and problems where no sensible
//! reading exists.

use std::rc::Rc;

use super::node::Node;
use super::object::Object;
use crate::record::RequireAudit;
use crate::recorder::rules::covering::{Covered, Rest};
use crate::recorder::rules::own_batch::OwnBatch;
use crate::recorder::rules::{Policy, Rule};
use crate::recorder::trust::Trust;

/// A rule and its node; a default rule has none.
pub(super) type Placed<'a> = (Option<Node<'a>>, Rc<Rule>);

/// Rules that no request reaches. One that requires a record is refused: its requirement would
/// have no effect.
pub(super) fn unreached(policy: &Policy, placed: &[Placed<'_>]) {
    for Covered { place, by, rest } in policy.covered() {
        let (Some((Some(node), rule)), Some((_, earlier))) = (placed.get(place), placed.get(by))
        else {
            continue;
        };

        let requests = match rest {
            Rest::Nothing => "no request reaches it",
            Rest::Tracked => "no request reaches it that is not tracked",
            Rest::Ambiguous => "only requests whose path or host is ambiguous reach it",
        };
        let sentence = [
            requests,
            ": the earlier rule ",
            &earlier.name,
            " decides about all that it matches",
        ]
        .concat();

        // A rule for ambiguous requests alone is useful.
        if rule.require_audit == RequireAudit::None || rest == Rest::Ambiguous {
            node.warn(&sentence);
        } else {
            node.refuse(&sentence);
        }
    }
}

/// Warns of a rule that sends probable secrets to the next hop, which records them in clear.
pub(super) fn secrets_handed_on(node: &Node<'_>, rule: &Rule) {
    if rule
        .set_tracking
        .as_ref()
        .is_some_and(|gateway| gateway.hands_on_secrets())
    {
        node.warn("set_tracking.context hands on what looks secret");
    }
}

/// A filter that is off holds no request.
pub(super) fn off(enabled: bool, policy: &Policy, root: &Object<'_>) {
    if !enabled
        && policy
            .iter()
            .any(|rule| rule.require_audit != RequireAudit::None)
    {
        root.warn("enabled is false: no request is held for require_audit");
    }
}

/// Warns of loops, for a policy that records batches: where they pass another instance of this
/// filter, each is recorded and makes a new batch.
pub(super) fn loops(own_batch: &OwnBatch, trust: &Trust, root: &Object<'_>) {
    let is_proven = own_batch.has_secret() || trust.names_others();
    if !is_proven {
        root.warn(
            "audit_cluster.headers has no token: where this configuration holds for the proxy in front of the collector, \
             too, rules record the filter's own batches",
        );
    }
}
