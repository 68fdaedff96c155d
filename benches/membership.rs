//! What membership achieves in simulated rooms, with real handshakes, ciphers and datagrams: how soon a crash, a
//! join, a healed partition and a restart of everybody are known to all, who is called gone without cause, and what
//! an idle node sends, headers of IP and UDP counted. Times are virtual, so they do not depend on the machine.
//!
//! `cargo bench --bench membership -- 2 10 100` prints the table for rooms of these sizes; `--seeds 3` for so many
//! seeds of each, `--only crash,join` these lines of it. Rooms of more than 200 run on the plain suite and begin whole; what it
//! takes them to come together is a line of its own, of homes that know each other's cards. The memory of a line is the most
//! that its rooms took. Of more than 5,000 members one room is made, and all its lines are of that one, printed as they are
//! measured.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use folkmoot::base::{Presence, Rng};
use folkmoot::crypto::Suite;
use folkmoot::faults::{Ends, Fault, Rule, Share};
use folkmoot::node::api::EventKind;
use folkmoot::sim::{Options, Unsynced, World};

const DELAY: Duration = Duration::from_millis(40);
const JITTER: Duration = Duration::from_millis(4);
/// How finely times are measured.
const GRAIN: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(60);
/// How long a room is looked at for what should not happen.
const SPAN: Duration = Duration::from_secs(600);
/// IPv4 and UDP headers of one datagram.
const HEADER_BYTES: u64 = 28;
/// Larger rooms use the plain suite, and begin whole.
const SMALL_MEMBERS_MAX: usize = 200;
/// Larger rooms are cut apart once for each seed: that alone takes half an hour at 2,500.
const THRICE_MEMBERS_MAX: usize = 1_000;
/// Larger rooms are made once for all their lines.
const EACH_MEMBERS_MAX: usize = 5_000;

/// One line for each size.
struct Figure {
    name: &'static str,
    title: &'static str,
    loss: u32,
    members_min: usize,
    measure: fn(usize, u64) -> String,
}

const fn figure(
    name: &'static str,
    title: &'static str,
    loss: u32,
    members_min: usize,
    measure: fn(usize, u64) -> String,
) -> Figure {
    Figure { name, title, loss, members_min, measure }
}

const FIGURES: &[Figure] = &[
    figure("crash", "crash known to all", 10, 2, |size, seeds| crash(size, 10, seeds)),
    figure("crash", "crash known to all", 50, 2, |size, seeds| crash(size, 50, seeds)),
    figure("quiet", "called gone without cause", 50, 2, quiet),
    figure("stalls", "healthy ones called gone while 5 % stall up to 10 s", 0, 10, stalls),
    figure("idle", "idle bytes/s sent a node", 0, 2, |size, _| idle(size)),
    figure("mute", "5 % of the pairs never talk", 0, 10, mute),
    figure("flap", "one is cut off for 10 s of every 20 s", 0, 10, flap),
    figure("radio", "one loses 80 % each way", 0, 5, radio),
    figure(
        "together",
        "all seen by all, after the last of all starts within a second",
        0,
        SMALL_MEMBERS_MAX + 1,
        together,
    ),
    figure("join", "join seen by all, all seen", 0, 3, join),
    figure("heal", "views equal after a partition of halves heals", 0, 3, heal),
    figure("loner", "a loner shows all as not heard; all equal after it is back", 0, 3, loner),
    figure("restart", "all equal after all restarted within 10 s", 0, 2, restart),
    figure("pause", "a paused member alive in all views again", 0, 3, pause),
];

/// Virtual time of the rooms that are gone, in milliseconds.
static PASSED_MS: AtomicU64 = AtomicU64::new(0);

