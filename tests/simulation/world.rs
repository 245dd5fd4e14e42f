//! One process with two workers, one audit cluster, and time.

use std::rc::Rc;
use std::time::Duration;

use audit_filter::pipeline::drain::DRAIN_LIMIT;
use audit_filter::pipeline::settings::PipelineSettings;
use audit_filter::stats::Counter;
use audit_filter::time::Now;
use fastrand::Rng;
use uuid::Uuid;

use crate::Totals;
use crate::collector::Collector;
use crate::host::Host;
use crate::settings::MOST_BYTES;
use crate::shared::Shared;
use crate::worker::{MOODS, Mood, REFUSALS, Worker};

/// Interval at which a worker checks the heartbeats of the others.
const LOOK: Duration = Duration::from_millis(250);
/// Checks after which a VM without a heartbeat counts as gone, with a margin.
const LONG_LOOKS: u32 = 125;

/// A replaced configuration.
struct Ending {
    /// Index of its VM.
    index: usize,
    worker: Worker,
    /// The configuration in its place is of another plugin, so it must end without a successor.
    is_orphan: bool,
    since: Duration,
}

pub struct World {
    rng: Rng,
    settings: PipelineSettings,
    /// The largest buffer limit so far, in bytes.
    most_bytes: usize,
    /// A worker may hold records of any other.
    has_strangers: bool,
    /// One of those has given up its records: they are in the log only.
    has_given_up: bool,
    shared: Rc<Shared>,
    workers: [Worker; 2],
    ending: Vec<Ending>,
    /// Ended streams, each with the number of sequence numbers to account for.
    gone: Vec<(Uuid, u64)>,
    past: Totals,
    host: Host,
    collector: Collector,
    now: Now,
    mood: Mood,
    /// Everything is refused up to this step, after it has begun.
    refused_until: Option<usize>,
    steps: usize,
}

