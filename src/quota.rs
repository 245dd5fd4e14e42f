//! A limit on the bytes kept for open exchanges: one in total, one per client connection.

use std::cell::Cell;
use std::rc::Rc;

/// Number of connection counters. Connections with equal numbers modulo this share a counter of
/// four bytes, so memory does not grow with the number of connections.
const SLOTS: u64 = 1024;

/// One connection may take a quarter of the quota, so that a single client cannot exhaust it.
const SHARE: usize = 4;

/// A byte limit shared by several exchanges. Bytes are taken through a [`Lease`].
#[derive(Debug, PartialEq, Eq)]
pub struct Quota {
    limit: usize,
    used: Cell<usize>,
    of_connections: Box<[Cell<usize>]>,
}

impl Quota {
    /// A quota of `limit` bytes, all free.
    #[must_use]
    pub fn new(limit: usize) -> Rc<Self> {
        let of_connections = (0..SLOTS).map(|_| Cell::new(0)).collect();
        Rc::new(Self {
            limit,
            used: Cell::new(0),
            of_connections,
        })
    }

    /// An empty lease for an exchange of this connection. Exchanges without a connection number
    /// share one counter.
    #[must_use]
    pub fn lease(self: &Rc<Self>, connection: Option<u64>) -> Lease {
        self.lease_within(self.limit, connection)
    }

    /// Like [`Self::lease`], with a lower total limit for this lease only.
    #[must_use]
    pub fn lease_within(self: &Rc<Self>, limit: usize, connection: Option<u64>) -> Lease {
        let slot = usize::try_from(connection.unwrap_or_default() % SLOTS).unwrap_or_default();
        Lease {
            quota: Rc::clone(self),
            limit: limit.min(self.limit),
            slot,
            bytes: 0,
        }
    }

    /// Bytes taken.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.get()
    }

    fn of_connection(&self, slot: usize) -> &Cell<usize> {
        self.of_connections.get(slot).unwrap_or(&self.used)
    }
}

/// Bytes taken from a quota; dropping the lease returns them.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    quota: Rc<Quota>,
    limit: usize,
    slot: usize,
    bytes: usize,
}

impl Lease {
    /// Bytes held by this lease.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns all bytes.
    pub fn end(&mut self) {
        // Fewer bytes always fit.
        let _ = self.resize(0);
    }

    /// Grows or shrinks the lease to this size. False: the quota or the connection's share is
    /// exhausted, and nothing has changed.
    ///
    /// The only lease of a quota or connection may exceed the limit. A limit below the need of one
    /// exchange thus admits one at a time.
    #[must_use]
    pub fn resize(&mut self, bytes: usize) -> bool {
        let Self {
            quota,
            limit,
            slot,
            bytes: had,
        } = self;
        let others = |used: &Cell<usize>| used.get().saturating_sub(*had);
        let has_room = |used: &Cell<usize>, limit: usize| match others(used) {
            0 => true,
            others => bytes <= limit.saturating_sub(others),
        };
        let of_connection = quota.of_connection(*slot);
        let fits = has_room(&quota.used, *limit) && has_room(of_connection, *limit / SHARE);
        if bytes > *had && !fits {
            return false;
        }

        for used in [&quota.used, of_connection] {
            used.set(others(used) + bytes);
        }

        *had = bytes;
        true
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(quota: &Rc<Quota>, connection: u64, bytes: usize) -> Option<Lease> {
        let mut lease = quota.lease(Some(connection));
        lease.resize(bytes).then_some(lease)
    }

    #[test]
    fn one_connection_has_a_share_and_all_have_the_rest() {
        let quota = Quota::new(100);
        let mut leases: Vec<Lease> = (0..5).filter_map(|_| taken(&quota, 7, 5)).collect();
        assert_eq!((leases.len(), quota.used()), (5, 25));
        assert_eq!(taken(&quota, 7, 1), None, "its share is used up");

        leases.extend((8..11).map(|connection| taken(&quota, connection, 25).unwrap()));
        assert_eq!(taken(&quota, 11, 1), None, "all is used up");

        leases.pop();
        assert_eq!(taken(&quota, 11, 25).map(|lease| lease.bytes), Some(25));
        leases.clear();
        assert_eq!(quota, Quota::new(100), "all is given back");
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let quota = Quota::new(100);
        let _other = taken(&quota, 7, 20).unwrap();
        let mut lease = taken(&quota, 7, 5).unwrap();
        assert!(!lease.resize(6) && lease.bytes == 5 && quota.used() == 25);
        assert!(lease.resize(2) && quota.used() == 22 && lease.resize(5));
    }

    #[test]
    fn who_has_a_lower_limit_takes_less_of_what_all_share() {
        let quota = Quota::new(usize::MAX);
        let mut large = quota.lease_within(1000, Some(1));
        assert!(large.resize(90));
        let mut small = quota.lease_within(100, Some(2));
        assert!(!small.resize(11) && small.resize(10));
        assert!(quota.lease_within(1000, Some(3)).resize(250));
    }

    #[test]
    fn one_at_a_time_is_always_let_through() {
        let quota = Quota::new(10);
        let large = taken(&quota, 1, 1000).unwrap();
        assert_eq!((taken(&quota, 1, 1), taken(&quota, 2, 1)), (None, None));
        drop(large);

        let share = taken(&quota, 1, 9).unwrap();
        assert_eq!(
            (taken(&quota, 1, 1), taken(&quota, 2, 1).is_some()),
            (None, true),
            "more than a quarter"
        );

        drop(share);
    }

    #[test]
    fn a_connection_without_a_number_has_a_share_like_any_other() {
        let quota = Quota::new(100);
        let mut lease = quota.lease(None);
        assert!(lease.resize(25) && !quota.lease(None).resize(1));
        assert!(taken(&quota, 1, 25).is_some());
    }

    proptest! {
        #[test]
        fn never_over_a_bound_and_nothing_leaks(
            limit in 0..300_usize,
            steps in prop::collection::vec((0..4_u8, 0..6_u64, 1..90_usize), 0..200),
        ) {
            let quota = Quota::new(limit);
            let mut leases: Vec<(u64, Lease)> = Vec::new();
            for (step, connection, bytes) in steps {
                match step {
                    0 => drop(leases.pop()),
                    1 => if let Some((_, lease)) = leases.first_mut() {
                        let _ = lease.resize(bytes);
                    },
                    _ => leases.extend(taken(&quota, connection, bytes).map(|lease| (connection, lease))),
                }

                let used = |of: &dyn Fn(u64) -> bool| -> (usize, usize) {
                    let mut counted = (0, 0);
                    for (_, lease) in leases.iter().filter(|(connection, lease)| of(*connection) && lease.bytes > 0) {
                        counted = (counted.0 + 1, counted.1 + lease.bytes);
                    }
                    counted
                };
                let (count, bytes) = used(&|_| true);

                prop_assert_eq!(quota.used(), bytes);
                prop_assert!(bytes <= limit || count == 1);
                for connection in 0..6 {
                    let (count, bytes) = used(&|of| of == connection);
                    prop_assert!(bytes <= limit / SHARE || count == 1);
                }
            }

            leases.clear();
            prop_assert_eq!(quota, Quota::new(limit));
        }
    }
}