fn main() {
    let mut sizes = Vec::new();
    let mut seeds = 3;
    let mut only = String::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => seeds = args.next().and_then(|n| n.parse().ok()).unwrap_or(seeds),
            "--only" => only = args.next().unwrap_or_default(),
            _ => sizes.extend(arg.parse::<usize>()),
        }
    }
    if sizes.is_empty() {
        sizes = vec![2, 10, 100];
    }
    println!("| members | figure | loss | measured | virtual time | real time | memory |");
    println!("|---:|---|---:|---|---:|---:|---:|");
    for size in sizes {
        if size > EACH_MEMBERS_MAX {
            vast(size);
            continue;
        }
        for figure in FIGURES {
            let is_wanted = only.is_empty() || only.split(',').any(|name| name == figure.name);
            if is_wanted && size >= figure.members_min {
                row(size, figure, seeds);
            }
        }
    }
}

fn row(size: usize, figure: &Figure, seeds: u64) {
    let began = Instant::now();
    forget_peak();
    PASSED_MS.store(0, Ordering::Relaxed);
    let measured = (figure.measure)(size, seeds);
    let passed = Duration::from_millis(PASSED_MS.load(Ordering::Relaxed));
    print(size, figure.title, figure.loss, &measured, passed, began);
}

fn print(size: usize, title: &str, loss: u32, measured: &str, passed: Duration, began: Instant) {
    let (passed, took) = (passed.as_secs(), began.elapsed().as_secs());
    let peak = peak_mib().map_or("unknown".to_owned(), |mib| format!("{mib} MiB"));
    println!("| {size} | {title} | {}.{} % | {measured} | {passed} s | {took} s | {peak} |", loss / 10, loss % 10);
}

/// The lines of one room, one after the other. Its dead stay dead: a restart is a newcomer.
fn vast(size: usize) {
    let mut room = None;
    let mut line = |title, loss, measure: &dyn Fn(&mut Room) -> String| {
        let began = Instant::now();
        forget_peak();
        let from = room.as_ref().map_or(Duration::ZERO, |room: &Room| room.world.elapsed());
        let room = room.get_or_insert_with(|| Room::new(0, size));
        room.world.loss(loss);
        let measured = measure(room);
        print(size, title, loss, &measured, room.world.elapsed().saturating_sub(from), began);
    };
    for loss in [10, 50] {
        line("crash known to all", loss, &|room| {
            let crashes = (0..10).map(|_| {
                room.world.run_for(Duration::from_secs(2));
                let subject = room.names.pop().expect("more members than crashes");
                room.world.crash(&subject, Unsynced::Keep);
                room.wait_for_all_to_hold(&subject, Presence::Unreachable)
            });
            spread(crashes.collect())
        });
    }
    line("idle bytes/s sent a node", 0, &|room| {
        room.world.run_for(Duration::from_secs(90));
        room.rate(|room| room.world.run_for(Duration::from_secs(80))).to_string()
    });
    line("a paused member alive in all views again", 0, &|room| {
        let pauses = (0..3).map(|turn| {
            let subject = room.names[turn * 7 + 1].clone();
            room.world.pause(&subject);
            room.world.run_for(Duration::from_secs(10));
            room.world.resume(&subject);
            room.wait_for_all_to_hold(&subject, Presence::Alive)
        });
        spread(pauses.collect())
    });
    line("a newcomer seen by all, and all by it", 0, &|room| {
        let name = "newcomer".to_owned();
        room.world.add(&name);
        room.world.start(&name);
        room.names.push(name);
        spread(vec![room.wait(World::converged)])
    });
    line("a loner shows all as not heard; all equal after it is back", 0, &|room| {
        let [alone, back] = room.loner();
        format!("{}; {}", spread(vec![alone]), spread(vec![back]))
    });
}

/// Has the system count the most memory anew; where it cannot, the figure is the most so far.
fn forget_peak() {
    // The word for that is "5"; see proc(5).
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that this process took; unknown where there is no `/proc`.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024)
}

struct Room {
    world: World,
    names: Vec<String>,
}

impl Room {
    /// A room that has come together and is quiet.
    fn new(seed: u64, size: usize) -> Self {
        Self::with(size, Options { keeps_told: false, ..Options::new(seed) })
    }