/// Answers to a batch with poison, one for each run.
const POISON_STATUSES: [u16; 4] = [400, 422, 403, 500];

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let settings = crate::settings::settings(&mut rng);
        let status = rng.usize(..POISON_STATUSES.len());
        let shared = Rc::default();
        let workers = [
            Worker::new(&mut rng, &settings, &shared, 0),
            Worker::new(&mut rng, &settings, &shared, 0),
        ];
        let now = Now {
            unix_nanos: 1_700_000_000_000_000_000,
            uptime: Duration::from_secs(5000),
        };

        Self {
            rng,
            most_bytes: settings.buffer.max_bytes,
            has_strangers: false,
            has_given_up: false,
            settings,
            shared,
            workers,
            ending: Vec::new(),
            gone: Vec::new(),
            past: Totals::default(),
            host: Host::default(),
            collector: Collector::new(POISON_STATUSES[status]),
            now,
            mood: Mood::Healthy,
            refused_until: None,
            steps: 0,
        }
    }

    /// One moment: time passes, answers arrive, records come, callouts are sent, a VM crashes. Any
    /// of them, in any order.
    pub fn step(&mut self) {
        self.change_mood();

        match self.rng.u8(..100) {
            0..40 => self.offer(),
            40..65 => self.pass_up_to(2000),
            65..72 => self.pass_up_to(20_000),
            72 => self.pass_up_to(400_000),
            73..82 => self.answer_due(),
            82..90 => self.drive(),
            90..97 => self.admit(),
            97 => self.update(),
            98 => self.crash(),
            _ => match self.rng.u8(..4) {
                0 => self.replace_vm(),
                1 => self.vanish(),
                2 => self.move_to_another_vm(),
                _ => self.stand_still(),
            },
        }

        self.workers.iter().for_each(Worker::check);
        self.hand_over();
        self.check_bounds();
    }

    /// For ending configurations too, but not for orphans. Their final sealed batches are not sent
    /// yet, so the share without an exchange is unknown.
    fn check_bounds(&self) {
        let ending = self
            .ending
            .iter()
            .filter(|ending| !ending.is_orphan)
            .map(|ending| &ending.worker);
        self.workers
            .iter()
            .chain(ending)
            .for_each(|worker| worker.check_bound(&self.collector));
    }

    /// Changes rarely. Once in a run all attempts are refused for a while, as with a wrong
    /// configuration.
    fn change_mood(&mut self) {
        self.steps += 1;
        if self.refused_until.is_some_and(|end| self.steps < end) {
            return;
        }

        if self.refused_until.is_none() && self.rng.u8(..60) == 0 {
            self.refused_until = Some(self.steps + self.rng.usize(1..40));
            self.mood = Mood::Misconfigured(REFUSALS[self.rng.usize(..REFUSALS.len())]);
        } else if self.rng.u8(..10) == 0 || matches!(self.mood, Mood::Misconfigured(_)) {
            self.mood = MOODS[self.rng.usize(..MOODS.len())];
        }
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

    /// A VM is lost with its memory. Another one is loaded in its place, and gets its shared data.
    /// Its limits may differ.
    fn crash(&mut self) {
        let index = self.rng.usize(..2);
        if self.rng.u8(..3) == 0 {
            self.settings.buffer = crate::settings::settings(&mut self.rng).buffer;
            self.most_bytes = self.most_bytes.max(self.settings.buffer.max_bytes);
        }

        let successor = Worker::new(&mut self.rng, &self.settings, &self.shared, self.most_bytes);
        let crashed = std::mem::replace(&mut self.workers[index], successor);
        self.gone
            .push((crashed.stream, crashed.pipeline.numbers_given_out()));
        add_counts(&mut self.past, &crashed);

        for Ending { worker, .. } in self.ending.extract_if(.., |ending| ending.index == index) {
            self.gone
                .push((worker.stream, worker.pipeline.numbers_given_out()));
            add_counts(&mut self.past, &worker);
        }
        self.workers[index].pipeline.handle_crash(crashed.vm);
        self.workers[index].is_first = false;
    }

    /// A VM is lost, and its replacement gets no message about it: the module was replaced.
    fn vanish(&mut self) {
        let index = self.rng.usize(..2);
        self.replace(index);
    }

    /// A configuration ends, and its VM with it, after a last round of callouts.
    fn replace_vm(&mut self) {
        let index = self.rng.usize(..2);
        self.workers[index].end_with_vm(&mut self.host, self.now);
        let worker = &mut self.workers[index];
        worker.drive(&mut self.rng, self.mood, &mut self.collector, self.now);
        self.replace(index);
    }

    /// The next configuration has a new VM. The old VM stays, since another plugin runs in it.
    fn move_to_another_vm(&mut self) {
        let index = self.rng.usize(..2);
        if self.ending.iter().any(|ending| ending.index == index) {
            return;
        }
        self.collector.may_double = true;
        self.meet_strangers();

        let next = Worker::new(&mut self.rng, &self.settings, &self.shared, MOST_BYTES);
        let mut worker = std::mem::replace(&mut self.workers[index], next);
        worker.end_with_vm(&mut self.host, self.now);
        self.ending.push(Ending {
            index,
            worker,
            is_orphan: true,
            since: self.now.uptime,
        });
    }

    fn replace(&mut self, index: usize) {
        self.meet_strangers();
        let next = Worker::new(&mut self.rng, &self.settings, &self.shared, MOST_BYTES);
        let gone = std::mem::replace(&mut self.workers[index], next);
        self.bury(&gone);

        for Ending { worker, .. } in self
            .ending
            .extract_if(.., |ending| ending.index == index)
            .collect::<Vec<_>>()
        {
            self.bury(&worker);
        }
    }

    /// From now on a worker may take over from any other, one batch beyond its limits.
    fn meet_strangers(&mut self) {
        self.has_strangers = true;
        self.most_bytes = MOST_BYTES;
        self.all().for_each(|worker| worker.beyond = MOST_BYTES);
    }

    fn bury(&mut self, worker: &Worker) {
        self.gone
            .push((worker.stream, worker.pipeline.numbers_given_out()));
        add_counts(&mut self.past, worker);
    }

    /// A worker is suspended for so long that the other one takes it for gone.
    fn stand_still(&mut self) {
        self.collector.may_double = true;
        self.meet_strangers();
        let moving = self.rng.usize(..2);
        for _ in 0..LONG_LOOKS {
            self.now.uptime += LOOK;
            self.now.unix_nanos += LOOK.as_nanos() as u64;
            self.tick(moving);
        }

        self.tick(1 - moving);
        for ending in self
            .ending
            .iter_mut()
            .filter(|ending| ending.index != moving)
        {
            self.gone.extend(ending.worker.tick(self.now));
            ending.worker.publish(&mut self.host, self.now);
        }
    }

    fn tick(&mut self, index: usize) {
        let began = self.workers[index].tick(self.now);
        self.gone.extend(began);
        self.workers[index].publish(&mut self.host, self.now);
    }

    /// The configuration is replaced in a running VM, now and then by one of another plugin. Its
    /// limits may differ.
    fn update(&mut self) {
        let index = self.rng.usize(..2);
        if self.rng.u8(..3) == 0 {
            self.settings.buffer = crate::settings::settings(&mut self.rng).buffer;
            self.most_bytes = self.most_bytes.max(self.settings.buffer.max_bytes);
        }

        let vm = (
            self.workers[index].vm,
            Rc::clone(&self.workers[index].account),
        );
        let next = Worker::in_vm(
            vm,
            &mut self.rng,
            &self.settings,
            &self.shared,
            self.most_bytes,
        );
        let mut worker = std::mem::replace(&mut self.workers[index], next);

        // Its abandoned records must be of one stream, from which the end of the run expects
        // nothing.
        let is_orphan = worker.is_first && !self.has_strangers && self.rng.u8(..4) == 0;
        if is_orphan {
            worker.end_streams(self.now);
        } else {
            worker.make_way(self.now);
        }

        worker.publish(&mut self.host, self.now);
        self.ending.push(Ending {
            index,
            worker,
            is_orphan,
            since: self.now.uptime,
        });
    }

    /// An ending configuration hands over, or is done.
    fn hand_over(&mut self) {
        let now = self.now;

        for mut ending in std::mem::take(&mut self.ending) {
            let worker = &mut ending.worker;
            let is_done = if ending.is_orphan {
                worker.pipeline.handle_no_successor(now);
                worker
                    .pipeline
                    .offer(worker.vm != self.workers[ending.index].vm, now);
                worker.publish(&mut self.host, now);
                worker.pipeline.is_drained(now)
            } else {
                worker.hand_over(&mut self.workers[ending.index], &mut self.host, now)
            };

            if !is_done {
                self.ending.push(ending);
                continue;
            }

            worker.publish(&mut self.host, self.now);
            worker.pipeline.close();
            add_counts(&mut self.past, worker);

            // Records that were given up are in the log only.
            let is_given_up = ending.is_orphan && now.uptime - ending.since >= DRAIN_LIMIT;
            self.has_given_up |= is_given_up && self.has_strangers;

            let told = if is_given_up {
                0
            } else {
                worker.pipeline.numbers_given_out()
            };
            self.gone.push((worker.stream, told));
        }
    }

    /// Running and ending configurations.
    fn all(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.workers
            .iter_mut()
            .chain(self.ending.iter_mut().map(|ending| &mut ending.worker))
    }

    fn pass_up_to(&mut self, millis: u64) {
        let time = Duration::from_millis(self.rng.u64(1..millis));
        self.pass(time);
    }

    fn pass(&mut self, time: Duration) {
        self.now.uptime += time;
        self.now.unix_nanos += u64::try_from(time.as_nanos()).unwrap();
        let now = self.now;
        let begun: Vec<(Uuid, u64)> = self.all().filter_map(|worker| worker.tick(now)).collect();
        self.gone.extend(begun);
        self.answer_due();
        self.hand_over();
        self.drive();

        let ending = self.ending.iter_mut().map(|ending| &mut ending.worker);
        self.workers
            .iter_mut()
            .chain(ending)
            .for_each(|worker| worker.publish(&mut self.host, now));
        self.host.check();
        self.check_shared();
    }

    /// The data that survives a crash is bounded as the buffers are.
    fn check_shared(&self) {
        let streams = self.workers.len() + self.gone.len();
        let most = streams * (self.most_bytes + 300_000);
        assert!(
            self.shared.bytes() <= most,
            "{} bytes are shared",
            self.shared.bytes()
        );
    }

    fn drive(&mut self) {
        let orphans = self
            .ending
            .iter_mut()
            .filter(|ending| ending.is_orphan)
            .map(|ending| &mut ending.worker);
        for worker in self.workers.iter_mut().chain(orphans) {
            worker.drive(&mut self.rng, self.mood, &mut self.collector, self.now);
        }
    }

    fn answer_due(&mut self) {
        let ending = self.ending.iter_mut().map(|ending| &mut ending.worker);
        for worker in self.workers.iter_mut().chain(ending) {
            worker.answer_due(&mut self.rng, &mut self.collector, self.now);
        }
    }

    /// The audit cluster recovers for good, and no more requests come: live streams send signs of
    /// life.
    pub fn heal_and_rest(&mut self) {
        self.heal();
        // The longest `Retry-After`, and then two of the longest intervals.
        for _ in 0..200 {
            self.pass(Duration::from_millis(450));
        }
        self.workers
            .iter()
            .for_each(|worker| worker.check_signs_of_life(&self.collector, self.now));
    }

    fn heal(&mut self) {
        self.mood = Mood::Healed;
        self.all().for_each(Worker::forget_silence);
        self.pass(Duration::from_secs(1));
    }

    /// The audit cluster recovers for good and the configuration is removed: all streams must end.
    pub fn heal_and_end(&mut self) {
        self.heal();
        // Records of VMs that vanished are taken over, as far as there is room.
        let looks = if self.has_strangers { LONG_LOOKS } else { 0 };
        for _ in 0..looks {
            self.pass(LOOK);
        }

        for worker in &mut self.workers {
            worker.end_streams(self.now);
        }

        for _ in 0..1000 {
            if self.ending.is_empty()
                && self.workers.iter().all(|worker| worker.has_ended(self.now))
            {
                return;
            }
            self.pass(Duration::from_millis(250));
        }

        panic!(
            "not drained: {:?}",
            self.workers
                .each_ref()
                .map(|worker| worker.pipeline.unacknowledged())
        );
    }

    pub fn check_end(&mut self) {
        for worker in &mut self.workers {
            assert_eq!(worker.pipeline.unacknowledged(), None);
            assert_eq!(worker.pipeline.gauges(), [0; 3], "places leak");
            self.collector
                .check_stream(worker.stream, worker.pipeline.numbers_given_out());
            worker.publish(&mut self.host, self.now);
            worker.pipeline.close();
        }

        self.host.check_end();
        for (stream, captured) in self.gone.iter().filter(|_| !self.has_given_up) {
            self.collector.check_stream(*stream, *captured);
        }

        assert!(
            self.shared.bytes() <= 60 * (4 + self.gone.len()),
            "{} bytes are left behind",
            self.shared.bytes()
        );

        let taken = &self.collector.taken;
        assert!(
            self.collector
                .acknowledged
                .iter()
                .all(|(_, uid)| taken.contains_key(uid))
        );
    }

    /// Totals of all pipelines.
    pub fn totals(&self) -> Totals {
        let mut totals = self.past;
        self.workers
            .iter()
            .for_each(|worker| add_counts(&mut totals, worker));
        totals
    }
}

fn add_counts(totals: &mut Totals, worker: &Worker) {
    for (total, (counter, _)) in totals.iter_mut().zip(Counter::ALL) {
        *total += worker.count(counter);
    }
}
