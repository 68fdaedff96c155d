//! Holds what is written down of runs to what the runs do: the diagrams under docs/, each made again and compared, and the
//! hash of one run. `UPDATE=1 cargo test --test diagrams` writes what differs.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use folkmoot::report::{Kind, Tally, diagram};
use folkmoot::scenario::{Keeps, Options, Run, Script, SimFleet, SimOptions, Verdict, run};
use folkmoot::sim::World;

/// What each demonstration is about, and the diagrams that show it.
const DEMONSTRATIONS: [(&str, &[Kind], &str); 14] = [
    (
        "01",
        &[Kind::System, Kind::Sequence],
        "A node starts, logs its life and stops. Three subsystems share one process and one socket; \
      what stands at the arrows was counted in the run.",
    ),
    (
        "02",
        &[Kind::System, Kind::Sequence],
        "Framed messages travel over one socket on each side and are dispatched: transport hands \
      frames up, and membership and messaging each take their own.",
    ),
    (
        "03",
        &[Kind::Membership, Kind::Sequence],
        "Nodes learn of each other from one another; nobody holds the list. A member is alive \
      for an observer from the first card and heartbeat on.",
    ),
    (
        "04",
        &[Kind::Sequence, Kind::Membership],
        "A machine crashes. Its silence becomes a report, reports by several become a verdict, and \
      what was said before stays as it was.",
    ),
    (
        "05",
        &[Kind::Sequence, Kind::Membership],
        "A node comes back with a higher incarnation. Its peers know it for the same member, and what \
      its old process sent is rejected.",
    ),
    (
        "06",
        &[Kind::Sequence],
        "A group message goes from its author straight to each member. Who was away gets it later; a copy is shown once.",
    ),
    ("07", &[Kind::Sequence], "A private message, its receipt, and what its sender knows at each moment."),
    (
        "08",
        &[Kind::Sequence],
        "A crash around a private message: message lost, receipt lost and receiver down look the same to its sender, \
      so it says that it cannot tell, and a late receipt settles it.",
    ),
    (
        "09",
        &[Kind::Sequence],
        "A node that was away asks its peers for what it missed. They give what they keep; what nobody keeps shows as a gap.",
    ),
    (
        "10",
        &[Kind::Topology, Kind::Sequence],
        "Both sides of a cut go on, and each holds the other for unreachable. Who heard whom is taken \
      from what arrived, not from the rule that cut it.",
    ),
    (
        "11",
        &[Kind::Topology, Kind::Membership, Kind::Sequence],
        "The cut heals. Views come together again, and each side gets what the other said.",
    ),
    (
        "12",
        &[Kind::Sequence, Kind::Topology],
        "A crash in the middle of a partition: two failures at once, each still told apart by its causes.",
    ),
    (
        "13",
        &[Kind::Topology, Kind::Sequence, Kind::Membership],
        "Joins, crashes, restarts, a partition, recovery, group and private \
      messages together. What does not fit is counted at the end.",
    ),
    (
        "14",
        &[Kind::Sequence],
        "A member lies in each way that a member can. What the others show is still true: nothing in another's name, both versions \
      of what was told differently, nothing twice, and no end to their own talk.",
    ),
];

/// Any seed shows it; this one draws no background faults, so that nothing distracts.
const SEED: u64 = 0;

/// No demonstration is longer, in virtual time.
const LIMIT: Duration = Duration::from_secs(3_600);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scenarios() -> Vec<PathBuf> {
    let dir = fs::read_dir(root().join("scenarios")).expect("scenarios/ is there");
    let mut files: Vec<PathBuf> = dir.map(|entry| entry.expect("it can be listed").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "lua"));
    files.sort();
    files
}

/// The scenarios that are demonstrations, by number.
fn demonstrations() -> impl Iterator<Item = PathBuf> {
    scenarios().into_iter().filter(|file| stem(file).starts_with(|first: char| first.is_ascii_digit()))
}

fn stem(file: &Path) -> String {
    file.file_stem().and_then(|stem| stem.to_str()).expect("a plain name").to_owned()
}

fn simulated(file: &Path) -> Run {
    let script = Script {
        file: format!("scenarios/{}.lua", stem(file)),
        source: fs::read_to_string(file).expect("it can be read").into(),
    };
    let options = Options { seed: SEED, limit: LIMIT, swarm: false, keeps: Keeps::All, tape: None };
    run(&script, options, |_| {
        Ok(Box::new(SimFleet::new(SimOptions { is_traced: true, keeps_told: false, ..SimOptions::new(SEED) })))
    })
}