    /// The same, which keeps all that its nodes tell.
    fn that_tells(seed: u64, size: usize) -> Self {
        Self::with(size, Options::new(seed))
    }

    fn with(size: usize, options: Options) -> Self {
        let mut room = Self::not_started(size, options);
        if size > SMALL_MEMBERS_MAX {
            room.world.start_whole();
        } else {
            for name in &room.names {
                room.world.start(name);
            }
        }
        assert!(room.comes_together(), "seed {}: {size} members did not come together", options.seed);
        room.world.run_for(Duration::from_secs(5));
        room
    }

    fn not_started(size: usize, options: Options) -> Self {
        let suite = if size > SMALL_MEMBERS_MAX { Suite::Plain } else { Suite::Real };
        let mut world = World::with(Options { suite, ..options });
        world.delay(DELAY, JITTER);
        let names: Vec<_> = (0..size).map(|n| format!("m{n}")).collect();
        for name in &names {
            world.add(name);
        }
        Self { world, names }
    }

    /// Whether all views become equal. Looked at now and then: looking costs as much as all members together.
    fn comes_together(&mut self) -> bool {
        for _ in 0..LIMIT.as_secs() * 2 {
            self.world.run_for(Duration::from_millis(500));
            if self.world.converged() {
                return true;
            }
        }
        false
    }

    fn wait(&mut self, done: impl Fn(&World) -> bool) -> Option<Duration> {
        let mut waited = Duration::ZERO;
        while waited < LIMIT {
            self.world.run_for(GRAIN);
            waited += GRAIN;
            if done(&self.world) {
                return Some(waited);
            }
        }
        None
    }

    fn wait_for_all_to_hold(&mut self, subject: &str, presence: Presence) -> Option<Duration> {
        let others: Vec<_> = self.names.iter().filter(|name| *name != subject).cloned().collect();
        self.wait(|world| others.iter().all(|name| world.presence(name, subject) == Some(presence)))
    }

    fn sent(&self) -> u64 {
        self.sent_by_each().iter().sum()
    }

    fn sent_by_each(&self) -> Vec<u64> {
        let sent = |name: &String| {
            let counters = self.world.status(name).counters;
            counters["bytes_out"] + HEADER_BYTES * counters["datagrams_out"]
        };
        self.names.iter().map(sent).collect()
    }

    /// How often one of `subjects` was called gone since `from` events were told.
    fn called_gone(&self, from: &[usize], subjects: &[String]) -> usize {
        let subjects: Vec<_> = subjects.iter().map(|name| self.world.id(name)).collect();
        let gone = |(name, &from): (&String, &usize)| {
            let told = &self.world.told(name)[from..];
            let is_gone = |kind: &EventKind| match kind {
                EventKind::Member { id, state: Presence::Unreachable, .. } => subjects.contains(id),
                _ => false,
            };
            told.iter().filter(|event| is_gone(&event.kind)).count()
        };
        self.names.iter().zip(from).map(gone).sum()
    }

    /// Bytes a second and node that are sent while `during` is done.
    fn rate(&mut self, during: impl FnOnce(&mut Self)) -> u64 {
        let (bytes, began) = (self.sent(), self.world.elapsed());
        during(self);
        let span = self.world.elapsed().saturating_sub(began);
        (self.sent() - bytes) / span.as_secs().max(1) / u64::try_from(self.names.len()).unwrap_or(1)
    }

    fn partition(&mut self, one: &[String], other: &[String]) {
        let one: Vec<&str> = one.iter().map(String::as_str).collect();
        let other: Vec<&str> = other.iter().map(String::as_str).collect();
        self.world.partition(&one, &other);
    }

