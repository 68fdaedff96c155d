//! Scripts beside real nodes: the ones that are shipped, and what is said of one that is wrong.
#![expect(clippy::disallowed_methods, reason = "real processes are waited for by the clock")]

mod harness;

use std::path::Path;

use harness::{Home, Node, complaint};

fn shipped(name: &str) -> String {
    format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// ana with a script, and bo, who see each other.
fn two(script: &str) -> ([Home; 2], [Node; 2]) {
    let homes = ["ana", "bo"].map(Home::new);
    let ana = homes[0].node(&["--script", script]);
    let bo = homes[1].node(&["--join", ana.ticket()]);
    for home in &homes {
        home.meet(2);
    }
    (homes, [ana, bo])
}

fn written(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn echo_answers_what_it_is_told_in_private() {
    let (homes, [_ana, mut bo]) = two(&shipped("echo.lua"));
    let output = homes[1].moot(&["send", "--to", "ana", "--wait", "all", "hello"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let answer = bo.shows("you said: hello");
    assert_eq!((answer["kind"].as_str(), answer["nick"].as_str()), (Some("private"), Some("ana")));
}

#[test]
fn greeter_welcomes_who_comes() {
    let (_homes, [_ana, mut bo]) = two(&shipped("greeter.lua"));
    bo.shows("welcome, bo");
}

#[test]
fn watcher_tells_who_is_gone() {
    let (_homes, [mut ana, bo]) = two(&shipped("watcher.lua"));
    bo.kill();
    let told = ana.wait(|event| event["event"] == "script");
    assert_eq!(told["name"], "watcher.lua");
    assert_eq!(told["text"], "bo is unreachable, says ana");
}

#[test]
fn the_room_works_while_every_third_datagram_is_dropped() {
    let (homes, [_ana, mut bo]) = two(&shipped("drop_every_third.lua"));
    for text in ["one", "two", "three", "four", "five"] {
        let output = homes[0].moot(&["send", "--wait", "all", text]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    bo.shows("five");
    assert_eq!(bo.texts(), ["one", "two", "three", "four", "five"]);
    let dropped = homes[0].json(&["status"])["counters"]["fault_dropped"].as_u64();
    assert!(dropped >= Some(2), "{dropped:?}");
}

#[test]
fn a_hook_that_fails_is_told_with_its_line_and_the_node_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = written(dir.path(), "bad.lua", "moot.on('message', function(m)\n  local x = m.nothing.here\nend)\n");
    let (homes, [mut ana, _bo]) = two(&script);
    homes[1].moot(&["send", "--wait", "all", "hello"]);
    let told = ana.wait(|event| event["event"] == "script");
    assert_eq!(told["text"], "bad.lua:2: attempt to index a nil value (field 'nothing')");
    assert_eq!(told["failed"], true);
    for _ in 0..4 {
        homes[1].moot(&["send", "--wait", "all", "again"]);
    }
    let alarm = ana.wait(|event| event["event"] == "alarm");
    assert!(alarm["text"].as_str().is_some_and(|text| text.contains("is switched off")), "{alarm}");
    let output = homes[0].moot(&["send", "--wait", "all", "still here"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_script_that_is_wrong_stops_the_start_before_there_is_a_home() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = Home::new("ana");
    for (text, told) in [
        ("moot.on('message', function(m)", "moot: new.lua:1: 'end' expected near <eof>"),
        ("\nmoot.on('mesage', print)", "moot: new.lua:2: moot.on: there is no event 'mesage'"),
        ("while true do end", "moot: new.lua:1: stopped, because it ran too long"),
    ] {
        let script = written(dir.path(), "new.lua", text);
        for command in ["node", "chat"] {
            let output = home.moot(&[command, "--script", &script]);
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            assert!(complaint(&output).starts_with(told), "{output:?}");
            assert!(!home.path().exists());
        }
    }
    let output = home.moot(&["node", "--script", "/nowhere/none.lua"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(complaint(&output).starts_with("moot: the script /nowhere/none.lua cannot be read: "), "{output:?}");
    assert!(!home.path().exists());
}
