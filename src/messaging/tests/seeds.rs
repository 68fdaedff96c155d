//! Many seeds of everything at once: loss, jitter, duplicates, crashes of anybody at any moment, slow disks. The
//! world's checks are the test; at the end everything must have settled. `FOLKMOOT_SEEDS=1000` runs more of them.

use std::time::Duration;

use super::world::{MS, World};
use crate::base::{PerMille, Rng};
use crate::messaging::Outcome;

const NAMES: [&str; 4] = ["ana", "bo", "cy", "dee"];
const SEEDS: u64 = 40;

#[test]
fn no_claim_is_false_whatever_crashes_and_is_lost() {
    let seeds = std::env::var("FOLKMOOT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    for seed in 1000..1000 + seeds {
        storm(seed);
    }
}

fn storm(seed: u64) {
    let mut world = World::new(seed, &NAMES);
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let mut rng = Rng::from_seed(bytes);
    world.link.loss = PerMille([0, 20, 200, 300][index(&mut rng, 4)]);
    world.link.jitter = MS * [0, 5, 60][index(&mut rng, 3)];
    world.link.duplicate = PerMille([0, 100][index(&mut rng, 2)]);
    for name in NAMES {
        world.disk(name).latency = MS * [1, 5, 50, 400][index(&mut rng, 4)];
    }
    let has_cuts = rng.below(2) == 0;
    let has_full_disks = rng.below(4) == 0;
    let mut told = Vec::new();
    for number in 0..60 {
        let name = NAMES[index(&mut rng, 4)];
        let other = NAMES[index(&mut rng, 4)];
        if world.node(name).machine.is_some() {
            match rng.below(10) {
                0 => world.crash(name),
                6 if has_cuts && name != other => world.cut(name, other),
                7 if has_cuts => world.heal(),
                8 if has_full_disks => {
                    let disk = world.disk(name);
                    disk.full = !disk.full;
                }
                1..=5 => drop(world.try_say(name, &format!("{name} {number}"))),
                _ if name != other => {
                    if let Ok(id) = world.try_tell(name, other, &format!("{name} to {other} {number}")) {
                        told.push((name, other, id));
                    }
                }
                _ => {}
            }
        } else {
            world.start(name);
        }
        let pause = [0, 3, 40, 300, 5000][index(&mut rng, 5)];
        world.run_for(Duration::from_millis(rng.below(pause + 1)));
    }
    for name in NAMES {
        world.disk(name).full = false;
        if world.node(name).machine.is_none() {
            world.start(name);
        }
    }
    world.heal();
    world.link.loss = PerMille(0);
    // Longer than the slowest of retries, of what a full disk undid.
    world.run_for(Duration::from_mins(11));
    for name in NAMES {
        let outcomes = world.machine(name).outcomes();
        assert_eq!((outcomes.sending, outcomes.waiting), (0, 0), "seed {seed}: {name} has not settled: {outcomes:?}");
        let digest = world.machine(name).digest();
        assert_eq!(digest, world.machine("ana").digest(), "seed {seed}: {name} holds other heads");
    }
    for (from, to, id) in told {
        // What the sender lost with its disk was never sent.
        let Some(known) = world.machine(from).message(id) else { continue };
        let outcome = known.deliveries[&world.id(to)].outcome;
        let is_refused = has_full_disks && outcome == Outcome::Refused;
        assert!(outcome == Outcome::Delivered || is_refused, "seed {seed}: {from} to {to} is {outcome:?}");
    }
    world.check_folds();
}

fn index(rng: &mut Rng, below: u64) -> usize {
    usize::try_from(rng.below(below)).unwrap()
}
