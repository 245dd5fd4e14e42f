//! The walk over the ledger: every hash, every signature, every number of every stream.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec::IntoIter;

use super::times::Times;
use super::tree::Step;
use super::{Fault, Trust, Verification};
use crate::completeness::{Announced, Moment, Sighting, Streams};
use crate::db::{Connection, DbError};
use crate::ledger::chain::{Hash, Hasher, Head};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::cut::{Cut, Statement};
use crate::ledger::signing::PublicKey;
use crate::ledger::store::content::{Content, Texts};
use crate::ledger::store::scan::Scanned;

/// What a row holds, with its searched texts.
type Readable<'c> = (&'c Content<'c>, Texts<'c>);

/// Position of the first row of a chain.
const FIRST: i64 = 1;

/// A walk over the ledger, row by row.
pub(super) struct Walk {
    hasher: Hasher,
    /// Last place reached, by a row or by a cut.
    reached: Head,
    cuts: Peekable<IntoIter<Cut>>,
    checkpoints: BTreeMap<i64, Vec<(Hash, Option<Hash>)>>,
    /// What the tree is made of, since it was taken last.
    trail: Vec<Step>,
    /// Position of the last checkpoint with a root.
    rooted_up_to: i64,
    streams: Streams,
    times: Times,
    /// Rows that were read.
    pub(super) rows: i64,
    /// Position of the last checkpoint that a trusted key has signed.
    signed_up_to: i64,
    /// When the row before was received.
    last_receipt: i64,
    pub(super) result: Verification,
}

/// A step back of the times of receipt that needs no wrong clock: a request gets its time before it
/// is decoded and waits for its transaction, for at most some ten seconds.
const STEP_BACK: i64 = 60_000_000_000;

impl Walk {
    /// Loads cuts and checkpoints, and checks their signatures.
    pub(super) fn begin(connection: &mut dyn Connection, trust: &Trust) -> Result<Self, DbError> {
        let (cuts, damaged_cuts) = Cut::list_with_damaged(connection)?;
        let (mut checkpoints, damaged_checkpoints) = Checkpoint::list_with_damaged(connection)?;
        checkpoints.extend(trust.checkpoints.iter().cloned());

        let mut walk = Self {
            hasher: Hasher::default(),
            reached: Head::START,
            cuts: Vec::new().into_iter().peekable(),
            checkpoints: BTreeMap::new(),
            trail: Vec::new(),
            rooted_up_to: 0,
            streams: Streams::default(),
            times: Times::load(connection)?,
            rows: 0,
            signed_up_to: signed_up_to(&checkpoints, &trust.keys),
            last_receipt: i64::MIN,
            result: Verification {
                signatures_checked: !trust.keys.is_empty(),
                ..Verification::default()
            },
        };

        for first_position in damaged_cuts {
            walk.fault(Fault::Cut { first_position });
        }
        for position in damaged_checkpoints {
            walk.fault(Fault::Checkpoint { position });
        }
        walk.check_signatures(&cuts, &checkpoints, &trust.keys);
        walk.result.checkpoints = i64::try_from(checkpoints.len()).unwrap_or(i64::MAX);

        for Checkpoint { head, root, .. } in checkpoints {
            if head.position < FIRST {
                walk.fault(Fault::Checkpoint {
                    position: head.position,
                });
            }
            let hashes = walk.checkpoints.entry(head.position).or_default();
            hashes.push((head.hash, root));
            if root.is_some() {
                walk.rooted_up_to = walk.rooted_up_to.max(head.position);
            }
        }

        walk.cuts = cuts.into_iter().peekable();
        Ok(walk)
    }

