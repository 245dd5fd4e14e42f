//! Requests that wait for their record.

use super::super::watch::SILENT_SCANS_LIVING;
use super::*;
use crate::record::Received;
use crate::record::Stage;

impl Rig {
    fn admit(&mut self, required: RequireAudit) -> Admission {
        self.admit_of(Some(1), required)
    }

    fn admit_of(&mut self, connection: Option<u64>, required: RequireAudit) -> Admission {
        let record = Box::new(ExchangeRecord {
            stage: Stage::Received,
            outcome: None,
            http_status: None,
            ..*exchange("/")
        });
        let received = Received {
            record,
            connection,
            most_ending_bytes: 8192,
        };
        let admission = self.pipeline.admit(required, received, self.now);
        self.check();
        admission
    }

    #[track_caller]
    pub(super) fn hold(&mut self) -> u64 {
        let Admission::Hold { ticket, .. } = self.admit(RequireAudit::Acknowledged) else {
            panic!("not held")
        };
        ticket
    }

    pub(super) fn decisions(&mut self) -> Vec<(u64, bool)> {
        let decisions = std::iter::from_fn(|| self.pipeline.poll_decision());
        decisions
            .map(|Decision { ticket, proceed }| (ticket, proceed))
            .collect()
    }
}

#[test]
fn memory_is_reserved_for_the_record_of_the_end() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 2);
    rig.refuses = true;
    let Admission::Proceed(reservation) = rig.admit(RequireAudit::Buffered) else {
        panic!("refused")
    };
    rig.offer(5);

    assert_eq!(rig.count(Counter::DroppedBufferFull), 4);
    assert_eq!(rig.admit(RequireAudit::Buffered), Admission::Refuse, "full");
    assert_eq!(rig.count(Counter::RequestsRefused), 1);

    let _ = rig
        .pipeline
        .handle_exchange(exchange("/"), Some(reservation), rig.now);
    assert_eq!(
        rig.count(Counter::DroppedBufferFull),
        4,
        "its place was kept"
    );
}

#[test]
fn an_unused_reservation_is_released() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 1);
    let Admission::Proceed(reservation) = rig.admit(RequireAudit::Buffered) else {
        panic!("refused")
    };
    rig.pipeline.handle_no_exchange(Some(reservation));

    assert!(matches!(
        rig.admit(RequireAudit::Buffered),
        Admission::Proceed(_)
    ));
    assert_eq!(rig.count(Counter::Captured), 0, "nothing was captured");
}

