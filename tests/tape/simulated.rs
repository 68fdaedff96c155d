//! Traces of simulated runs, where a test needs a true story: what nodes really do, from a seed.

use std::time::Duration;

use folkmoot::check::{Line, What};
use folkmoot::faults::{Ends, Fault, Rule};
use folkmoot::node::api::Command;
use folkmoot::scenario::{Fleet, SimFleet, SimOptions, Unsynced};

/// A run of five simulated machines with a cut, a crash and a restart in it, then quiet.
pub fn compound() -> Vec<Line> {
    let mut fleet = SimFleet::new(SimOptions { is_traced: true, ..SimOptions::new(11) });
    let names = ["ana", "bo", "cy", "dee", "eve"];
    let began = What::Began { scenario: "compound".into(), driver: fleet.driver(), seed: 11 };
    fleet.note(None, None, began);
    let ids = names.map(|name| fleet.add(name).expect("a new name"));
    let pass = |fleet: &mut SimFleet, seconds: u64| {
        let until = fleet.elapsed() + Duration::from_secs(seconds);
        while fleet.elapsed() < until {
            fleet.step(until).expect("nothing ends by itself");
        }
    };
    let say = |fleet: &mut SimFleet, name: &str, text: &str| {
        fleet.command(name, Command::Say { text: text.into() }).expect("it runs").expect("it may speak");
    };
    for name in names {
        fleet.start(name).expect("it starts");
    }
    pass(&mut fleet, 4);
    say(&mut fleet, "ana", "is everybody here?");
    pass(&mut fleet, 2);
    let cuts: Vec<Rule> =
        [(0, 3), (3, 0), (0, 4), (4, 0), (1, 3), (3, 1), (1, 4), (4, 1), (2, 3), (3, 2), (2, 4), (4, 2)]
            .map(|(from, to)| Rule { from: Ends::Member(ids[from]), to: Ends::Member(ids[to]), fault: Fault::Cut })
            .into();
    for cut in &cuts {
        fleet.net(cut, true).expect("a cut");
    }
    fleet
        .command("ana", Command::Tell { to: ids[4], text: "eve, can you hear me?".into() })
        .expect("it runs")
        .expect("told");
    pass(&mut fleet, 5);
    say(&mut fleet, "bo", "this side goes on");
    say(&mut fleet, "dee", "so does this one");
    pass(&mut fleet, 2);
    fleet.crash("cy", Unsynced::Lose).expect("it runs");
    pass(&mut fleet, 6);
    for cut in &cuts {
        fleet.net(cut, false).expect("a cut");
    }
    fleet.start("cy").expect("it starts again");
    pass(&mut fleet, 12);
    std::iter::from_fn(|| fleet.poll_line()).collect()
}
