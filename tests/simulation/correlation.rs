//! Scope process of the correlation pairs: workers that share a session assign each number once,
//! under races, host refusals, and other writers in the process.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use audit_filter::host::SharedData;
use audit_filter::recorder::correlation::{Correlation, Correlator, Scope};
use proptest::prelude::*;
use uuid::Uuid;

const KEY: &str = "audit_filter.correlation";
const STREAM: Uuid = Uuid::from_u128(u128::MAX);
const LAST: u32 = 2_147_483_646;

/// A value and its version.
type Versioned = (Vec<u8>, u32);

/// Shared data as the host has it: one for all threads. Each thread wraps it in a separate
/// [`SharedData`].
#[derive(Clone, Debug, Default)]
struct Process {
    value: Arc<Mutex<Option<Versioned>>>,
    lost_races: Arc<AtomicU64>,
}

impl Process {
    fn holding(value: &[u8]) -> Self {
        let process = Self::default();
        process.set(KEY, value);
        process
    }

    fn correlator(&self) -> Correlator {
        Correlator::new(Scope::Process, STREAM, Rc::new(self.clone()))
    }

    fn read(&self) -> Option<Versioned> {
        self.value.lock().unwrap().clone()
    }

    fn value(&self) -> Vec<u8> {
        self.read().unwrap().0
    }
}

impl SharedData for Process {
    fn get(&self, key: &str) -> Option<Versioned> {
        assert_eq!(key, KEY);
        let found = self.read();
        // Makes a change between the read and the replacement likely.
        thread::yield_now();
        found
    }

    fn set(&self, key: &str, value: &[u8]) {
        assert_eq!(key, KEY);
        let mut place = self.value.lock().unwrap();
        let version = place.as_ref().map_or(1, |(_, version)| version + 1);
        *place = Some((value.to_vec(), version));
    }

    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        assert_eq!(key, KEY);
        let mut place = self.value.lock().unwrap();
        if place.as_ref().map(|(_, current)| *current) != version {
            self.lost_races.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        *place = Some((value.to_vec(), version.unwrap_or(0) + 1));
        true
    }
}

fn pair(session: u128, number: u32) -> Option<Correlation> {
    Some(Correlation {
        session_id: Uuid::from_u128(session),
        number,
    })
}

/// The value in shared data before this pair is assigned.
fn value(session: u128, number: u32) -> Vec<u8> {
    [
        &[1],
        session.to_be_bytes().as_slice(),
        &number.to_le_bytes(),
    ]
    .concat()
}

/// Sessions 1, 2, 3 and so on.
fn counting() -> impl FnMut() -> Option<Uuid> {
    let mut sessions = 0;
    move || {
        sessions += 1;
        Some(Uuid::from_u128(sessions))
    }
}

fn none_left() -> Option<Uuid> {
    None
}

#[test]
fn workers_of_a_process_share_one_session() {
    let process = Process::default();
    let (mut one, mut other) = (process.correlator(), process.correlator());
    let mut fresh = counting();

    assert_eq!(one.next(&mut none_left), None, "a session must begin");
    assert_eq!(one.next(&mut fresh), pair(1, 0));
    assert_eq!(other.next(&mut fresh), pair(1, 1));
    assert_eq!(other.next(&mut none_left), pair(1, 2));
    assert_eq!(one.next(&mut none_left), pair(1, 3));
    assert_eq!(
        process.value(),
        value(1, 4),
        "what every worker of this version reads"
    );
}

#[test]
fn a_processs_session_changes_before_the_largest_int32() {
    let mut correlator = Process::holding(&value(7, LAST)).correlator();
    assert_eq!(correlator.next(&mut none_left), pair(7, LAST));
    assert_eq!(correlator.next(&mut none_left), None);
    assert_eq!(correlator.next(&mut counting()), pair(1, 0));
    assert_eq!(correlator.next(&mut none_left), pair(1, 1));
}

#[test]
fn a_value_that_cannot_be_read_begins_a_new_session() {
    let legal = value(7, 5);
    let foreign = [&[2], &legal[1..]].concat();
    let longer = [&legal[..], &[0]].concat();

    for unreadable in [
        &[][..],
        b"text",
        &legal[..20],
        &longer,
        &foreign,
        &value(7, u32::MAX),
    ] {
        let process = Process::holding(unreadable);
        let mut correlator = process.correlator();
        assert_eq!(correlator.next(&mut none_left), None, "{unreadable:?}");
        assert_eq!(
            process.value(),
            unreadable,
            "nothing is written without a session"
        );

        assert_eq!(
            correlator.next(&mut counting()),
            pair(1, 0),
            "{unreadable:?}"
        );
        assert_eq!(
            correlator.next(&mut none_left),
            pair(1, 1),
            "{unreadable:?}"
        );
    }
}

#[test]
fn without_shared_data_there_is_no_pair_and_an_end_of_attempts() {
    #[derive(Debug, Default)]
    struct Refusing(Cell<u32>);

    impl SharedData for Refusing {
        fn get(&self, _key: &str) -> Option<Versioned> {
            None
        }

        fn set(&self, _key: &str, _value: &[u8]) {}

        fn replace(&self, _key: &str, _value: &[u8], _version: Option<u32>) -> bool {
            self.0.set(self.0.get() + 1);
            assert!(self.0.get() < 1000, "still trying");
            false
        }
    }

    let mut correlator = Correlator::new(Scope::Process, STREAM, Rc::new(Refusing::default()));
    assert_eq!(correlator.next(&mut counting()), None);
}

