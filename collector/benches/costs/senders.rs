//! What healthy senders lose to slow ones: 120 that send batches one after the other, alone and
//! beside 80 whose bodies arrive a byte at a time, chunked and without a length.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use testkit::args::CommandLine;
use testkit::collector::{Client, JSON, Program, post};
use testkit::{now, quantile};

use crate::batch::{Batches, RECORDS};

const HEALTHY: u64 = 120;
const SLOW: usize = 80;

/// Between two bytes of a slow sender.
const STEP: Duration = Duration::from_millis(100);

/// How long a healthy sender waits after a refusal.
const PAUSE: Duration = Duration::from_millis(20);

const SLOW_HEAD: &[u8] = b"POST /v1/logs HTTP/1.1\r\nhost: collector\r\n\
    content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";

/// Prints the rates, and their ratio within each round. The first round is not counted.
pub fn run() {
    let (_, numbers) = CommandLine::of_benchmark([("--rounds", 9), ("--batches", 10)]);
    let [rounds, batches] = numbers.map(|number| number as u64);
    let directory = TempDir::new().unwrap();
    let program = Program::start(&format!(
        "sqlite://{}",
        directory.path().join("audit.db").display()
    ));
    let records = 2 * (rounds + 1) * batches * RECORDS;
    let texts = Batches::new(Duration::from_secs(3600), records);

    let mut rates = Vec::new();
    for round in 0..=rounds {
        let first = 2 * round * batches;
        // Which goes first alternates, so that growth of the ledger favours neither.
        let mut pair = [0.0; 2];
        for turn in 0..2 {
            let slow = (round + turn) % 2;
            let rate = rate(&program, &texts, first + turn * batches, batches, slow == 1);
            if let Some(place) = pair.get_mut(usize::from(slow == 1)) {
                *place = rate;
            }
        }
        rates.push(pair);
    }
    print(rates.get(1..).unwrap_or_default());
}

fn print(rates: &[[f64; 2]]) {
    let of = |value: fn(&[f64; 2]) -> f64| rates.iter().map(value).collect::<Vec<_>>();
    let median = |values: &[f64]| quantile(values, 0.5);
    let ratios = of(|[alone, beside]| beside / alone);
    let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| quantile(&ratios, share));

    println!("{} rounds, {HEALTHY} healthy senders, medians", rates.len());
    println!(
        "  alone              {:8.1} batches/s",
        median(&of(|[alone, _]| *alone))
    );
    println!(
        "  beside {SLOW} slow ones {:8.1} batches/s",
        median(&of(|[_, beside]| *beside))
    );
    println!("  ratio              {middle:8.2} (middle half of the rounds {low:.2} to {high:.2})");
}

/// Batches a second of all healthy senders.
fn rate(program: &Program, texts: &Batches, first: u64, batches: u64, is_beside: bool) -> f64 {
    let is_over = AtomicBool::new(false);
    let slow = AtomicUsize::new(0);
    let address = program.address;

    thread::scope(|scope| {
        if is_beside {
            for _ in 0..SLOW {
                scope.spawn(|| drip(address, &slow, &is_over));
            }
            while slow.load(Ordering::Relaxed) < SLOW {
                thread::sleep(PAUSE);
            }
        }

        let start = now();
        let healthy: Vec<_> = (0..HEALTHY)
            .map(|stream| scope.spawn(move || send(address, texts, stream, first, batches)))
            .collect();
        for sender in healthy {
            sender.join().unwrap();
        }
        let wall = start.elapsed();
        is_over.store(true, Ordering::Relaxed);
        (HEALTHY * batches) as f64 / wall.as_secs_f64()
    })
}

fn send(address: SocketAddr, texts: &Batches, stream: u64, first: u64, batches: u64) {
    let mut client = Client::connect(address).unwrap();
    for index in first..first + batches {
        let request = post(JSON, &texts.body(stream, index));
        while client.exchange(&request).unwrap().status != 200 {
            thread::sleep(PAUSE);
        }
    }
}

/// Sends a body that never ends, and another one when it was refused. `begun` counts the first.
fn drip(address: SocketAddr, begun: &AtomicUsize, is_over: &AtomicBool) {
    let mut is_first = true;
    while !is_over.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(SLOW_HEAD).unwrap();
        begun.fetch_add(
            usize::from(std::mem::take(&mut is_first)),
            Ordering::Relaxed,
        );

        stream.set_nonblocking(true).unwrap();
        let is_open = |stream: &mut TcpStream| {
            let read = stream.read(&mut [0; 1024]);
            read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        };
        while !is_over.load(Ordering::Relaxed)
            && is_open(&mut stream)
            && stream.write_all(b"1\r\n \r\n").is_ok()
        {
            thread::sleep(STEP);
        }
    }
}
