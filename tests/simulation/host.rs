//! The process statistics as Envoy keeps them: the sums of all VMs' increments, also after their
//! end.

use audit_filter::stats::{Counter, Gauge, Gauges, Stats};

/// Values that one VM has published.
#[derive(Default)]
pub struct Carried {
    counters: [u64; Counter::ALL.len()],
    gauges: Gauges,
    inherited: Gauges,
}

impl Carried {
    /// From now on its share of the gauges belongs to the successor, as in the adapter.
    pub fn leave_share(&mut self) {
        self.gauges = Gauges::default();
    }
}

/// Values that all VMs have published.
#[derive(Default)]
pub struct Host {
    counters: [u64; Counter::ALL.len()],
    gauges: Gauges,
}

impl Host {
    /// A VM publishes its changes, as the adapter does.
    pub fn publish(&mut self, carried: &mut Carried, stats: &Stats, gauges: Gauges) {
        for (counter, _) in Counter::ALL {
            let told = &mut carried.counters[counter as usize];
            self.counters[counter as usize] +=
                stats.counter(counter) - std::mem::replace(told, stats.counter(counter));
        }

        for ((gauge, name), now) in Gauge::ALL.into_iter().zip(gauges) {
            let (told, inherited) = (
                &mut carried.gauges[gauge as usize],
                &mut carried.inherited[gauge as usize],
            );
            let change = stats
                .inherited(gauge)
                .wrapping_sub(std::mem::replace(inherited, stats.inherited(gauge)));
            *told = told.wrapping_add(change);

            let raised = self.gauges[gauge as usize] + now;
            self.gauges[gauge as usize] = raised
                .checked_sub(std::mem::replace(told, now))
                .unwrap_or_else(|| panic!("{name} wraps"));
        }
    }

    /// The equation that always holds.
    pub fn check(&self) {
        let ended: u64 = Counter::ENDS
            .iter()
            .map(|counter| self.counters[*counter as usize])
            .sum();
        let held = self.gauges[Gauge::BufferRecords as usize];
        assert_eq!(
            self.counters[Counter::Captured as usize],
            ended + held,
            "the process's statistics do not add up"
        );
    }

    /// The same after the end of all streams.
    pub fn check_end(&self) {
        assert_eq!(
            self.gauges,
            [0; Gauge::ALL.len()],
            "the process's gauges are off"
        );
        self.check();
    }
}