    /// How soon one that is cut off shows all others as not heard, and how soon all are equal after it is back.
    fn loner(&mut self) -> [Option<Duration>; 2] {
        let loner = self.names[1].clone();
        let rest: Vec<_> = self.names.iter().filter(|name| **name != loner).cloned().collect();
        self.partition(std::slice::from_ref(&loner), &rest);
        let is_missed = |world: &World, name: &String| world.presence(&loner, name) == Some(Presence::Unreachable);
        let alone = self.wait(|world| rest.iter().all(|name| is_missed(world, name)));
        self.world.heal();
        [alone, self.wait(World::converged)]
    }

    fn told(&self) -> Vec<usize> {
        self.names.iter().map(|name| self.world.told(name).len()).collect()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        PASSED_MS.fetch_add(u64::try_from(self.world.elapsed().as_millis()).unwrap_or(0), Ordering::Relaxed);
    }
}

/// Chance of a figure's own, the same for a seed.
fn chance(seed: u64, label: &str) -> Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    Rng::from_seed(bytes).split(label)
}

/// A twentieth, one at least.
const fn twentieth(of: usize) -> usize {
    if of < 20 { 1 } else { of / 20 }
}

fn member_seconds(span: Duration, members: usize, seeds: u64) -> u64 {
    span.as_secs() * u64::try_from(members).unwrap_or(0) * seeds
}

fn spread(mut times: Vec<Option<Duration>>) -> String {
    times.sort_by_key(|time| time.unwrap_or(Duration::MAX));
    let show = |time: Option<Duration>| time.map_or("never".to_owned(), |time| format!("{} ms", time.as_millis()));
    let at = |share: usize| show(times[(times.len() * share).div_ceil(100).saturating_sub(1)]);
    format!("p50 {}, p99 {}, of {}", at(50), at(99), times.len())
}

/// One member after the other dies and comes back.
fn crash(size: usize, loss: u32, seeds: u64) -> String {
    let mut times = Vec::new();
    for seed in 0..seeds {
        let mut room = Room::new(seed, size);
        room.world.loss(loss);
        for turn in 0..10 {
            let subject = room.names[(turn * 7 + 1) % size].clone();
            room.world.run_for(Duration::from_millis(2_000 + 137 * u64::try_from(turn).unwrap_or(0)));
            room.world.crash(&subject, Unsynced::Keep);
            times.push(room.wait_for_all_to_hold(&subject, Presence::Unreachable));
            room.world.start(&subject);
            assert!(room.comes_together(), "seed {seed}: {subject} did not come back");
        }
    }
    spread(times)
}

fn quiet(size: usize, seeds: u64) -> String {
    let mut wrong = 0;
    for seed in 0..seeds {
        let mut room = Room::that_tells(seed, size);
        room.world.loss(50);
        let told = room.told();
        room.world.run_for(SPAN);
        wrong += room.called_gone(&told, &room.names.clone());
    }
    format!("{wrong} in {} member-seconds", member_seconds(SPAN, size, seeds))
}

/// Each of the last twentieth stands still for up to 10 s in every 20 s.
fn stalls(size: usize, seeds: u64) -> String {
    let (mut wrong, mut rightly) = (0, 0);
    for seed in 0..seeds {
        let mut room = Room::that_tells(seed, size);
        let mut rng = chance(seed, "stalls");
        let (healthy, stalling) = room.names.split_at(size - twentieth(size));
        let (healthy, stalling) = (healthy.to_vec(), stalling.to_vec());
        let told = room.told();
        let end = room.world.elapsed() + SPAN;
        while room.world.elapsed() < end {
            // In milliseconds of these 20 s: when, who, and whether it goes on.
            let mut turns = Vec::new();
            for name in &stalling {
                let from = rng.below(10_000);
                turns.push((from, name, false));
                turns.push((from + 1 + rng.below(9_999), name, true));
            }
            turns.push((20_000, &stalling[0], true));
            turns.sort();
            let mut at = 0;
            for (when, name, goes_on) in turns {
                room.world.run_for(Duration::from_millis(when - at));
                at = when;
                if goes_on { room.world.resume(name) } else { room.world.pause(name) }
            }
        }
        wrong += room.called_gone(&told, &healthy);
        rightly += room.called_gone(&told, &stalling);
    }
    let healthy = size - twentieth(size);
    format!("{wrong} in {} member-seconds (those who stall: {rightly})", member_seconds(SPAN, healthy, seeds))
}