fn document(file: &Path) -> Result<String, String> {
    let stem = stem(file);
    let number = stem.split('_').next().unwrap_or_default();
    let known = DEMONSTRATIONS.iter().find(|(known, ..)| *known == number);
    let (_, kinds, words) = known.unwrap_or_else(|| panic!("{stem} has no words in this test"));
    let run = simulated(file);
    if run.verdict() != Verdict::Passed {
        let why = run.stop.map_or_else(String::new, |stop| stop.to_string());
        return Err(format!("{stem} does not pass, so there is nothing to draw: {why}"));
    }
    let made = diagram(&run.trace, kinds);
    let (title, rest) = made.split_once("\n\n").expect("a heading comes first");
    Ok(format!(
        "{title}\n\n{words}\n\nThe scenario is [{stem}.lua](../../scenarios/{stem}.lua); [REPORT.md](../REPORT.md) says how to read \
         this.\n\n{rest}"
    ))
}

#[test]
fn each_diagram_is_what_its_scenario_does() {
    let update = env::var_os("UPDATE").is_some();
    let mut stale = Vec::new();
    for file in demonstrations() {
        let made = match document(&file) {
            Ok(made) => made,
            Err(why) => {
                stale.push(why);
                continue;
            }
        };
        let path = root().join("docs/diagrams").join(format!("{}.md", stem(&file)));
        if fs::read_to_string(&path).is_ok_and(|kept| kept == made) {
            continue;
        }
        if update {
            fs::create_dir_all(path.parent().expect("it has one")).expect("docs/ can be written");
            fs::write(&path, made).expect("docs/ can be written");
        } else {
            stale.push(path.display().to_string());
        }
    }
    assert!(
        stale.is_empty(),
        "not what the scenarios do any more; read what changed, then UPDATE=1 cargo test --test diagrams:\n{}",
        stale.join("\n")
    );
}

/// The states in the documents are those of all scenarios together, between two marks.
#[test]
fn the_states_in_the_documents_are_those_that_the_scenarios_go_through() {
    let mut tally = Tally::default();
    for file in scenarios() {
        let run = simulated(&file);
        assert_eq!(run.verdict(), Verdict::Passed, "{}", stem(&file));
        tally.add(&run.trace);
    }
    for (document, made) in [("docs/MEMBERSHIP.md", tally.membership()), ("docs/MESSAGING.md", tally.outcomes())] {
        let path = root().join(document);
        let text = fs::read_to_string(&path).expect("it can be read");
        let (before, rest) = text.split_once(FROM_RUNS).expect("the mark where it begins");
        let (kept, after) = rest.split_once(FROM_RUNS_END).expect("the mark where it ends");
        if kept.trim() == made.trim() {
            continue;
        }
        assert!(
            env::var_os("UPDATE").is_some(),
            "{document} is not what the scenarios do any more; read what changed, then UPDATE=1 cargo test --test diagrams:\n{made}"
        );
        fs::write(&path, format!("{before}{FROM_RUNS}\n{made}{FROM_RUNS_END}{after}")).expect("docs/ can be written");
    }
}

const FROM_RUNS: &str = "<!-- made from runs by tests/diagrams.rs -->";
const FROM_RUNS_END: &str = "<!-- made until here -->";

/// The run that `cargo bench --bench sim` begins with: 10 % loss, a message to all and a private one.
fn trace_of_seed_3() -> String {
    let mut world = World::new(3).members(["ana", "bo", "cy"]);
    world.loss(100);
    world.say("ana", "hello");
    world.tell("bo", "cy", "psst");
    world.run_for(Duration::from_secs(60));
    data_encoding::HEXLOWER.encode(&world.trace_hash())
}

#[test]
fn a_seed_gives_one_trace_in_every_build_and_on_every_machine() {
    let path = root().join("tests/trace.txt");
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let made = trace_of_seed_3();
    assert_eq!(made, trace_of_seed_3(), "two runs of one build differ already");
    if kept.trim() == made {
        return;
    }
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, made + "\n").expect("tests/ can be written");
        return;
    }
    panic!(
        "the run of seed 3 gives trace {made}, and tests/trace.txt has {}\nIf nodes were meant to act differently: \
         UPDATE=1 cargo test --test diagrams. If nothing was changed but the build or the machine, something in the node \
         or the simulator depends on it.",
        kept.trim()
    );
}
