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
        (&["search", "--from", "zoe", "hi"], "nobody known here is called zoe now; moot who lists the members"),
    ] {
        let refused = homes[1].moot(args);
        assert_eq!((refused.status.code(), complaint(&refused)), (Some(2), format!("moot: {sentence}")));
    }
    drop(ana);
}

#[test]
fn a_message_is_proven_by_a_file_to_somebody_who_was_not_there() {
    let (homes, [_ana, _bo]) = two();
    let said = say(&homes[0], &["the build is done"]);
    let handle = said["handle"].as_str().expect("a handle");
    let room = homes[0].moot(&["invite"]);
    let room = String::from_utf8(room.stdout).expect("UTF-8").trim().to_owned();
    let elsewhere = Home::new("nobody");
    std::fs::create_dir(elsewhere.path()).expect("a place for files");
    let path = elsewhere.path().join("build.moot");
    let file = path.to_str().expect("UTF-8");

    let told = lines(&homes[0], &["evidence", "export", handle, "--out", file]);
    assert!(told[0].ends_with("build.moot: the message, 1 receipt and 2 cards"), "{told:?}");
    let again = homes[0].moot(&["evidence", "export", handle, "--out", file]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(complaint(&again).contains("is there already"), "{again:?}");
    let nowhere = homes[0].moot(&["evidence", "export", handle, "--out", "/nonexistent/build.moot"]);
    assert!(complaint(&nowhere).contains("there is no such directory"), "{nowhere:?}");

    // Where no node ever ran.
    let proof = elsewhere.json(&["evidence", "verify", file]);
    assert_eq!(proof["text"], "the build is done");
    assert_eq!((&proof["from"]["nick"], &proof["id"]), (&"ana".into(), &said["id"]));
    assert_eq!(proof["receipts"][0]["covers"], "this_message");
    assert_eq!(proof["receipts"][0]["by"]["nick"], "bo");
    let shown = lines(&elsewhere, &["evidence", "verify", file, "--room", &room]).join("\n");
    assert!(shown.contains("| the build is done") && shown.contains("it does not prove:"), "{shown}");

    let sound = std::fs::read(&path).expect("written");
    for at in [3, 30, 60, sound.len() / 2, sound.len() - 1] {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).expect("written");
        let refused = elsewhere.moot(&["evidence", "verify", file]);
        assert_eq!(refused.status.code(), Some(1), "byte {at}: {refused:?}");
        assert!(complaint(&refused).contains("proves nothing: "), "{refused:?}");
    }
    std::fs::write(&path, &sound).expect("written");
    let other = Home::new("zoe");
    let _zoe = other.node(&[]);
    let ticket = other.moot(&["invite"]);
    let ticket = String::from_utf8(ticket.stdout).expect("UTF-8").trim().to_owned();
    let refused = elsewhere.moot(&["evidence", "verify", file, "--room", &ticket]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains("it is of room "), "{refused:?}");
}

