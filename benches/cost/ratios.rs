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
    /// With Envoy's default settings.
    GrpcLog,
    Lua,
    ExtProc,
    /// The same build in the shape of `envoy/envoy.yaml`.
    EnvoyYaml,
    /// The row of another build of the filter with the same configuration.
    OtherBuild(Quantity),
}

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    Cpu,
    /// Of the client's times.
    P50,
    P99,
}

impl Quantity {
    const ALL: [Self; 3] = [Self::Cpu, Self::P50, Self::P99];

    fn of(self, outcome: &Outcome) -> Vec<f64> {
        match self {
            Self::Cpu => outcome.micros(),
            Self::P50 => outcome.p50(),
            Self::P99 => outcome.p99(),
        }
    }
}

impl Against {
    pub const ALL: [Self; 11] = [
        Self::NoFilter,
        Self::DoNothing,
        Self::OtelLog,
        Self::OtelLogLongBatches,
        Self::GrpcLog,
        Self::Lua,
        Self::ExtProc,
        Self::EnvoyYaml,
        Self::OtherBuild(Quantity::Cpu),
        Self::OtherBuild(Quantity::P50),
        Self::OtherBuild(Quantity::P99),
    ];

    /// Numerator and denominator, for the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::NoFilter => "in all / no filter",
            Self::DoNothing => "added / do-nothing",
            Self::OtelLog => "added / OTel access log",
            Self::OtelLogLongBatches => "added / OTel access log, 64 KB",
            Self::GrpcLog => "added / gRPC access log",
            Self::Lua => "added / Lua, strips and posts",
            Self::ExtProc => "added / ext_proc",
            Self::EnvoyYaml => "added, sidecar / envoy.yaml",
            Self::OtherBuild(Quantity::Cpu) => "added, new / old: CPU time",
            Self::OtherBuild(Quantity::P50) => "added, new / old: client's p50",
            Self::OtherBuild(Quantity::P99) => "added, new / old: client's p99",
        }
    }

    /// `None`: another one for each row.
    fn row(self) -> Option<&'static str> {
        match self {
            Self::NoFilter => Some("no filter"),
            Self::DoNothing => Some("do-nothing"),
            Self::OtelLog => Some("OTel access log"),
            Self::OtelLogLongBatches => Some("OTel access log, 64 KB"),
            Self::GrpcLog => Some("gRPC access log"),
            Self::Lua => Some("Lua, strips and posts"),
            Self::ExtProc => Some("ext_proc"),
            Self::EnvoyYaml | Self::OtherBuild(_) => None,
        }
    }

    /// The upper limit for the audit filter; `None`: no target.
    fn target(self, outcome: &Outcome) -> Option<f64> {
        match (self, outcome.requests.traffic) {
            _ if !is_ours(outcome) => None,
            (Self::EnvoyYaml, _) => Some(1.1),
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

/// Of the builds under test.
fn is_ours(outcome: &Outcome) -> bool {
    outcome.name.starts_with("audit") || outcome.name.starts_with("lean")
}

/// One ratio of one row.
pub struct Ratio {
    pub row: String,
    pub against: Against,
    /// `None`: no target.
    target: Option<f64>,
    /// The numerator, in microseconds.
    new: Vec<f64>,
    /// The row without a filter.
    none: Vec<f64>,
    /// The denominator.
    old: Vec<f64>,
    /// The row without a filter that has the requests of the denominator.
    none_of_old: Vec<f64>,
}

impl Ratio {
    /// All ratios of a group.
    pub fn all(measured: &Measured) -> Vec<Self> {
        let of = |outcome| {
            let to_rows = Against::ALL
                .into_iter()
                .filter_map(move |against| Self::to_row(measured, outcome, against));
            to_rows
                .chain(Self::to_envoy_yaml(measured, outcome))
                .chain(Self::to_build(measured, outcome))
        };
        measured.outcomes.iter().flat_map(of).collect()
    }

    /// To the row of `against`. What others add is compared with our rows alone.
    fn to_row(measured: &Measured, outcome: &Outcome, against: Against) -> Option<Self> {
        let name = against.row()?;
        let is_base = outcome.name == name;
        if is_base || !(is_ours(outcome) || against == Against::NoFilter) {
            return None;
        }

        let old = measured.find(name, outcome)?;
        Some(Self {
            row: format!("{}, {}", outcome.requests.traffic.name(), outcome.name),
            target: against.target(outcome),
            ..Self::of(measured, outcome, old, against, Quantity::Cpu)
        })
    }

    /// To the row of the same build with the same requests, but for the sidecar's shape.
    fn to_envoy_yaml(measured: &Measured, outcome: &Outcome) -> Option<Self> {
        let is_shaped = outcome.requests.traffic == Traffic::TrackedSidecar;
        if !is_shaped || !is_ours(outcome) {
            return None;
        }

        let mut others = measured.outcomes.iter();
        let old = others.find(|other| {
            other.name == outcome.name && other.requests.traffic == Traffic::Tracked
        })?;
        let against = Against::EnvoyYaml;
        Some(Self {
            row: outcome.name.clone(),
            target: against.target(outcome),
            ..Self::of(measured, outcome, old, against, Quantity::Cpu)
        })
    }

    /// Where `old` is of another build: of the row of this one with the same configuration.
    fn to_build(measured: &Measured, old: &Outcome) -> Vec<Self> {
        let Some(new) = old
            .name
            .split_once(|letter: char| letter.is_ascii_digit())
            .filter(|(build, _)| *build == "other ")
            .and_then(|(_, rest)| measured.twin(&format!("audit{rest}"), old))
        else {
            return Vec::new();
        };

        let ratio = |quantity| {
            let against = Against::OtherBuild(quantity);
            let has_values = !quantity.of(new).is_empty();
            has_values.then(|| Self::of(measured, new, old, against, quantity))
        };
        Quantity::ALL.into_iter().filter_map(ratio).collect()
    }

    fn of(
        measured: &Measured,
        new: &Outcome,
        old: &Outcome,
        against: Against,
        quantity: Quantity,
    ) -> Self {
        let traffic = new.requests.traffic.name();
        let build = old.name.split(',').next().unwrap_or_default();
        Self {
            row: format!("{traffic}, {} / {build}", new.name),
            against,
            target: None,
            new: quantity.of(new),
            none: quantity.of(measured.base(new)),
            old: quantity.of(old),
            none_of_old: quantity.of(measured.base(old)),
        }
    }

    /// The ratio of the quantiles at `share` over the first `rounds` rounds.
    pub fn value(&self, share: f64, rounds: usize) -> f64 {
        let series = [&self.new, &self.none, &self.old, &self.none_of_old];
        self.divide(series.map(|values| quantile(&values[..rounds], share)))
    }

    /// The ratio of each round.
    fn rounds(&self) -> Vec<f64> {
        let series = [&self.new, &self.none, &self.old, &self.none_of_old];
        let round = |index: usize| self.divide(series.map(|values| values[index]));
        (0..self.new.len()).map(round).collect()
    }

    /// Infinite where noise hides the cost added by the other row.
    fn divide(&self, [new, none, old, none_of_old]: [f64; 4]) -> f64 {
        match self.against {
            Against::NoFilter => new / none,
            _ if old <= none_of_old => f64::INFINITY,
            _ => (new - none) / (old - none_of_old),
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
                "  {:<56} {:^16}   {:^16}   target",
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
        "    {:<54} {median:>7.2} ({low:>5.2})   {first:>6.2} to {third:<6.2}   {verdict}",
        ratio.row
    );
}