#[test]
fn a_request_is_held_until_its_receipt_is_acknowledged() {
    let mut rig = Rig::new(|_| {});
    rig.started();
    let number = rig.pipeline.numbers_given_out();
    let Admission::Hold { ticket, wakes, .. } = rig.admit(RequireAudit::Acknowledged) else {
        panic!("not held")
    };

    assert!(wakes);

    let sent = rig.send_one();
    assert_eq!(sent.numbers(), [number]);
    assert!(
        sent.body
            .contains(r#""key":"audit.stage","value":{"stringValue":"received"}"#),
        "{}",
        sent.body
    );
    assert!(
        !sent.body.contains("audit.outcome") && !sent.body.contains("audit.duration_ms"),
        "{}",
        sent.body
    );
    assert!(rig.decisions().is_empty());

    rig.answer(&sent, 200);
    assert_eq!(rig.decisions(), [(ticket, true)]);
    assert!(rig.decisions().is_empty(), "decided once");
}

#[test]
fn a_retry_within_the_deadline_saves_it() {
    let mut rig = Rig::new(|_| {});
    let ticket = rig.started().hold();
    let sent = rig.send_one();
    rig.answer(&sent, 503);
    assert!(rig.decisions().is_empty());
    let again = rig.pass(Duration::from_secs(1)).send_one();
    rig.answer(&again, 200);
    assert_eq!(rig.decisions(), [(ticket, true)]);
}

#[test]
fn it_is_refused_at_the_deadline_whatever_became_of_the_callout() {
    let mut rig = Rig::new(|_| {});
    let ticket = rig.started().hold();
    let sent = rig.send_one();
    rig.pass(TIMEOUT - Duration::from_nanos(1));

    assert!(rig.decisions().is_empty());

    rig.pass(Duration::from_nanos(1));
    assert_eq!(
        (rig.decisions(), rig.count(Counter::RequestsRefused)),
        (vec![(ticket, false)], 1)
    );

    rig.answer(&sent, 200);
    assert_eq!(rig.pipeline.unacknowledged(), None);
    assert!(rig.decisions().is_empty(), "too late");
}

#[test]
fn it_is_refused_at_once_when_no_retry_can_be_in_time() {
    let mut rig = Rig::new(|_| {});
    let ticket = rig.started().hold();
    let sent = rig.send_one();
    rig.answer_with(&sent, Some(429), Some("6"), "");

    assert_eq!(rig.decisions(), [(ticket, false)]);
    assert_eq!(
        rig.admit(RequireAudit::Acknowledged),
        Admission::Refuse,
        "before a record is made"
    );
    assert_eq!(
        (
            rig.count(Counter::Captured),
            rig.count(Counter::RequestsRefused)
        ),
        (3, 2)
    );

    rig.pass(Duration::from_secs(2)).hold();
}

#[test]
fn it_is_refused_when_its_receipt_is_rejected_or_maybe_rejected() {
    let mut rig = Rig::new(|_| {});
    let first = rig.started().hold();
    let sent = rig.send_one();
    rig.answer(&sent, 400);

    assert_eq!(rig.decisions(), [(first, false)]);

    let tickets = [rig.hold(), rig.hold()];
    let sent = rig.send_one();
    rig.answer_with(
        &sent,
        Some(200),
        None,
        r#"{"partialSuccess":{"rejectedLogRecords":1}}"#,
    );
    let mut refused = rig.decisions();
    refused.sort_unstable();

    assert_eq!(refused, tickets.map(|ticket| (ticket, false)));
}

#[test]
fn it_is_refused_when_its_receipt_is_dropped() {
    let mut rig = Rig::new(|settings| settings.retry.max_attempts = Some(1));
    let ticket = rig.started().hold();
    let sent = rig.send_one();
    rig.answer(&sent, 503);
    assert_eq!(rig.decisions(), [(ticket, false)]);

    let mut rig = Rig::new(|settings| settings.buffer.max_records = 1);
    rig.refuses = true;
    assert_eq!(
        rig.admit(RequireAudit::Acknowledged),
        Admission::Refuse,
        "a place for one, and two are needed"
    );
    assert_eq!(rig.count(Counter::DroppedBufferFull), 1);
}

#[test]
fn it_is_refused_when_its_receipt_is_pushed_out() {
    let mut rig = Rig::new(|settings| {
        (settings.buffer.max_records, settings.buffer.on_full) = (3, OnFull::DropOldest)
    });
    let ticket = rig.hold();
    rig.offer_immediate(1);
    assert_eq!(rig.decisions(), []);
    rig.offer_immediate(1);
    assert_eq!(rig.decisions(), [(ticket, false)]);
}

#[test]
fn a_request_that_is_gone_is_not_decided() {
    let mut rig = Rig::new(|_| {});
    let ticket = rig.started().hold();
    let sent = rig.send_one();
    rig.pipeline.handle_request_gone(ticket);
    rig.answer(&sent, 200).pass(TIMEOUT);
    assert!(rig.decisions().is_empty());
}

/// The default buffer, with only the test's records.
fn with_default_buffer() -> Rig {
    let mut rig = Rig::new(|settings| {
        settings.buffer = BufferLimits {
            max_records: 10_000,
            max_bytes: 8 << 20,
            on_full: OnFull::DropNewest,
            immediate_reserve_percent: 10,
        };
    });
    rig.refuses = true;
    rig
}

#[test]
fn slow_requests_leave_the_records_of_others_half_of_their_room() {
    let mut rig = with_default_buffer();
    let mut reservations = Vec::new();
    for number in 0..720 {
        if let Admission::Proceed(reservation) =
            rig.admit_of(Some(number % 8), RequireAudit::Buffered)
        {
            reservations.push(reservation);
        }
    }

    assert_eq!(
        rig.count(Counter::RequestsRefused),
        720 - reservations.len() as u64
    );
    assert!(reservations.len() > 300, "{} of 720", reservations.len());

    rig.offer(4000);
    assert_eq!(rig.count(Counter::DroppedBufferFull), 0);

    rig.offer(6000);
    assert!(
        rig.count(Counter::DroppedBufferFull) > 0,
        "the buffer is full in the end"
    );

    let before = rig.count(Counter::DroppedBufferFull);
    for reservation in reservations {
        let _ = rig
            .pipeline
            .handle_exchange(exchange("/"), Some(reservation), rig.now);
    }
    assert_eq!(
        rig.count(Counter::DroppedBufferFull),
        before,
        "what was promised is kept"
    );
}

#[test]
fn slow_requests_of_one_connection_leave_reservations_to_another() {
    let mut rig = with_default_buffer();
    let mut admitted = |connection| {
        let admissions = (0..400).map(|_| rig.admit_of(Some(connection), RequireAudit::Buffered));
        let reservations: Vec<Admission> = admissions
            .take_while(|admission| *admission != Admission::Refuse)
            .collect();
        let count = reservations.len();
        std::mem::forget(reservations);
        count
    };
    let first = admitted(1);

    assert!((90..120).contains(&first), "{first}");
    assert_eq!([2, 3, 4].map(&mut admitted), [first; 3]);
    assert!(admitted(5) < first / 10, "all places are taken");
}

/// The immediate lane may be full of other records.
#[test]
fn an_immediate_record_with_a_reservation_is_kept_in_any_case() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 10);
    rig.refuses = true;
    let Admission::Proceed(reservation) = rig.admit(RequireAudit::Buffered) else {
        panic!("refused")
    };
    rig.offer_immediate(20);
    let before = rig.count(Counter::DroppedBufferFull);

    assert!(before > 0);

    let immediate = Box::new(ExchangeRecord {
        immediate: true,
        ..*exchange("/")
    });
    let _ = rig
        .pipeline
        .handle_exchange(immediate, Some(reservation), rig.now);

    assert_eq!(rig.count(Counter::DroppedBufferFull), before);
}