    fn check_signatures(&mut self, cuts: &[Cut], checkpoints: &[Checkpoint], keys: &[PublicKey]) {
        if keys.is_empty() {
            return;
        }

        for cut in cuts
            .iter()
            .filter(|cut| !keys.iter().any(|key| cut.is_signed_by(key)))
        {
            self.fault(Fault::Signature {
                position: cut.first_position,
                key_id: cut.key_id.clone(),
            });
        }

        for point in checkpoints
            .iter()
            .filter(|point| !keys.iter().any(|key| point.is_signed_by(key)))
        {
            self.fault(Fault::Signature {
                position: point.head.position,
                key_id: point.key_id.clone(),
            });
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.result.fault(fault);
    }

    /// Processes the next row in the order of positions.
    pub(super) fn row(&mut self, row: &Scanned<'_>) {
        let position = row.position;
        self.rows += 1;
        if position > self.signed_up_to {
            self.result.rows_after_last_checkpoint += 1;
        }

        if position < FIRST {
            self.row_fault(row);
            return;
        }

        self.cross_cuts(position);
        let content = row
            .content
            .as_ref()
            .map(|content| (content, content.texts()));
        let next = self.reached.position.saturating_add(1);
        if position > next {
            self.fault(Fault::Missing {
                first_position: next,
                last_position: position - 1,
            });
        } else if position < next || !self.is_as_hashed(row, content.as_ref()) {
            self.row_fault(row);
        }

        self.trail.push(Step::Row(position, row.hash));
        self.reach(Head {
            position,
            hash: row.hash.unwrap_or_default(),
        });
        self.see(row, content);
    }

    fn is_as_hashed(&mut self, row: &Scanned<'_>, content: Option<&Readable<'_>>) -> bool {
        let Some((content, texts)) = content else {
            return false;
        };
        let hash = row.hash_behind(&self.reached.hash, content, texts, &mut self.hasher);
        row.hash == Some(hash)
            && row.is_consistent(texts)
            && self.times.include(row.position, row.at)
    }

    fn row_fault(&mut self, row: &Scanned<'_>) {
        let (position, uid) = (row.position, row.uid.clone());
        self.fault(Fault::Row { position, uid });
    }

    /// Follows the cuts that lie before the row at `position`.
    fn cross_cuts(&mut self, position: i64) {
        while let Some(cut) = self.cuts.next_if(|cut| cut.first_position < position) {
            self.cross(&cut);
        }
    }

    fn cross(&mut self, cut: &Cut) {
        let statement = cut.statement();
        let after = statement.as_ref().and_then(Statement::after);
        let (Some(statement), Some(after)) = (statement, after) else {
            return self.fault(Fault::Cut {
                first_position: cut.first_position,
            });
        };

        let next = self.reached.position.saturating_add(1);
        if cut.first_position > next {
            self.fault(Fault::Missing {
                first_position: next,
                last_position: cut.first_position - 1,
            });
        } else if cut.first_position < next || statement.before() != Some(self.reached.hash) {
            self.fault(Fault::Cut {
                first_position: cut.first_position,
            });
        }

        let deleted = statement
            .last_position
            .saturating_sub(statement.first_position)
            .saturating_add(1);
        self.result.deleted_rows = self.result.deleted_rows.saturating_add(deleted);
        self.streams.merge(statement.streams());

        self.trail.push(Step::Hole {
            first: cut.first_position,
            last: statement.last_position,
        });
        self.reach(Head {
            position: statement.last_position,
            hash: after,
        });
    }

    /// Moves on and compares the checkpoints on the way. Those within a cut cannot be compared any
    /// more.
    fn reach(&mut self, head: Head) {
        self.reached = head;

        while let Some(entry) = self.checkpoints.first_entry() {
            if *entry.key() > head.position {
                return;
            }
            let (position, hashes) = entry.remove_entry();
            if position != head.position {
                continue;
            }

            // With another hash, the root is that of other rows, too.
            if hashes.iter().any(|(hash, _)| *hash != head.hash) {
                self.fault(Fault::Checkpoint { position });
                continue;
            }
            let roots = hashes.into_iter().filter_map(|(_, root)| root);
            self.trail
                .extend(roots.map(|root| Step::Root(position, root)));
        }
    }

    /// Follows the cuts after the last row.
    pub(super) fn cross_last_cuts(&mut self) {
        self.cross_cuts(i64::MAX);
    }

    /// What the tree is made of, since the last call.
    pub(super) fn take_trail(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.trail)
    }

    /// Position of the last checkpoint with a root.
    pub(super) fn rooted_up_to(&self) -> i64 {
        self.rooted_up_to
    }

    fn see(&mut self, row: &Scanned<'_>, content: Option<Readable<'_>>) {
        let position = row.position;
        self.follow_clock(position, row.received_at);
        let Some((content, [stream, service, ..])) = content else {
            return;
        };
        let (Some(stream), Some(number)) = (stream, content.sequence_number()) else {
            return;
        };

        if self.streams.has_received(&stream, number) {
            self.result.fault(Fault::Number {
                position,
                stream_id: stream.clone().into_owned(),
                number,
            });
        }

        let sighting = Sighting {
            service: service.as_deref(),
            number,
            received_at: row.received_at,
            observed_at: row.observed_time,
            announced: announced(content, row.received_at),
        };
        self.streams.see(&stream, sighting);
    }

    fn follow_clock(&mut self, position: i64, received_at: i64) {
        if received_at < self.last_receipt.saturating_sub(STEP_BACK) {
            self.result.receipts_backwards += 1;
            self.result.first_receipt_backwards.get_or_insert(position);
        }
        self.last_receipt = received_at;
    }

    /// Views are made of rows, so they cannot be ahead of them.
    pub(super) fn compare_views(&mut self, views_position: i64, head_position: i64) {
        if views_position > head_position {
            self.fault(Fault::Views {
                views_position,
                head_position,
            });
        }
    }

    /// The result, once all rows and cuts are processed.
    pub(super) fn end(
        mut self,
        head: Option<Head>,
        moment: Moment,
        conflicts: i64,
    ) -> Verification {
        if head != Some(self.reached) {
            self.fault(Fault::Head {
                head_position: head.map_or(0, |head| head.position),
                last_position: self.reached.position,
            });
        }

        for position in std::mem::take(&mut self.checkpoints).into_keys() {
            self.fault(Fault::Checkpoint { position });
        }

        self.result.rows = self.rows;
        self.result.completeness = self.streams.report(
            moment,
            self.rows.saturating_add(self.result.deleted_rows),
            conflicts,
        );

        self.result
    }
}

fn announced(content: &Content<'_>, received_at: i64) -> Announced {
    if !Announced::has_more(&content.event_name) {
        return Announced::of_other(content.next_number());
    }
    let mut attributes = String::new();
    content.attributes(|text| attributes.push_str(text));
    Announced::read(&content.event_name, &attributes, received_at)
}

/// Without keys, every checkpoint counts.
fn signed_up_to(checkpoints: &[Checkpoint], keys: &[PublicKey]) -> i64 {
    let signed = checkpoints.iter().filter(|checkpoint| {
        keys.is_empty() || keys.iter().any(|key| checkpoint.is_signed_by(key))
    });
    signed
        .map(|checkpoint| checkpoint.head.position)
        .max()
        .unwrap_or_default()
}
