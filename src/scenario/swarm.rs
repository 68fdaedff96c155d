//! Swarm testing: each seed has a random part of the background faults on, because some failures hide when
//! all are (Groce, Zhang, Eide, Chen and Regehr, Swarm Testing, ISSTA 2012). Owns the draw; a seed draws the same
//! in a sweep and alone.

use std::time::Duration;

use super::fleet::Change;
use super::links;
use super::options::Swarm;
use super::stage::Stage;
use super::steps::Step;
use super::stop::{Stop, Why};
use crate::base::Rng;
use crate::check::Name;
use crate::faults::{Fault, Spec};

/// What a scenario stands that takes some loss: none of them keeps a delivery from its deadline of 10 s.
const MILD: &[&str] = &["loss=3%", "delay=15ms±15ms", "duplicate=3%", "disk=20ms", "drift=200", "stall=50ms"];

/// One background fault.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Background {
    Net(Vec<Fault>),
    /// Each commit takes up to this long.
    Disk(Duration),
    /// Clocks go wrong by up to this many parts per million, either way.
    Drift(u32),
    /// Loops wake up late by up to this much.
    Stall(Duration),
}

impl Stage {
    /// Draws the background faults of this seed, and puts those of the network on.
    pub(super) fn draw_swarm(&mut self) -> Result<(), Stop> {
        let specs: Vec<String> = match &self.settings.swarm {
            Swarm::Of(specs) => specs.clone(),
            Swarm::None if !self.options.swarm => return Ok(()),
            Swarm::None | Swarm::Mild => MILD.iter().map(|&spec| spec.to_owned()).collect(),
        };
        let mut rng = self.swarm_rng("kinds");
        let faults = specs.iter().map(|spec| read(spec)).collect::<Result<Vec<_>, _>>()?;
        // Seed 0 is the calm one.
        let mut drawn = faults.into_iter().filter(|_| rng.below(2) == 1 && self.options.seed != 0).collect::<Vec<_>>();
        for background in &drawn {
            if let Background::Net(faults) = background {
                for &fault in faults {
                    unless_it_cannot(self.take(Step::Default { fault }))?;
                }
            }
        }
        drawn.retain(|background| !matches!(background, Background::Net(_)));
        self.swarm = drawn;
        Ok(())
    }

    /// Lets a machine that was just made have its part.
    pub(super) fn befall(&mut self, node: &Name) -> Result<(), Stop> {
        let mut rng = self.swarm_rng(&format!("node {node}"));
        for background in self.swarm.clone() {
            let change = match background {
                Background::Net(_) => continue,
                Background::Disk(most) => Change::DiskLatency { latency: up_to(&mut rng, most) },
                Background::Drift(most) => {
                    let ppm = i64::try_from(rng.below(u64::from(most) * 2 + 1)).unwrap_or(0) - i64::from(most);
                    Change::ClockDrift { ppm: i32::try_from(ppm).unwrap_or(0) }
                }
                Background::Stall(most) => Change::Stall { lag: up_to(&mut rng, most) },
            };
            unless_it_cannot(self.take(Step::Change { node: node.clone(), change }))?;
        }
        Ok(())
    }

    fn swarm_rng(&self, label: &str) -> Rng {
        let seed = *blake3::hash(&self.options.seed.to_be_bytes()).as_bytes();
        Rng::from_seed(seed).split("swarm").split(label)
    }
}

/// `disk=20ms`, `drift=200`, `stall=50ms`, or a spec of the network's.
pub(super) fn read(spec: &str) -> Result<Background, Stop> {
    let wrong = |why: String| Stop::script(format!("scenario: swarm {spec:?}: {why}"));
    let (kind, value) = spec.split_once('=').unwrap_or((spec, ""));
    let time = || humantime::parse_duration(value).map_err(|_| wrong("it wants a time, such as disk=20ms".to_owned()));
    match kind {
        "disk" => time().map(Background::Disk),
        "stall" => time().map(Background::Stall),
        "drift" => {
            let ppm = value.parse().ok().filter(|&ppm| ppm <= 100_000);
            ppm.map(Background::Drift).ok_or_else(|| wrong("it wants parts per million, such as drift=200".to_owned()))
        }
        _ => match spec.parse() {
            Ok(Spec::Add(rules)) => {
                let faults =
                    links::of_all(rules).ok_or_else(|| wrong("it is for all links, and names an end".to_owned()));
                faults.map(Background::Net)
            }
            Ok(Spec::Off | Spec::Remove { .. }) => Err(wrong("it takes faults off".to_owned())),
            Err(error) => Err(wrong(error.to_string())),
        },
    }
}

fn up_to(rng: &mut Rng, most: Duration) -> Duration {
    let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rng.below(most.saturating_add(1)))
}

/// A background fault that a fleet cannot do is left out: the scenario does not rest on it.
fn unless_it_cannot(done: Result<(), Stop>) -> Result<(), Stop> {
    match done {
        Err(stop) if stop.why == Why::Cannot => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mild_ones_read() {
        assert!(MILD.iter().all(|spec| read(spec).is_ok()));
        assert_eq!(read("drift=200"), Ok(Background::Drift(200)));
        for wrong in ["drift=fast", "disk", "explode=1", "off", "loss=5% to bo"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
