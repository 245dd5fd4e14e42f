//! Users: a few open connections, with requests at a steady pace on each.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::wire::Wire;
use testkit::wire::http1;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::case;

const CONNECTIONS: u32 = 4;
/// Time between two requests on a connection: 1000 requests per second in all, which leaves Envoy
/// idle time.
const PERIOD: Duration = Duration::from_millis(4);

/// The users of one Envoy.
pub struct Users(Vec<Wire>);

impl Users {
    pub async fn connect(addr: SocketAddr) -> Self {
        let mut wires = Vec::new();
        for _ in 0..CONNECTIONS {
            wires.push(Wire::connect(addr).await);
        }
        Self(wires)
    }

    /// Sends this many requests in all, and returns the time of each, in microseconds.
    pub async fn run(&mut self, requests: usize) -> Vec<f64> {
        let mut running = JoinSet::new();
        for (index, mut wire) in (0..).zip(self.0.drain(..)) {
            let share = (requests + index as usize) / CONNECTIONS as usize;
            running.spawn(async move {
                let times = run(&mut wire, share, PERIOD * index / CONNECTIONS).await;
                (wire, times)
            });
        }

        let (wires, times): (Vec<Wire>, Vec<Vec<f64>>) =
            running.join_all().await.into_iter().unzip();
        self.0 = wires;
        times.concat()
    }
}

/// A request that was delayed by the previous one counts from its due time. Others count from
/// sending, since a timer is late by up to a millisecond.
async fn run(wire: &mut Wire, requests: usize, offset: Duration) -> Vec<f64> {
    let request = http1::get("/other", &case::requests().headers());
    let mut ticks = interval_at(Instant::now() + offset, PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut times = Vec::with_capacity(requests);
    let mut free = Instant::now();

    for _ in 0..requests {
        let due = ticks.tick().await;
        let start = if free > due { due } else { Instant::now() };
        http1::exchange(wire, &request).await;
        free = Instant::now();
        times.push((free - start).as_nanos() as f64 / 1000.0);
    }

    times
}
