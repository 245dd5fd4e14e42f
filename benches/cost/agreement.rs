//! The spread of the ratios of several runs, by number of rounds.

use testkit::bench::measure::Measured;
use testkit::quantile;

use super::ratios::{Against, Ratio};

/// Runs agree when the largest ratio over the smallest is at most this.
const AGREED: f64 = 1.05;

/// One ratio in every run.
struct Runs(Vec<Ratio>);

impl Runs {
    /// Largest over smallest; infinite where one is not above 0.
    fn spread(&self, share: f64, rounds: usize) -> f64 {
        let values: Vec<f64> = self
            .0
            .iter()
            .map(|ratio| ratio.value(share, rounds))
            .collect();
        let [least, most] = [0.0, 1.0].map(|share| quantile(&values, share));

        if least > 0.0 {
            most / least
        } else {
            f64::INFINITY
        }
    }
}

/// Prints the ratios of one group in every run, and their agreement by number of rounds.
pub fn print(runs: &[&Measured]) {
    let mut ratios: Vec<Runs> = Vec::new();
    for measured in runs {
        for (index, ratio) in Ratio::all(measured).into_iter().enumerate() {
            match ratios.get_mut(index) {
                Some(earlier) => earlier.0.push(ratio),
                None => ratios.push(Runs(vec![ratio])),
            }
        }
    }

    let rounds = runs[0].outcomes[0].full.slices.len();
    println!(
        "{}: ratios of {} runs, and the largest over the smallest, of medians and lowest deciles",
        runs[0].group,
        runs.len()
    );
    ratios.iter().for_each(|runs| print_runs(runs, rounds));

    println!(
        "  after so many rounds, of all ratios to: largest spread of the medians (of the lowest deciles)"
    );
    for against in Against::ALL {
        let of: Vec<&Runs> = ratios
            .iter()
            .filter(|runs| runs.0[0].against == against)
            .collect();
        if !of.is_empty() {
            print_growth(against, &of, rounds);
        }
    }

    println!();
}

fn print_runs(runs: &Runs, rounds: usize) {
    print!("  {:<54} {:<32}", runs.0[0].row, runs.0[0].against.title());
    for share in [0.5, 0.1] {
        let values: Vec<String> = runs
            .0
            .iter()
            .map(|ratio| format!("{:.3}", ratio.value(share, rounds)))
            .collect();

        print!(
            "  {}  {:>6.1} %",
            values.join(" "),
            (runs.spread(share, rounds) - 1.0) * 100.0
        );
    }
    println!();
}

/// For 5, 10, 20, … rounds and for all.
fn print_growth(against: Against, ratios: &[&Runs], rounds: usize) {
    print!("    {:<32}", against.title());
    let marks = std::iter::successors(Some(5), |mark| Some(mark * 2))
        .take_while(|mark| *mark < rounds)
        .chain([rounds]);

    for mark in marks {
        let [median, low] = [0.5, 0.1].map(|share| {
            ratios
                .iter()
                .map(|runs| runs.spread(share, mark))
                .fold(1.0, f64::max)
        });
        let verdict = if median <= AGREED { ", agree" } else { "" };
        print!(
            "   {mark}: {:.1} % ({:.1} %){verdict}",
            (median - 1.0) * 100.0,
            (low - 1.0) * 100.0
        );
    }
    println!();
}
