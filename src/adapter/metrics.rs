//! Publishes the counts of one worker to Envoy, which adds them up for the process.

use std::time::Duration;

use proxy_wasm::types::MetricType;

use super::imports;
use crate::stats::{CALLOUT_HISTOGRAM, Counter, Gauge, Gauges, Stats};

/// Envoy's ids of the statistics, with the last published values.
pub(super) struct Metrics {
    counters: Vec<(Counter, Option<u32>, u64)>,
    gauges: Vec<(Gauge, Option<u32>, u64)>,
    /// Values published by crashed VMs count as published by this one.
    inherited: Gauges,
    callouts: Option<u32>,
}

impl Metrics {
    /// Defines every statistic, so that all of them are visible from the start.
    pub(super) fn define() -> Self {
        let define = |kind, name| imports::define_metric(kind, name);
        let counter = |(counter, name)| (counter, define(MetricType::Counter, name), 0);
        let gauge = |(gauge, name)| (gauge, define(MetricType::Gauge, name), 0);
        Self {
            counters: Counter::ALL.into_iter().map(counter).collect(),
            gauges: Gauge::ALL.into_iter().map(gauge).collect(),
            inherited: [0; Gauge::ALL.len()],
            callouts: define(MetricType::Histogram, CALLOUT_HISTOGRAM),
        }
    }

    /// Publishes the values that changed since the last time: one host call each.
    pub(super) fn publish(&mut self, stats: &Stats, gauges: Gauges) {
        for (counter, id, published) in &mut self.counters {
            carry(*id, published, stats.counter(*counter));
        }

        for (((gauge, id, published), inherited), now) in
            self.gauges.iter_mut().zip(&mut self.inherited).zip(gauges)
        {
            let taken_over = stats.inherited(*gauge);
            let change = taken_over.wrapping_sub(std::mem::replace(inherited, taken_over));
            *published = published.wrapping_add(change);
            carry(*id, published, now);
        }

        for duration in stats.take_callouts() {
            self.observe(duration);
        }
    }

    /// Subtracts this worker's share from the process-wide gauges.
    pub(super) fn withdraw(&mut self) {
        for (_, id, published) in &mut self.gauges {
            carry(*id, published, 0);
        }
    }

    /// Leaves this worker's share of the gauges to its successor, which counts it from then on.
    pub(super) fn leave_share(&mut self) {
        for (_, _, published) in &mut self.gauges {
            *published = 0;
        }
    }

    fn observe(&self, duration: Duration) {
        if let Some(id) = self.callouts {
            imports::record_metric(id, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        }
    }
}

fn carry(id: Option<u32>, published: &mut u64, current: u64) {
    let difference = i128::from(current) - i128::from(*published);
    let (Some(id), Ok(offset @ (..=-1 | 1..))) = (id, i64::try_from(difference)) else {
        return;
    };
    if imports::increment_metric(id, offset) {
        *published = current;
    }
}
