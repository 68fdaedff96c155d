//! What a person asks of messages, of real `moot` processes: which there were, what became of each, and what can be
//! shown to somebody else.
#![expect(clippy::disallowed_methods, reason = "real processes are waited for by the clock")]

mod harness;

use harness::{Home, Node, complaint};
use serde_json::Value;

/// ana and bo in one room, alive to each other.
fn two() -> ([Home; 2], [Node; 2]) {
    let homes = ["ana", "bo"].map(Home::new);
    let ana = homes[0].node(&[]);
    let bo = homes[1].node(&["--join", ana.ticket()]);
    for home in &homes {
        home.meet(2);
    }
    (homes, [ana, bo])
}

fn say(home: &Home, args: &[&str]) -> Value {
    let output = home.moot(&[&["send", "--json"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn lines(home: &Home, args: &[&str]) -> Vec<String> {
    let output = home.moot(args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[test]
fn what_was_said_is_found_by_its_words_also_after_a_restart() {
    let (homes, [ana, mut bo]) = two();
    let texts = ["the build is done", "is the Build green?", "lunch\u{1b}[2J: the build can wait"];
    say(&homes[0], &[texts[0]]);
    say(&homes[1], &["--to", "ana", texts[1]]);
    say(&homes[0], &[texts[2]]);
    bo.shows(texts[2]);
    drop(bo);
    let _bo = homes[1].node(&[]);

    let found = homes[1].json(&["search", "build", "the"]);
    let said: Vec<&str> = found.as_array().expect("a list").iter().map(|m| m["text"].as_str().expect("text")).collect();
    assert_eq!(said, texts);
    assert_eq!(found[1]["kind"], "private");
    let hit = serde_json::json!([
        {"text": "is "}, {"text": "the", "hit": true}, {"text": " "}, {"text": "Build", "hit": true}, {"text": " green?"}
    ]);
    assert_eq!(found[1]["snippet"], hit);

    let shown = lines(&homes[1], &["search", "--from", "ANA", "\"the build\" *"]);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].ends_with("  ana: «the build» is done"), "{shown:?}");
    assert!(shown[1].ends_with("  ana: lunch[2J: «the build» can wait"), "no escape: {shown:?}");
    let newest = homes[1].moot(&["search", "-n", "1", "build"]);
    let newest = String::from_utf8(newest.stdout).expect("UTF-8");
    let newest: Vec<&str> = newest.lines().collect();
    assert!(newest[0].starts_with("(older messages match too") && newest[1].contains("lunch"), "{newest:?}");
    assert_eq!(lines(&homes[1], &["search", "dinner"]), ["no message that is kept here has these words"]);

    for (args, sentence) in [
        (&["search", "!?"][..], "\"!?\" holds no word to look for; a word has letters or digits"),
        (&["search", "--from", "zoe", "hi"], "nobody here is or was called zoe; moot who lists the members"),
    ] {
        let refused = homes[1].moot(args);
        assert_eq!((refused.status.code(), complaint(&refused)), (Some(2), format!("moot: {sentence}")));
    }
    drop(ana);
}
