//! Ratios and their targets.

use testkit::bench::measure::{Measured, Outcome};
use testkit::bench::requests::Traffic;
use testkit::quantile;

/// The row in the denominator of a ratio.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Against {
    NoFilter,
    DoNothing,
    /// With Envoy's default settings.
    OtelLog,
    /// With batches as long as the audit filter's.
    OtelLogLongBatches,
}

impl Against {
    pub const ALL: [Self; 4] = [
        Self::NoFilter,
        Self::DoNothing,
        Self::OtelLog,
        Self::OtelLogLongBatches,
    ];

    /// Numerator and denominator, for the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::NoFilter => "in all / no filter",
            Self::DoNothing => "added / do-nothing",
            Self::OtelLog => "added / OTel access log",
            Self::OtelLogLongBatches => "added / OTel access log, 64 KB",
        }
    }

    fn row(self) -> &'static str {
        match self {
            Self::NoFilter => "no filter",
            Self::DoNothing => "do-nothing",
            Self::OtelLog => "OTel access log",
            Self::OtelLogLongBatches => "OTel access log, 64 KB",
        }
    }

    /// The upper limit for the audit filter; `None`: no target.
    fn target(self, outcome: &Outcome) -> Option<f64> {
        let is_ours = outcome.name.starts_with("audit") || outcome.name.starts_with("lean");
        match (self, outcome.requests.traffic) {
            _ if !is_ours => None,
            (Self::OtelLog, Traffic::Tracked) => Some(0.75),
            (Self::DoNothing, Traffic::Tracked) => Some(1.6),
            (Self::DoNothing, Traffic::TrackedGrpc) => Some(1.7),
            (Self::DoNothing, Traffic::Check) => Some(1.5),
            (Self::DoNothing, Traffic::Untracked) => Some(if outcome.name.ends_with("100 rules") {
                1.1
            } else {
                1.0
            }),
            _ => None,
        }
    }
}

/// One ratio of one row.
pub struct Ratio {
    pub row: String,
    pub against: Against,
    /// `None`: no target.
    target: Option<f64>,
    row_micros: Vec<f64>,
    /// The row without a filter.
    none: Vec<f64>,
    /// The row in the denominator.
    other: Vec<f64>,
}

impl Ratio {
    /// All ratios of a group.
    pub fn all(measured: &Measured) -> Vec<Self> {
        let of = |outcome| {
            Against::ALL
                .into_iter()
                .filter_map(move |against| Self::new(measured, outcome, against))
        };
        measured.outcomes.iter().flat_map(of).collect()
    }

    fn new(measured: &Measured, outcome: &Outcome, against: Against) -> Option<Self> {
        let other = measured.find(against.row(), outcome)?;
        if std::ptr::eq(other, outcome) || outcome.name == Against::NoFilter.row() {
            return None;
        }

        Some(Self {
            row: format!("{}, {}", outcome.requests.traffic.name(), outcome.name),
            against,
            target: against.target(outcome),
            row_micros: outcome.micros(),
            none: measured.base(outcome).micros(),
            other: other.micros(),
        })
    }

    /// The ratio of the quantiles at `share` over the first `rounds` rounds.
    pub fn value(&self, share: f64, rounds: usize) -> f64 {
        let [row, none, other] = [&self.row_micros, &self.none, &self.other]
            .map(|micros| quantile(&micros[..rounds], share));
        self.divide(row, none, other)
    }

    /// The ratio of each round.
    fn rounds(&self) -> Vec<f64> {
        let both = self.none.iter().zip(&self.other);
        self.row_micros
            .iter()
            .zip(both)
            .map(|(row, (none, other))| self.divide(*row, *none, *other))
            .collect()
    }

    /// Infinite where noise hides the cost added by the other row.
    fn divide(&self, row: f64, none: f64, other: f64) -> f64 {
        match self.against {
            Against::NoFilter => row / none,
            _ if other <= none => f64::INFINITY,
            _ => (row - none) / (other - none),
        }
    }
}

/// Prints the ratios of one group.
pub fn print(measured: &Measured) {
    println!(
        "ratios, median (lowest decile) of the rounds; middle half of the ratios within a round"
    );

    let ratios = Ratio::all(measured);
    for against in Against::ALL {
        let mut rows = ratios
            .iter()
            .filter(|ratio| ratio.against == against)
            .peekable();
        if rows.peek().is_some() {
            println!(
                "  {:<46} {:^16}   {:^16}   target",
                against.title(),
                "",
                "middle half"
            );
            rows.for_each(print_ratio);
        }
    }

    println!();
}

fn print_ratio(ratio: &Ratio) {
    let rounds = ratio.rounds();
    let [median, low] = [0.5, 0.1].map(|share| ratio.value(share, rounds.len()));
    let [first, third] = [0.25, 0.75].map(|share| quantile(&rounds, share));

    let verdict = ratio.target.map_or(String::new(), |target| {
        let verdict = match median {
            _ if median.is_infinite() => "not to be told",
            _ if median <= target => "met",
            _ => "missed",
        };
        format!("at most {target:.2}: {verdict}")
    });

    println!(
        "    {:<44} {median:>7.2} ({low:>5.2})   {first:>6.2} to {third:<6.2}   {verdict}",
        ratio.row
    );
}