fn idle(size: usize) -> String {
    let mut room = Room::new(1, size);
    room.world.run_for(Duration::from_secs(90));
    let (before, span) = (room.sent_by_each(), Duration::from_secs(80));
    room.world.run_for(span);
    let rates: Vec<u64> =
        room.sent_by_each().iter().zip(before).map(|(now, before)| (now - before) / span.as_secs()).collect();
    let nodes = u64::try_from(rates.len()).unwrap_or(1);
    format!("{}, the most {}", rates.iter().sum::<u64>() / nodes, rates.iter().max().unwrap_or(&0))
}

/// Pairs that can never talk, either way, from a time when all knew all.
fn mute(size: usize, seeds: u64) -> String {
    let (mut wrong, mut rates) = (0, Vec::new());
    for seed in 0..seeds {
        let mut room = Room::that_tells(seed, size);
        let mut rng = chance(seed, "mute");
        let mut pairs: Vec<_> = (0..size).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
        let told = room.told();
        for _ in 0..twentieth(pairs.len()) {
            let drawn = rng.below(u64::try_from(pairs.len()).unwrap_or(1));
            let (a, b) = pairs.swap_remove(usize::try_from(drawn).unwrap_or(0));
            for (from, to) in [(a, b), (b, a)] {
                room.world.cut(&room.names[from], &room.names[to]);
            }
        }
        rates.push(room.rate(|room| room.world.run_for(SPAN)));
        wrong += room.called_gone(&told, &room.names.clone());
    }
    let highest = rates.iter().max().copied().unwrap_or(0);
    format!("{highest} bytes/s a node, {wrong} wrong verdicts in {} member-seconds", member_seconds(SPAN, size, seeds))
}

/// What a member that comes and goes costs the others, and how often it and they are called gone.
fn flap(size: usize, seeds: u64) -> String {
    const TURNS: u64 = 10;
    let half = Duration::from_secs(10);
    let (mut wrong, mut gone, mut rates) = (0, 0, Vec::new());
    for seed in 0..seeds {
        let mut room = Room::that_tells(seed, size);
        let flapping = vec![room.names[1].clone()];
        let others: Vec<_> = room.names.iter().filter(|name| !flapping.contains(name)).cloned().collect();
        let told = room.told();
        rates.push(room.rate(|room| {
            for _ in 0..TURNS {
                room.partition(&flapping, &others);
                room.world.run_for(half);
                room.world.heal();
                room.world.run_for(half);
            }
        }));
        gone += room.called_gone(&told, &flapping);
        // It is cut off itself, and right to miss the others.
        let last = room.told();
        let from = |index: usize| if index == 1 { last[index] } else { told[index] };
        let from: Vec<_> = (0..size).map(from).collect();
        wrong += room.called_gone(&from, &others);
    }
    let highest = rates.iter().max().copied().unwrap_or(0);
    let calls = u64::try_from(size - 1).unwrap_or(1) * TURNS * seeds;
    format!("{highest} bytes/s a node; called gone {gone} times of {calls}, others {wrong}")
}