/// Number of pairs of each session. Each session must be dense from its first number.
fn dense_sessions(mut pairs: Vec<Correlation>, first: impl Fn(Uuid) -> u32) -> BTreeMap<Uuid, u32> {
    pairs.sort_by_key(|pair| (pair.session_id, pair.number));
    let mut counts = BTreeMap::new();
    for pair in pairs {
        let count: &mut u32 = counts.entry(pair.session_id).or_default();
        assert_eq!(
            pair.number,
            first(pair.session_id) + *count,
            "{}",
            pair.session_id
        );
        *count += 1;
    }

    counts
}

/// All pairs that four concurrent threads get.
fn pairs_of_threads(process: &Process, each: usize) -> Vec<Correlation> {
    const THREADS: usize = 4;
    let (barrier, sessions) = (Barrier::new(THREADS), AtomicU64::new(1));

    let take = || {
        let mut correlator = process.correlator();
        let mut fresh = || {
            Some(Uuid::from_u128(
                sessions.fetch_add(1, Ordering::Relaxed).into(),
            ))
        };
        barrier.wait();

        let mut pairs = Vec::new();
        while pairs.len() < each {
            // `None`: other threads won each attempt. No number was used, so the next call
            // continues.
            pairs.extend(correlator.next(&mut fresh));
        }
        pairs
    };

    thread::scope(|scope| {
        let running: Vec<_> = (0..THREADS).map(|_| scope.spawn(take)).collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

#[test]
fn threads_hand_out_every_number_once() {
    let process = Process::default();
    let sessions = dense_sessions(pairs_of_threads(&process, 10_000), |_| 0);
    assert_eq!(sessions.into_values().collect::<Vec<_>>(), [40_000]);
    assert!(
        process.lost_races.load(Ordering::Relaxed) > 0,
        "no race was ever lost: nothing is proved"
    );
}

#[test]
fn threads_change_the_session_once() {
    const NUMBER: u32 = LAST - 4_999;
    let process = Process::holding(&value(STREAM.as_u128(), NUMBER));
    let first = |session| if session == STREAM { NUMBER } else { 0 };
    let sessions = dense_sessions(pairs_of_threads(&process, 5_000), first);
    assert_eq!(sessions.into_values().collect::<Vec<_>>(), [15_000, 5_000]);
}

/// An event between the read of a value and its replacement.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meanwhile {
    Nothing,
    /// Another worker takes a pair.
    Rival,
    /// Another version of the filter writes its value.
    Foreign,
    /// The host refuses.
    Refusal,
}

#[derive(Debug)]
struct Scripted {
    process: Process,
    script: RefCell<Vec<Meanwhile>>,
    sessions: Cell<u128>,
    taken_by_rivals: RefCell<Vec<Correlation>>,
}

impl SharedData for Scripted {
    fn get(&self, _key: &str) -> Option<Versioned> {
        self.process.read()
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.process.set(key, value);
    }

    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        let meanwhile = self.script.borrow_mut().pop().unwrap_or(Meanwhile::Nothing);
        match meanwhile {
            Meanwhile::Nothing | Meanwhile::Refusal => {}
            Meanwhile::Rival => {
                let pair = self.process.correlator().next(&mut || self.fresh());
                self.taken_by_rivals.borrow_mut().extend(pair);
            }
            Meanwhile::Foreign => self.set(key, &[2; 40]),
        }

        meanwhile != Meanwhile::Refusal && self.process.replace(key, value, version)
    }
}

impl Scripted {
    /// `script` holds the last step first.
    fn new(script: Vec<Meanwhile>) -> Rc<Self> {
        Rc::new(Self {
            process: Process::default(),
            script: RefCell::new(script),
            sessions: Cell::default(),
            taken_by_rivals: RefCell::default(),
        })
    }

    fn correlator(self: &Rc<Self>) -> Correlator {
        Correlator::new(Scope::Process, STREAM, Rc::<Self>::clone(self))
    }

    fn fresh(&self) -> Option<Uuid> {
        self.sessions.set(self.sessions.get() + 1);
        Some(Uuid::from_u128(self.sessions.get()))
    }
}

#[test]
fn a_worker_that_was_overtaken_tries_again() {
    let shared = Scripted::new(vec![Meanwhile::Rival; 10]);
    let first = shared.correlator().next(&mut || shared.fresh());
    assert_eq!(
        first.map(|pair| pair.number),
        Some(10),
        "the rivals have the ten before"
    );
}

/// Mostly refusals, so that attempts also run out.
fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![
        4 => Just(Meanwhile::Nothing),
        8 => Just(Meanwhile::Rival),
        1 => Just(Meanwhile::Foreign),
        60 => Just(Meanwhile::Refusal),
    ]
}

proptest! {
    // A case has some hundred steps.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_pair_is_handed_out_twice_and_none_is_left_out(
        script in proptest::collection::vec(meanwhile(), 0..400),
        has_fresh in proptest::collection::vec(any::<bool>(), 50),
    ) {
        let foreign = script.iter().filter(|step| **step == Meanwhile::Foreign).count();
        let shared = Scripted::new(script);
        let mut correlator = shared.correlator();
        let fresh = |has_fresh: bool| if has_fresh { shared.fresh() } else { None };
        let own = has_fresh.into_iter().filter_map(|has_fresh| correlator.next(&mut || fresh(has_fresh)));
        let mut pairs: Vec<_> = own.collect();
        pairs.extend(shared.taken_by_rivals.borrow().iter());

        let used = dense_sessions(pairs, |_| 0).len();
        prop_assert!(used <= foreign + 1, "{used} sessions, and only {foreign} foreign values");
    }
}
