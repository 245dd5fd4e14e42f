//! One process with two workers, one audit cluster, and time.

use std::rc::Rc;
use std::time::Duration;

use audit_filter::pipeline::settings::Settings;
use audit_filter::stats::Counter;
use audit_filter::time::Now;
use fastrand::Rng;
use uuid::Uuid;

use crate::Totals;
use crate::collector::Collector;
use crate::host::Host;
use crate::shared::Shared;
use crate::worker::{MOODS, Mood, Worker};

pub struct World {
    rng: Rng,
    settings: Settings,
    /// Of all buffers so far.
    most_bytes: usize,
    shared: Rc<Shared>,
    workers: [Worker; 2],
    /// Streams whose VM has crashed, with how many numbers they had given out.
    crashed: Vec<(Uuid, u64)>,
    past: Totals,
    host: Host,
    collector: Collector,
    now: Now,
    mood: Mood,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let settings = crate::settings::settings(&mut rng);
        let shared = Rc::default();
        let workers = [Worker::new(&mut rng, &settings, &shared, 0), Worker::new(&mut rng, &settings, &shared, 0)];
        let now = Now { unix_nanos: 1_700_000_000_000_000_000, uptime: Duration::from_secs(5000) };
        Self {
            rng,
            most_bytes: settings.buffer.max_bytes,
            settings,
            shared,
            workers,
            crashed: Vec::new(),
            past: Totals::default(),
            host: Host::default(),
            collector: Collector::default(),
            now,
            mood: Mood::Healthy,
        }
    }

    /// One moment: time passes, answers arrive, records come, callouts leave, a VM crashes. In any order, any of them.
    pub fn step(&mut self) {
        self.mood = if self.rng.u8(..10) == 0 { MOODS[self.rng.usize(..MOODS.len())] } else { self.mood };
        match self.rng.u8(..100) {
            0..40 => self.offer(),
            40..65 => self.pass_up_to(2000),
            65..73 => self.pass_up_to(20_000),
            73..82 => self.answer_due(),
            82..90 => self.drive(),
            90..98 => self.admit(),
            _ => self.crash(),
        }
        self.workers.iter().for_each(Worker::check);
    }

    fn offer(&mut self) {
        let index = self.rng.usize(..2);
        let wakes = self.workers[index].offer(&mut self.rng, self.now);
        if wakes && self.rng.bool() {
            self.drive();
        }
    }

    fn admit(&mut self) {
        let index = self.rng.usize(..2);
        self.workers[index].admit(&mut self.rng, self.now);
    }

    /// A VM is gone with all that it had in memory; another one is loaded in its place, and hears of it. Its limits may
    /// be others.
    fn crash(&mut self) {
        let index = self.rng.usize(..2);
        if self.rng.u8(..3) == 0 {
            self.settings.buffer = crate::settings::settings(&mut self.rng).buffer;
            self.most_bytes = self.most_bytes.max(self.settings.buffer.max_bytes);
        }
        let heir = Worker::new(&mut self.rng, &self.settings, &self.shared, self.most_bytes);
        let crashed = std::mem::replace(&mut self.workers[index], heir);
        self.crashed.push((crashed.stream, crashed.pipeline.numbers_given_out()));
        add_counts(&mut self.past, &crashed);
        self.workers[index].pipeline.handle_crash(crashed.vm);
    }

    fn pass_up_to(&mut self, millis: u64) {
        let time = Duration::from_millis(self.rng.u64(1..millis));
        self.pass(time);
    }

    fn pass(&mut self, time: Duration) {
        self.now.uptime += time;
        self.now.unix_nanos += u64::try_from(time.as_nanos()).unwrap();
        for worker in &mut self.workers {
            worker.tick(self.now);
        }
        self.answer_due();
        self.drive();
        for worker in &mut self.workers {
            worker.publish(&mut self.host);
        }
        self.host.check();
        self.check_shared();
    }

    /// What survives a crash is bounded as the buffers are.
    fn check_shared(&self) {
        let streams = self.workers.len() + self.crashed.len();
        let most = streams * (self.most_bytes + 300_000);
        assert!(self.shared.bytes() <= most, "{} bytes are shared", self.shared.bytes());
    }

    fn drive(&mut self) {
        for worker in &mut self.workers {
            worker.drive(&mut self.rng, self.mood, &mut self.collector, self.now);
        }
    }

    fn answer_due(&mut self) {
        for worker in &mut self.workers {
            worker.answer_due(&mut self.rng, &mut self.collector, self.now);
        }
    }

    /// The audit cluster recovers for good and the configuration goes away: everything must end.
    pub fn heal_and_end(&mut self) {
        self.mood = Mood::Healed;
        self.workers.iter_mut().for_each(Worker::forget_silence);
        self.pass(Duration::from_secs(1));
        for worker in &mut self.workers {
            worker.end_streams(self.now);
        }
        for _ in 0..1000 {
            if self.workers.iter().all(|worker| worker.has_ended(self.now)) {
                return;
            }
            self.pass(Duration::from_millis(250));
        }
        panic!("not drained: {:?}", self.workers.each_ref().map(|worker| worker.pipeline.unacknowledged()));
    }

    pub fn check_end(&mut self) {
        for worker in &mut self.workers {
            assert_eq!(worker.pipeline.unacknowledged(), None);
            assert_eq!(worker.pipeline.gauges(), [0; 3], "places leak");
            self.collector.check_stream(worker.stream, worker.pipeline.numbers_given_out());
            worker.publish(&mut self.host);
            worker.pipeline.close();
        }
        self.host.check_end();
        for (stream, captured) in &self.crashed {
            self.collector.check_stream(*stream, *captured);
        }
        assert!(self.shared.bytes() <= 40 * (2 + self.crashed.len()), "{} bytes are left behind", self.shared.bytes());
        let taken = &self.collector.taken;
        assert!(self.collector.acknowledged.iter().all(|(_, uid)| taken.contains_key(uid)));
    }

    /// What all pipelines have counted.
    pub fn totals(&self) -> Totals {
        let mut totals = self.past;
        self.workers.iter().for_each(|worker| add_counts(&mut totals, worker));
        totals
    }
}

fn add_counts(totals: &mut Totals, worker: &Worker) {
    for (total, (counter, _)) in totals.iter_mut().zip(Counter::ALL) {
        *total += worker.count(counter);
    }
}
