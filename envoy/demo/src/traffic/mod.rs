//! Traffic for the demo: users log in, work, and log out, until the program is stopped.

mod people;
mod requests;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use fastrand::Rng;
use tokio::time::sleep;

use people::{Person, Place, STAFF};
use requests::{Lost, Work};

/// Envoy's listeners for the traffic.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Targets {
    /// Envoy's HTTP listener.
    #[arg(long)]
    http: SocketAddr,
    /// Envoy's gRPC listener.
    #[arg(long)]
    grpc: SocketAddr,
}

/// Pauses between two requests of a person, in milliseconds. With six people these make three to
/// four requests a second.
const THINKING: std::ops::Range<u64> = 300..3000;
/// Requests of a person from login to logout.
const SESSION: std::ops::Range<usize> = 8..40;
/// Pauses between two sessions of a person, in milliseconds.
const AWAY: std::ops::Range<u64> = 2000..12000;

/// Sends until Envoy is unreachable, and returns that error. Answers of Envoy and the upstream are
/// ignored.
pub(crate) async fn run(targets: Targets) -> Result<(), String> {
    let mut people = tokio::task::JoinSet::new();
    for person in STAFF {
        people.spawn(live(targets, person));
    }
    match people.join_next().await {
        Some(Ok(Lost(error))) => Err(format!("Envoy is gone: {error}")),
        _ => Err("a sender has ended".to_owned()),
    }
}

async fn live(targets: Targets, person: Person) -> Lost {
    let mut random = Rng::new();
    sleep(between(&mut random, 0..2000)).await;
    loop {
        let pause = match session(targets, person, &mut random).await {
            Ok(()) => between(&mut random, AWAY),
            Err(lost) => return lost,
        };
        sleep(pause).await;
    }
}

/// One session. Sometimes the person continues from another device or country, which the audit
/// should show.
async fn session(targets: Targets, person: Person, random: &mut Rng) -> Result<(), Lost> {
    let mut work = Work::new(targets, person, format!("s-{:016x}", random.u64(..)));
    if random.u8(..100) < 20 {
        work.mistyped_login().await?;
        sleep(between(random, THINKING)).await;
    }

    work.login().await?;
    for _ in 0..random.usize(SESSION) {
        sleep(between(random, THINKING)).await;
        if random.u8(..100) < 5 {
            work.place = other_place(work.place, person, random);
        }
        work.anything(random).await?;
    }

    work.logout().await
}

fn other_place(now: Place, person: Person, random: &mut Rng) -> Place {
    if now == person.abroad || random.bool() {
        person.home
    } else {
        person.abroad
    }
}

fn between(random: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_abroad_comes_home() {
        let person = STAFF[0];
        let mut random = Rng::with_seed(1);
        assert_eq!(other_place(person.abroad, person, &mut random), person.home);
        assert!((0..50).any(|_| other_place(person.home, person, &mut random) == person.abroad));
    }
}
