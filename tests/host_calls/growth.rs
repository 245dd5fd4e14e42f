//! Parameters on which the cost of a request depends, and those on which it does not.

use serde_json::{Value, json};

use super::artefact::full;
use super::cases::hmac;
use super::exchange::Exchange;
use super::vm::Vm;

const METHOD: &str = "/demo.Accounts/ChangePassword";
/// Number of requests for a mean, for cases in which single requests differ: tables and numbers
/// grow now and then.
const SAMPLE: u64 = 50;

/// Fuel of one more such request.
fn fuel(sections: &Value, exchange: &Exchange) -> u64 {
    let mut vm = Vm::start(full(), sections);
    vm.warm_up(exchange);
    vm.exchange(exchange);
    vm.take_tally().fuel
}

fn print(what: &str, points: &[(usize, u64)]) {
    let base = points[0].1.max(1);
    let point = |(at, fuel): &(usize, u64)| format!("{at}: {fuel} ({:.2})", ratio(*fuel, base));
    println!(
        "{what:44} {}",
        points.iter().map(point).collect::<Vec<_>>().join("  ")
    );
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ratio(fuel: u64, base: u64) -> f64 {
    fuel as f64 / base as f64
}

/// The last cost is at most `factor` times the first.
#[track_caller]
fn assert_flat(what: &str, points: &[(usize, u64)], factor: f64) {
    print(what, points);
    let (first, last) = (points[0].1, points[points.len() - 1].1);
    assert!(
        ratio(last, first) <= factor,
        "{what}: more than {factor} times: {points:?}"
    );
}

/// From the second point to the last, each additional unit costs at most this.
#[track_caller]
fn assert_each(what: &str, points: &[(usize, u64)], fuel: u64) {
    print(what, points);
    let ((from, low), (to, high)) = (points[1], points[points.len() - 1]);
    let each = high.saturating_sub(low) / u64::try_from(to - from).unwrap();
    println!("{:44} {each} for one more", "");
    assert!(
        each <= fuel,
        "{what}: one more costs {each}, not {fuel}: {points:?}"
    );
}

/// Rules of one kind; a request meets the last of them or none. All have paths or values of one
/// length.
struct Rules {
    kind: &'static str,
    matching: fn(usize) -> Value,
    /// A request that meets the rule of this number.
    request: fn(usize) -> Exchange,
    /// Fuel that one more rule may cost a request that meets none, and one that is recorded.
    /// Sometimes two rules share a hash, which costs some 600 at one of them.
    each: [u64; 2],
}

const RULES: [Rules; 4] = [
    Rules {
        kind: "exact paths",
        matching: |number| json!({"path": {"exact": format!("/api/v1/item-{number:03}")}}),
        request: |number| Exchange::http(&format!("/api/v1/item-{number:03}")),
        each: [8, 8],
    },
    Rules {
        kind: "prefixes",
        matching: |number| json!({"path": {"prefix": format!("/api/v1/area-{number:03}/")}}),
        request: |number| Exchange::http(&format!("/api/v1/area-{number:03}/list")),
        each: [8, 15],
    },
    Rules {
        kind: "templates",
        matching: |number| json!({"path": {"template": format!("/api/v1/{{id}}/part-{number:03}")}}),
        request: |number| Exchange::http(&format!("/api/v1/17/part-{number:03}")),
        each: [8, 15],
    },
    Rules {
        kind: "header rules",
        matching: |number| json!({"headers": [{"name": "x-env", "exact": format!("env-{number:03}")}]}),
        request: |number| Exchange::http("/api/v1/item").with("x-env", &format!("env-{number:03}")),
        each: [8, 15],
    },
];

#[test]
fn one_more_rule_costs_little() {
    for Rules {
        kind,
        matching,
        request,
        each,
    } in RULES
    {
        let of = |count: usize, asked: usize| {
            let rule = |number| json!({"name": format!("r{number}"), "match": matching(number)});
            let rules: Vec<Value> = (0..count).map(rule).collect();
            (count, fuel(&json!({"rules": rules}), &request(asked)))
        };

        let counts = [1, 10, 100];
        assert_each(
            &format!("{kind}, none met"),
            &counts.map(|count| of(count, 999)),
            each[0],
        );
        assert_each(
            &format!("{kind}, the last met, recorded"),
            &counts.map(|count| of(count, count - 1)),
            each[1],
        );
    }
}

/// The requests of a worker wait while it parses its configuration.
#[test]
fn one_more_rule_costs_a_configuration_little() {
    for Rules { kind, matching, .. } in RULES {
        let of = |count: usize| {
            let rule = |number| json!({"name": format!("r{number}"), "match": matching(number)});
            let rules: Vec<Value> = (0..count).map(rule).collect();
            (
                count,
                Vm::start(full(), &json!({"rules": rules}))
                    .take_tally()
                    .fuel_of("configure"),
            )
        };
        assert_each(
            &format!("{kind}, to configure"),
            &[1, 10, 100, 1000].map(of),
            75_000,
        );
    }
}

/// The audit cluster never answers, and the buffer is large enough.
fn roomy() -> Value {
    json!({"buffer": {"max_records": 20_000, "max_bytes": 128 << 20, "immediate_reserve_percent": 0}})
}

/// Fuel per request of a VM that has more and more records; `exchange` makes each request from its
/// number.
fn fuel_after(
    sections: &Value,
    counts: &[usize],
    exchange: impl Fn(usize) -> Exchange,
) -> Vec<(usize, u64)> {
    let mut vm = Vm::start(full(), sections);
    vm.warm_up(&exchange(0));
    let mut made = 0;
    let mut next = |vm: &mut Vm| {
        vm.exchange(&exchange(made));
        made += 1;
        made
    };

    let point = |count: &usize| {
        while next(&mut vm) < *count {
            vm.wake();
        }
        vm.take_tally();
        (0..SAMPLE).for_each(|_| {
            next(&mut vm);
        });
        (*count, vm.take_tally().fuel / SAMPLE)
    };
    counts.iter().map(point).collect()
}

#[test]
fn buffered_records_cost_a_request_nothing() {
    let tracked = |_| Exchange::http(METHOD).tracked();
    let counts = [1, 100, 1000, 10_000];
    assert_flat(
        "buffered records, tracked",
        &fuel_after(&roomy(), &counts, tracked),
        1.02,
    );
}

#[test]
fn distinct_sessions_cost_a_request_nothing() {
    let mut sections = roomy();
    sections["session"] = hmac()["session"].clone();

    let distinct = |number: usize| {
        let id = format!("session-{number:08}");
        Exchange::http(METHOD)
            .tracked()
            .with("x-session-id", &id)
            .with("cookie", &format!("session={id}"))
    };
    assert_flat(
        "distinct sessions, tracked, hmac",
        &fuel_after(&sections, &[1, 10, 100, 1000], distinct),
        1.02,
    );
}

#[test]
fn a_byte_of_context_costs_its_copies() {
    let sections = json!({"tracking": {"on_empty_context": "record"}});
    let of = |bytes: usize| {
        let exchange = Exchange::http(METHOD)
            .tracked()
            .with("x-session-context", &"Zm9v".repeat(bytes / 4));
        (bytes, fuel(&sections, &exchange))
    };
    assert_each(
        "bytes of context, tracked",
        &[0, 64, 512, 2048, 8192].map(of),
        8,
    );
}

#[test]
fn one_more_header_costs_little() {
    let with = |exchange: Exchange, count: usize| {
        let missing = count.saturating_sub(exchange.request.len());
        (0..missing).fold(exchange, |exchange, number| {
            exchange.with(&format!("x-more-{number}"), "some value")
        })
    };

    let counts = [12, 16, 32, 64];
    let of = |exchange: &dyn Fn() -> Exchange| {
        counts.map(|count| (count, fuel(&json!({}), &with(exchange(), count))))
    };
    assert_each(
        "request headers, untracked",
        &of(&|| Exchange::http("/other")),
        160,
    );

    assert_each(
        "request headers, tracked",
        &of(&|| Exchange::http(METHOD).tracked()),
        335,
    );
}
