//! State of a stream, in whatever order its records come.

use super::*;

fn stream(numbers: &[(i64, i64)]) -> Stream {
    let mut stream = Stream::default();
    for &(number, received_at) in numbers {
        stream.see(sighting(
            Some("shop"),
            number,
            received_at,
            Announced::default(),
        ));
    }
    stream
}

fn sighting(
    service: Option<&str>,
    number: i64,
    received_at: i64,
    announced: Announced,
) -> Sighting<'_> {
    Sighting {
        service,
        number,
        received_at,
        observed_at: 0,
        announced,
    }
}

fn event(stream: &mut Stream, number: i64, received_at: i64, event: Event) {
    stream.see(sighting(
        None,
        number,
        received_at,
        Announced { next: None, event },
    ));
}

/// A record of a batch with the next number at its sealing.
fn batched(stream: &mut Stream, number: i64, received_at: i64, next: i64) {
    stream.see(sighting(
        None,
        number,
        received_at,
        Announced {
            next: Some(next),
            event: Event::Other,
        },
    ));
}

fn end(stream: &mut Stream, number: i64, received_at: i64, next: i64) {
    stream.see(sighting(
        None,
        number,
        received_at,
        Announced {
            next: Some(next),
            event: Event::End,
        },
    ));
}

fn loss(first: i64, last: i64) -> Event {
    Event::Loss(Loss {
        first,
        last,
        count: last - first + 1,
        reason: "buffer_full".to_owned(),
        since: 9,
    })
}

#[test]
fn a_dense_stream_misses_nothing() {
    assert_eq!(stream(&[(0, 1), (1, 2), (2, 3)]).missing(), []);
}

#[test]
fn a_hole_is_known_since_something_beyond_it_came() {
    let stream = stream(&[(0, 1), (3, 7), (2, 8), (9, 20)]);
    let expected = [
        Range {
            first: 1,
            last: 1,
            since: 7,
        },
        Range {
            first: 4,
            last: 8,
            since: 20,
        },
    ];

    assert_eq!(stream.missing(), expected);
}

#[test]
fn a_stream_that_does_not_begin_with_0_misses_its_beginning() {
    assert_eq!(
        stream(&[(2, 5)]).missing(),
        [Range {
            first: 0,
            last: 1,
            since: 5
        }]
    );
}

#[test]
fn a_loss_record_explains_what_was_not_received() {
    let mut stream = stream(&[(0, 1), (5, 2)]);
    event(&mut stream, 6, 9, loss(1, 5));
    assert_eq!((stream.missing(), stream.explained_count()), (vec![], 4));
    assert_eq!(stream.service.as_deref(), Some("shop"));
}

#[test]
fn a_loss_record_explains_nothing_that_comes_after_it() {
    let mut stream = stream(&[(0, 1), (9, 2)]);
    event(&mut stream, 2, 9, loss(1, i64::MAX));
    assert_eq!((stream.missing().len(), stream.explained_count()), (2, 0));
}

#[test]
fn losses_that_overlap_are_counted_once() {
    let mut stream = stream(&[(0, 1)]);
    event(&mut stream, 6, 9, loss(1, 4));
    event(&mut stream, 7, 9, loss(3, 5));
    assert_eq!((stream.missing(), stream.explained_count()), (vec![], 5));
}

#[test]
fn the_end_tells_what_came_before_it() {
    let mut stream = stream(&[(0, 1)]);
    end(&mut stream, 4, 6, 5);
    assert_eq!(
        stream.missing(),
        [Range {
            first: 1,
            last: 3,
            since: 6
        }]
    );

    event(&mut stream, 1, 7, Event::Other);
    event(&mut stream, 2, 7, Event::Other);
    event(&mut stream, 3, 7, Event::Other);
    assert_eq!(stream.missing(), []);
}

#[test]
fn an_end_that_promises_more_than_came_leaves_a_gap() {
    let mut stream = stream(&[(0, 1)]);
    end(&mut stream, 1, 6, 4);

    assert_eq!(
        stream.missing(),
        [Range {
            first: 2,
            last: 3,
            since: 6
        }]
    );
}

#[test]
fn a_batch_tells_what_existed_when_it_was_sealed() {
    let mut stream = stream(&[(0, 1)]);
    batched(&mut stream, 1, 6, 5);
    assert_eq!(
        stream.missing(),
        [Range {
            first: 2,
            last: 4,
            since: 6
        }]
    );

    batched(&mut stream, 4, 8, 5);
    assert_eq!(
        stream.missing(),
        [Range {
            first: 2,
            last: 3,
            since: 8
        }]
    );

    // A batch that was sealed earlier and arrives later has a lower number.
    batched(&mut stream, 2, 9, 3);
    assert_eq!((stream.next, stream.missing().len()), (Some((5, 6)), 1));
}

#[test]
fn the_unknown_begins_with_the_latest_record_but_not_in_the_future() {
    let mut stream = Stream::default();
    for (number, received_at, observed_at) in [(0, 10, 8), (1, 20, 14), (2, 30, 12), (3, 31, 99)] {
        stream.see(Sighting {
            observed_at,
            ..sighting(None, number, received_at, Announced::default())
        });
    }

    assert_eq!(stream.made, 31, "a clock that is ahead is not believed");
}

#[test]
fn merging_is_seeing_all_records() {
    let (mut all, mut first) = (stream(&[(0, 1), (1, 2), (4, 3)]), stream(&[(4, 3)]));
    first.merge(stream(&[(0, 1), (1, 2)]));
    assert_eq!(first, all);
    first.merge(Stream::default());
    assert_eq!(first, all);

    let told = |stream: &mut Stream| {
        batched(stream, 5, 7, 9);
        batched(stream, 6, 8, 9);
        event(
            stream,
            7,
            8,
            Event::Start(StreamLimits {
                alive_interval_ms: Some(1),
                buffer_records: Some(2),
            }),
        );
        end(stream, 8, 9, 9);
    };

    let mut later = Stream::default();
    told(&mut later);
    told(&mut all);
    first.merge(later);
    assert_eq!(first, all);
}