/// Tickets identify requests while these go on; record numbers may restart in between.
#[test]
fn no_two_requests_have_one_ticket() {
    let mut rig = Rig::new(|_| {});
    let first = rig.hold();
    let sent = rig.send_one();
    rig.answer(&sent, 200);
    assert_eq!(rig.decisions(), [(first, true)]);
    rig.tick();
    let mut other = Rig::in_vm(Uuid::from_u128(8), Uuid::from_u128(71), &rig.shared, |_| {});
    for _ in 0..SILENT_SCANS_LIVING + 2 {
        other.tick();
    }
    rig.tick();
    assert_ne!(rig.pipeline.stream_id(), STREAM, "it stood still");

    let second = rig.hold();
    rig.pipeline.handle_request_gone(first);
    rig.pass(TIMEOUT * 2);
    assert_eq!(rig.decisions(), [(second, false)]);
}

#[test]
fn a_request_that_is_refused_pushes_out_nothing() {
    let mut rig = Rig::new(|settings| {
        settings.buffer.max_bytes = 64 << 10;
        settings.buffer.max_records = 1000;
        settings.buffer.on_full = OnFull::DropOldest;
    });
    rig.started().hold();
    let sent = rig.send_one();
    rig.answer_with(&sent, Some(429), Some("60"), "");
    while rig.count(Counter::DroppedBufferFull) == 0 {
        rig.offer(1);
    }
    let (dropped, bytes) = (
        rig.count(Counter::DroppedBufferFull),
        rig.gauge(Gauge::BufferBytes),
    );
    for _ in 0..50 {
        assert_eq!(rig.admit(RequireAudit::Acknowledged), Admission::Refuse);
    }
    let now = (
        rig.count(Counter::DroppedBufferFull),
        rig.gauge(Gauge::BufferBytes),
    );

    assert_eq!(now, (dropped, bytes));
}

/// Half of the buffer, however many configurations of the plugin there are.
#[test]
fn reservations_of_two_configurations_have_one_bound() {
    let (account, shared) = (Rc::default(), Rc::default());
    let rig = |stream: u128| {
        Rig::with(
            Uuid::from_u128(stream),
            VM,
            &shared,
            &[],
            &account,
            |settings| settings.buffer.max_bytes = 1 << 20,
        )
    };
    let (mut old, mut new) = (rig(1), rig(2));
    let mut reservations = Vec::new();

    for rig in [&mut old, &mut new] {
        for connection in 0..400 {
            if let Admission::Proceed(reservation) =
                rig.admit_of(Some(connection % 8), RequireAudit::Buffered)
            {
                reservations.push(reservation);
            }
        }
    }

    let bytes = |rig: &Rig| rig.gauge(Gauge::BufferBytes);
    assert!(
        reservations.len() > 10 && bytes(&old) + bytes(&new) <= 1 << 19,
        "{} {}",
        bytes(&old),
        bytes(&new)
    );

    new.offer(20);
    assert_eq!(
        new.count(Counter::DroppedBufferFull),
        0,
        "the other half is for records"
    );
}
