//! The table of lives.

use super::diary::Diary;
use super::life::Life;
use crate::args::Soak;

/// Larger growth of memory, from the first third of a life to its last, is reported.
const MAX_GROWTH: f64 = 1.25;

/// Prints the fate of all requests. True: every law held.
pub fn print(soak: &Soak, lives: &[Life], diary: &Diary) -> bool {
    println!("\nsoak of {:?}, seed {}: {diary}", soak.length, soak.seed);
    println!(
        "{:<12} {:>7} {:>8} {:>8} {:>6} {:>6} {:>7} {:>9} {:>12} {:>14} {:>7}",
        "ended by",
        "seconds",
        "answered",
        "stored",
        "twice",
        "lost",
        "killed",
        "recovered",
        "unaccounted",
        "RSS thirds MiB",
        "growth"
    );
    lives.iter().for_each(print_life);

    let sum = |column: fn(&Life) -> usize| lives.iter().map(column).sum::<usize>();
    println!(
        "in all: {} requests answered, {} records of them stored, {} lost and told, {} lost by SIGKILL within its bound, \
         {} unaccounted",
        sum(|life| life.count.sent),
        sum(|life| life.count.stored),
        sum(|life| life.count.accounted),
        sum(Life::killed),
        sum(Life::unaccounted),
    );

    let breaches: Vec<String> = lives
        .iter()
        .flat_map(|life| life.breaches.iter().cloned().chain(growth_breach(life)))
        .collect();
    breaches
        .iter()
        .for_each(|breach| println!("\nbroken: {breach}"));
    breaches.is_empty()
}

fn print_life(life: &Life) {
    let (first, last) = life.seen.memory.thirds().unwrap_or_default();
    let growth = growth(life).map_or_else(String::new, |growth| format!("{growth:.2}"));

    println!(
        "{:<12} {:>7} {:>8} {:>8} {:>6} {:>6} {:>7} {:>9} {:>12} {:>14} {:>7}",
        format!("{:?}", life.ending),
        life.length.as_secs(),
        life.count.sent,
        life.count.stored,
        life.count.duplicates,
        life.count.accounted,
        life.killed(),
        life.count.recovered,
        life.unaccounted(),
        format!("{first} {last}"),
        growth,
    );
}

fn growth(life: &Life) -> Option<f64> {
    let (first, last) = life.seen.memory.thirds()?;
    Some(last as f64 / first as f64)
}

fn growth_breach(life: &Life) -> Option<String> {
    let growth = growth(life).filter(|growth| *growth > MAX_GROWTH)?;
    Some(format!(
        "{:?}: Envoy's memory has grown by {growth:.2} from the first third to the last",
        life.ending
    ))
}
