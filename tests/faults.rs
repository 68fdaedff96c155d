//! Real `moot` processes on a network that is as bad as one can be while it still carries something: what was
//! said is shown once, as it was said, and what was damaged is counted.
#![expect(clippy::disallowed_methods, reason = "real processes are waited for by the clock")]

mod harness;

use std::collections::BTreeSet;

use harness::Home;
use serde_json::Value;

/// Everything at once, on the way out of each node.
const BAD: &str =
    "loss=10%,burst=5%/5,delay=10ms±5ms,reorder=10%/50ms,duplicate=20%/300ms,corrupt=5%,truncate=2%,rate=2mbit";

/// What each of two members says, to the room and to the other.
const EACH: u64 = 10;

#[test]
fn a_network_that_does_everything_wrong_carries_every_message_once() {
    let homes = ["ana", "bo"].map(Home::new);
    let ana = homes[0].node(&["--fault", BAD]);
    let bo = homes[1].node(&["--fault", BAD, "--join", ana.ticket()]);
    for home in &homes {
        home.meet(2);
    }
    for number in 0..EACH {
        for (home, other) in [(&homes[0], "bo"), (&homes[1], "ana")] {
            let nick = &home.nick;
            for args in [&["send", "--wait", "none"][..], &["send", "--wait", "none", "--to", other]] {
                let text = format!("{nick} says {} {number}", if args.len() > 3 { "privately" } else { "to all" });
                let output = home.moot(&[args, &[text.as_str()]].concat());
                assert_eq!(output.status.code(), Some(0), "{output:?}");
            }
        }
    }
    for home in &homes {
        home.until(&["status"], |status| status["deliveries"]["delivered"] == 2 * EACH);
    }
    let said = |nick: &str, kind: &str| (0..EACH).map(|n| format!("{nick} says {kind} {n}")).collect::<Vec<_>>();
    for mut node in [ana, bo] {
        let to_all = ["ana", "bo"].map(|nick| said(nick, "to all"));
        let expected: BTreeSet<String> = to_all
            .iter()
            .flatten()
            .cloned()
            .chain(["ana", "bo"].iter().flat_map(|nick| said(nick, "privately")))
            .collect();
        for text in &expected {
            node.shows(text);
        }
        let texts = node.texts();
        assert_eq!(texts.iter().cloned().collect::<BTreeSet<_>>(), expected, "nothing that nobody said");
        assert_eq!(texts.len(), expected.len(), "nothing twice: {texts:?}");
        for one_author in to_all {
            let in_order: Vec<&String> = texts.iter().filter(|text| one_author.contains(text)).collect();
            assert_eq!(in_order, one_author.iter().collect::<Vec<_>>());
        }
    }
}

#[test]
fn each_thing_that_is_done_to_datagrams_is_counted_and_what_is_damaged_is_refused() {
    let homes = ["ana", "bo"].map(Home::new);
    let ana = homes[0].node(&[]);
    let bo = homes[1].node(&["--join", ana.ticket()]);
    for home in &homes {
        home.meet(2);
    }
    let fault = |spec: &str| {
        let output = homes[0].moot(&["fault", spec]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    };
    let count = |home: &Home, name: &str| home.json(&["status"])["counters"][name].as_u64().expect("a count");
    let grows = |home: &Home, name: &str| {
        let before = count(home, name);
        home.until(&["status"], |status| status["counters"][name].as_u64() > Some(before));
    };

    fault("corrupt=100%");
    let shown: Vec<Value> = homes[0].json(&["status"])["faults"].as_array().expect("a list").clone();
    assert_eq!(shown, ["corrupt=100%"]);
    grows(&homes[0], "fault_corrupted");
    grows(&homes[1], "tag_failed");
    fault("off corrupt");
    fault("truncate=100%");
    grows(&homes[0], "fault_truncated");
    fault("off truncate");
    fault("duplicate=100%");
    grows(&homes[0], "fault_duplicated");
    grows(&homes[1], "replayed");
    fault("off");
    fault("delay=20ms,reorder=50%");
    grows(&homes[0], "fault_delayed");
    fault("off");
    fault("burst=50%/2 to bo");
    grows(&homes[0], "fault_dropped");
    fault("off burst to bo");
    // What is said takes four seconds to leave, and a heartbeat comes each second.
    fault("rate=1kbit/0s");
    let output = homes[0].moot(&["send", "--wait", "none", &"x".repeat(500)]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    grows(&homes[0], "fault_overflowed");
    fault("off");
    assert_eq!(homes[0].json(&["status"])["faults"], Value::Array(Vec::new()));
    for home in &homes {
        home.meet(2);
    }
    let output = homes[0].moot(&["send", "--wait", "all", "after all that"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    drop(bo);
}