/// How often a member that loses most of what it sends and hears calls one of the others gone, they it, and they each
/// other: in the first 10 s, in which nobody can know yet how much is lost, and in the rest of each 100 s.
fn radio(size: usize, seeds: u64) -> String {
    let (mut first, mut rest) = ([0; 3], [0; 3]);
    for seed in 0..seeds {
        let mut room = Room::that_tells(seed, size);
        room.world.run_for(Duration::from_secs(20));
        let bad = room.names[1].clone();
        let others: Vec<_> = room.names.iter().filter(|name| **name != bad).cloned().collect();
        let end = Ends::Member(room.world.id(&bad));
        for (from, to) in [(end.clone(), Ends::Any), (Ends::Any, end)] {
            let rule = Rule { from, to, fault: Fault::Loss(Share::from_ppm(800_000).expect("a share")) };
            room.world.put_on(&rule).expect("two rules");
        }
        for (secs, calls) in [(10, &mut first), (90, &mut rest)] {
            let told = room.told();
            room.world.run_for(Duration::from_secs(secs));
            // Only what it, or what the others told.
            let now = room.told();
            let from = |own: bool| -> Vec<_> {
                (0..size).map(|index| if (index == 1) == own { told[index] } else { now[index] }).collect()
            };
            calls[0] += room.called_gone(&from(true), &others);
            calls[1] += room.called_gone(&from(false), std::slice::from_ref(&bad));
            calls[2] += room.called_gone(&from(false), &others);
        }
    }
    let show = |[own, of_it, others]: [usize; 3]| format!("{own} by it, {of_it} of it, {others} among others");
    format!("called gone in the first 10 s: {}; in 90 s more: {}; of {seeds} rooms", show(first), show(rest))
}

/// Homes that know each other's cards, and no node that knows of another's run.
fn together(size: usize, seeds: u64) -> String {
    let mut times = Vec::new();
    for seed in 0..seeds {
        let mut room = Room::not_started(size, Options { keeps_told: false, ..Options::new(seed) });
        room.world.acquaint();
        // All in one instant takes twice the memory, for what is on its way then.
        let pause = Duration::from_secs(1) / u32::try_from(size).unwrap_or(1);
        for name in &room.names {
            room.world.start(name);
            room.world.run_for(pause);
        }
        times.push(room.wait(World::converged));
    }
    spread(times)
}

fn join(size: usize, seeds: u64) -> String {
    let mut times = Vec::new();
    for seed in 0..seeds {
        let mut room = Room::new(seed, size);
        for turn in 0..5 {
            let name = format!("new{turn}");
            room.world.add(&name);
            room.world.start(&name);
            times.push(room.wait(World::converged));
            room.names.push(name);
        }
    }
    spread(times)
}

fn heal(size: usize, seeds: u64) -> String {
    let mut times = Vec::new();
    for seed in 0..seeds {
        let mut room = Room::new(seed, size);
        let partitions = if size > THRICE_MEMBERS_MAX { 1 } else { 3 };
        for _ in 0..partitions {
            let (left, right) = room.names.split_at(size / 2);
            let (left, right) = (left.to_vec(), right.to_vec());
            room.partition(&left, &right);
            room.world.run_for(Duration::from_secs(60));
            room.world.heal();
            times.push(room.wait(World::converged));
        }
    }
    spread(times)
}

fn loner(size: usize, seeds: u64) -> String {
    let (mut alone, mut back) = (Vec::new(), Vec::new());
    for seed in 0..seeds {
        let [cut_off, healed] = Room::new(seed, size).loner();
        alone.push(cut_off);
        back.push(healed);
    }
    format!("{}; {}", spread(alone), spread(back))
}

fn restart(size: usize, seeds: u64) -> String {
    let mut times = Vec::new();
    for seed in 0..seeds {
        let mut room = Room::new(seed, size);
        let pause = Duration::from_secs(10) / u32::try_from(size).unwrap_or(1);
        for (index, name) in room.names.clone().iter().enumerate() {
            if index > 0 {
                room.world.run_for(pause);
            }
            room.world.restart(name, Unsynced::Keep);
        }
        times.push(room.wait(World::converged));
    }
    spread(times)
}

fn pause(size: usize, seeds: u64) -> String {
    let mut times = Vec::new();
    for seed in 0..seeds {
        let mut room = Room::new(seed, size);
        for turn in 0..5 {
            let subject = room.names[(turn * 7 + 1) % size].clone();
            room.world.pause(&subject);
            room.world.run_for(Duration::from_secs(10));
            room.world.resume(&subject);
            times.push(room.wait_for_all_to_hold(&subject, Presence::Alive));
        }
    }
    spread(times)
}