#[test]
fn a_private_message_is_proven_by_its_sender_and_not_by_its_receiver() {
    let (homes, [_ana, mut bo]) = two();
    let said = say(&homes[0], &["--to", "bo", "only for you"]);
    bo.shows("only for you");
    let id = said["id"].as_str().expect("an id");
    let dir = Home::new("files");
    std::fs::create_dir(dir.path()).expect("a place for files");
    let [sent, received] = ["sent.moot", "received.moot"].map(|name| dir.path().join(name));
    let [sent, received] = [&sent, &received].map(|path| path.to_str().expect("UTF-8"));

    lines(&homes[0], &["evidence", "export", id, "--out", sent]);
    let proof = dir.json(&["evidence", "verify", sent]);
    assert_eq!(proof["receipts"][0]["covers"], "this_message");
    assert_eq!(proof["proves"].as_array().map(Vec::len), Some(1), "{proof:#}");

    let told = lines(&homes[1], &["evidence", "export", id, "--out", received]);
    assert_eq!(
        told[1],
        "it proves nothing: nothing that anybody signed about this message is here; its receipts go to its author"
    );
    let output = dir.moot(&["evidence", "verify", received]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(String::from_utf8(output.stdout).expect("UTF-8").contains("\nit proves nothing\n"));
}

#[test]
fn why_tells_what_the_disk_knows_once_the_node_does_not() {
    let (homes, [ana, mut bo]) = two();
    let said = say(&homes[0], &["--to", "bo", "only for you"]);
    bo.shows("only for you");
    let id = said["id"].as_str().expect("an id");
    let before = homes[0].json(&["why", id]);
    assert_eq!(before["known_from"], "by_the_node");
    // What was settled is held by its hash alone, and the disk has what it says.
    for (home, claims) in [(&homes[0], "\n  you said it at "), (&homes[1], "\n  ana claims to have said it at ")] {
        let why = home.json(&["why", id]);
        assert_eq!((&why["text"], why["said_at"].is_u64()), (&"only for you".into(), true), "{why:#}");
        let shown = lines(home, &["why", said["handle"].as_str().expect("a handle")]).join("\n");
        assert!(shown.contains("\n  it says: only for you\n") && shown.contains(claims), "{shown}");
    }
    let delivery = &before["deliveries"][0];
    assert_eq!((&delivery["outcome"], &delivery["receipt"]["signature"]), (&"delivered".into(), &"holds".into()));
    assert_eq!(delivery["tries"][0]["asked_for"], false);
    assert!(delivery["address"].as_str().is_some_and(|address| address.starts_with("127.0.0.1:")), "{delivery:#}");

    drop(ana);
    let _ana = homes[0].node(&[]);
    let after = homes[0].json(&["why", id]);
    assert_eq!(after["known_from"], "by_the_disk_alone", "{after:#}");
    let delivery = &after["deliveries"][0];
    assert_eq!((&delivery["outcome"], &delivery["receipt"]["signature"]), (&"delivered".into(), &"holds".into()));
    assert_eq!(delivery["tries"], serde_json::json!([]));
    let shown = lines(&homes[0], &["why", id]).join("\n");
    assert!(shown.contains("\n  only the disk still knows what became of it\n  bo: stored on its disk"), "{shown}");
    assert!(shown.contains("\nnot known:\n"), "{shown}");
}

#[test]
fn a_number_is_never_answered_with_the_message_of_another_run() {
    let ana = Home::new("ana");
    let node = ana.node(&[]);
    ana.json(&["send", "one"]);
    let two = ana.json(&["send", "two"])["handle"].as_str().expect("a handle").to_owned();
    assert!(
        lines(&ana, &["why", "ana#2"])[0]
            .starts_with(&format!("{two} is a message to the room from you: #2 of your run since "))
    );
    node.terminate();
    let node = ana.node(&[]);
    let of_now = ana.json(&["send", "one again"])["handle"].as_str().expect("a handle").to_owned();
    let id = node.id()[..4].to_owned();
    for name in ["ana#1".to_owned(), format!("ana~{id}#1"), format!("{id}#1")] {
        assert!(lines(&ana, &["why", &name])[0].starts_with(&of_now), "{name}");
    }
    for args in [&["why", "ana#2"][..], &["evidence", "export", "ana#2", "--out", "/nonexistent/x"]] {
        let refused = ana.moot(args);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let said = complaint(&refused);
        assert!(
            said.contains("no message of the newest run known here is ana#2; of an earlier run there is this"),
            "{said}"
        );
        assert!(said.contains(&two) && said.contains("\"two\""), "{said}");
    }
    let refused = complaint(&ana.moot(&["why", "ana#9"]));
    assert!(refused.contains("no message that is kept here is ana#9, and no gap names it"), "{refused}");
}

#[test]
fn who_was_not_in_the_room_is_named_by_why() {
    let (homes, [_ana, bo]) = two();
    let (code, _) = bo.terminate();
    assert_eq!(code, Some(0));
    homes[0].until(&["who"], |members| {
        members.as_array().is_some_and(|all| all.iter().any(|member| member["state"] == "left"))
    });
    let said = homes[0].json(&["send", "while you were away"]);
    let handle = said["handle"].as_str().expect("a handle");
    let mut bo = homes[1].node(&[]);
    bo.shows("while you were away");
    homes[0].meet(2);
    let shown = lines(&homes[0], &["why", handle]).join("\n");
    assert!(shown.contains("\n  whether bo has it, who was not known to be in the room when it was said"), "{shown}");
    say(&homes[0], &["and now"]);
    let shown = lines(&homes[0], &["why", handle]).join("\n");
    assert!(shown.contains("\n  bo: stored on its disk by "), "{shown}");
    assert!(shown.contains("and a receipt that it signed later for #1 to #2 covers it, in its run "), "{shown}");
    assert!(!shown.contains("whether bo has it"), "{shown}");
}
