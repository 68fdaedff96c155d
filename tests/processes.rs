//! The product, driven as a person would: real `moot` processes on 127.0.0.1, killed and restarted.
#![expect(clippy::disallowed_methods, reason = "real processes are waited for by the clock")]

mod harness;

use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use harness::{Home, Node, complaint};
use serde_json::Value;

/// ana, bo and cy on one ticket, all alive to each other.
fn three() -> ([Home; 3], [Node; 3]) {
    let homes = ["ana", "bo", "cy"].map(Home::new);
    let ana = homes[0].node(&[]);
    let bo = homes[1].node(&["--join", ana.ticket()]);
    let cy = homes[2].node(&["--join", ana.ticket()]);
    for home in &homes {
        home.meet(3);
    }
    (homes, [ana, bo, cy])
}

fn outcome<'a>(sent: &'a Value, nick: &str) -> &'a str {
    let deliveries = sent["deliveries"].as_array().expect("a list");
    let delivery = deliveries.iter().find(|delivery| delivery["nick"] == nick).expect("in the roster");
    delivery["outcome"].as_str().expect("an outcome")
}

#[test]
fn three_nodes_talk_in_the_room_and_in_private() {
    let (homes, [_ana, mut bo, mut cy]) = three();
    let output = homes[0].moot(&["send", "--wait", "all", "--json", "hello"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let sent: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(sent["kind"], "group");
    for nick in ["bo", "cy"] {
        assert_eq!(outcome(&sent, nick), "delivered");
    }
    for delivery in sent["deliveries"].as_array().expect("a list") {
        assert!(delivery["attempts"].as_u64() >= Some(1), "{delivery}");
        assert!(delivery["latency_us"].as_u64() > Some(0), "{delivery}");
    }
    let output = homes[0].moot(&["--json", "send", "--to", "bo", "--wait", "all", "for bo alone"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    homes[0].moot(&["send", "--wait", "all", "the end"]);

    bo.shows("the end");
    cy.shows("the end");
    assert_eq!(bo.texts(), ["hello", "for bo alone", "the end"]);
    assert_eq!(cy.texts(), ["hello", "the end"]);

    let log = homes[2].json(&["log"]);
    let texts: Vec<_> = log.as_array().expect("a list").iter().map(|m| m["text"].as_str().expect("text")).collect();
    assert_eq!(texts, ["hello", "the end"]);
    let why = homes[0].json(&["why", sent["handle"].as_str().expect("a handle")]);
    assert_eq!(outcome(&why, "cy"), "delivered");
    assert!(why["deliveries"][0]["receipt"].is_object(), "{why:#}");
}

#[test]
fn a_killed_node_is_missed_with_evidence_and_catches_up_when_it_is_back() {
    let (homes, [mut ana, mut bo, cy]) = three();
    let (id, incarnation) = (cy.id().to_owned(), cy.ready["incarnation"].as_u64().expect("a number"));
    cy.kill();
    let begun = Instant::now();
    let output = homes[0].moot(&["send", "--wait", "all", "--timeout", "1s", "--json", "still there?"]);
    let sent: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let tried = sent["deliveries"].as_array().expect("a list").iter().find(|delivery| delivery["nick"] == "cy");
    assert!(tried.expect("in the roster")["attempts"].as_u64() >= Some(1), "as they stand at the end: {sent:#}");
    for node in [&mut ana, &mut bo] {
        node.sees("cy", "suspect");
        let gone = node.sees("cy", "unreachable");
        assert!(!gone["evidence"].as_array().expect("a list").is_empty(), "{gone:#}");
    }
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());

    let output = homes[0].moot(&["send", "--wait", "all", "--timeout", "12s", "--json", "where is cy?"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let sent: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(outcome(&sent, "bo"), "delivered");
    assert!(["waiting", "unknown"].contains(&outcome(&sent, "cy")), "{sent:#}");

    let mut cy = homes[2].node(&[]);
    assert_eq!(cy.id(), id);
    assert!(cy.ready["incarnation"].as_u64() > Some(incarnation));
    cy.shows("still there?");
    cy.shows("where is cy?");
    let handle = sent["handle"].as_str().expect("a handle");
    homes[0].until(&["why", handle], |why| outcome(why, "cy") == "delivered");
    homes[0].meet(3);
    let members = homes[0].json(&["who"]);
    let same: Vec<_> = members.as_array().expect("a list").iter().filter(|member| member["nick"] == "cy").collect();
    assert_eq!(same.len(), 1, "the same member");
    assert_eq!(cy.texts(), ["still there?", "where is cy?"], "nothing twice");
    let log = homes[2].json(&["log"]);
    assert_eq!(log.as_array().map(Vec::len), Some(2), "{log:#}");
}

#[test]
fn a_private_message_waits_and_survives_its_senders_kill() {
    let (homes, [mut ana, bo, _cy]) = three();
    bo.kill();
    ana.sees("bo", "unreachable");
    let output = homes[0].moot(&["send", "--to", "bo", "--wait", "none", "--json", "when you are back"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let sent: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let handle = sent["handle"].as_str().expect("a handle");
    assert_eq!(outcome(&homes[0].json(&["why", handle]), "bo"), "waiting");
    let status = homes[0].json(&["status"]);
    let open = &status["undelivered"][0];
    assert_eq!(
        (open["handle"].as_str(), open["deliveries"][0]["nick"].as_str()),
        (Some(handle), Some("bo")),
        "{status:#}"
    );
    let shown = homes[0].moot(&["status"]);
    let shown = String::from_utf8(shown.stdout).expect("UTF-8");
    assert!(shown.contains(&format!("{handle}: bo waiting")), "{shown}");
    ana.kill();

    let _ana = homes[0].node(&[]);
    let mut bo = homes[1].node(&[]);
    bo.shows("when you are back");
    homes[0].until(&["why", handle], |why| outcome(why, "bo") == "delivered");
    assert_eq!(bo.texts(), ["when you are back"]);
}

#[test]
fn sigterm_says_goodbye_within_a_second() {
    let (homes, [mut ana, _bo, cy]) = three();
    let (code, took) = cy.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
    let left = ana.sees("cy", "left");
    assert_eq!(left["evidence"][0]["kind"], "leave", "{left:#}");
    homes[0].meet(2);
}

#[test]
fn a_node_may_end_with_its_standard_input_and_says_goodbye_then() {
    let home = Home::new("ana");
    let mut child = home.spawn(&["node", "--listen", "127.0.0.1:0", "--until-eof"]);
    let input = child.stdin.take();
    let mut tail = BufReader::new(child.stdout.take().expect("piped"));
    let mut ready = String::new();
    tail.read_line(&mut ready).expect("a line");
    assert!(ready.contains(r#""event":"ready""#), "{ready}");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("says_goodbye=true"), "{output:?}");
}

#[test]
fn a_stranger_gets_no_byte_and_is_counted() {
    let home = Home::new("ana");
    let node = home.node(&[]);
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    stranger.set_read_timeout(Some(Duration::from_millis(1500))).expect("a timeout");
    let addr = node.ready["addr"].as_str().expect("an address");
    let counters = |home: &Home| -> u64 {
        let status = home.json(&["status"]);
        status["counters"].as_object().expect("a map").values().filter_map(Value::as_u64).sum()
    };
    let before = counters(&home);
    for kind in 0..=255_u8 {
        for length in [0, 1, 20, 64, 300, 1_200] {
            let mut bytes = vec![0x5a; length];
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            stranger.send_to(&bytes, addr).expect("sent");
        }
    }
    let mut answer = [0; 2048];
    assert!(stranger.recv_from(&mut answer).is_err(), "an answer to a stranger");
    assert!(counters(&home) >= before + 256, "what was dropped is counted");
    assert_eq!(home.json(&["who"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn user_errors_end_in_one_clear_line() {
    let home = Home::new("ana");
    let absent = home.moot(&["status"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(complaint(&absent).contains("there is no home at"), "{}", complaint(&absent));

    let node = home.node(&[]);
    let port = node.ready["addr"].as_str().expect("an address");

    let busy_home = home.moot(&["node", "--listen", "127.0.0.1:0"]);
    assert_eq!(busy_home.status.code(), Some(1));
    let line = complaint(&busy_home);
    assert!(line.contains(&format!("moot already runs here (pid {})", node.pid())), "{line}");

    let other = Home::new("bo");
    let busy_port = other.moot(&["node", "--listen", port]);
    assert_eq!(busy_port.status.code(), Some(1));
    assert!(complaint(&busy_port).contains(port), "{}", complaint(&busy_port));

    let malformed = other.moot(&["node", "--join", "moot:nonsense"]);
    assert_eq!(malformed.status.code(), Some(2), "{malformed:?}");
    assert!(complaint(&malformed).contains("ticket"), "{}", complaint(&malformed));

    for (args, code, says) in [
        (&["send", "--to", "nobody", "hi"][..], 2, "nobody"),
        (&["why", "nothing"], 2, "nothing"),
        (&["send", ""], 2, "empty"),
        (&["send"], 2, "moot send --help tells more"),
        (&["whoo"], 2, "did you mean who? "),
        (&["evidence", "verify", "/nonexistent/file"], 2, "there is no file"),
    ] {
        let output = home.moot(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        assert!(complaint(&output).contains(says), "{args:?}: {}", complaint(&output));
    }

    let long = "x".repeat(16 * 1024 + 1);
    let too_long = home.moot_with_input(&["send", "-"], long.as_bytes());
    assert!(complaint(&too_long).contains("16384"), "{}", complaint(&too_long));
    let not_utf8 = home.moot_with_input(&["send", "-"], b"\xff\xfe");
    assert!(complaint(&not_utf8).contains("UTF-8"), "{}", complaint(&not_utf8));
    let log = home.json(&["log"]);
    assert_eq!(log.as_array().map(Vec::len), Some(0), "nothing was sent: {log:#}");
}

#[test]
fn a_home_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new("ana");
    home.node(&[]).kill();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).expect("loosened");
    let output = home.moot(&["node", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("chmod 700"), "{}", complaint(&output));
}

#[test]
fn a_ticket_of_another_room_is_refused_on_a_home_that_has_one() {
    let (homes, [ana, bo, _cy]) = three();
    bo.kill();
    let stranger = Home::new("zoe");
    let zoe = stranger.node(&[]);
    let output = homes[1].moot(&["node", "--listen", "127.0.0.1:0", "--join", zoe.ticket()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(complaint(&output).contains("--home"), "{}", complaint(&output));
    let bo = homes[1].node(&[]);
    homes[1].meet(3);
    assert_ne!(bo.id(), ana.id());
}

#[test]
fn both_sides_of_a_partition_go_on_and_hear_of_each_other_when_it_heals() {
    let homes = ["ana", "bo", "cy", "di", "ed"].map(Home::new);
    let ana = homes[0].node(&[]);
    let rest = [1, 2, 3, 4].map(|index| homes[index].node(&["--join", ana.ticket()]));
    let mut nodes: Vec<Node> = std::iter::once(ana).chain(rest).collect();
    for home in &homes {
        home.meet(5);
    }

    for home in &homes[..3] {
        for spec in ["cut to di", "cut from di", "cut to ed", "cut from ed"] {
            assert!(home.moot(&["fault", spec]).status.success(), "{spec}");
        }
    }
    nodes[0].sees("di", "unreachable");
    nodes[3].sees("ana", "unreachable");
    for home in &homes[..3] {
        home.meet(3);
    }
    for home in &homes[3..] {
        home.meet(2);
    }
    assert_eq!(homes[0].moot(&["send", "--wait", "any", "from the three"]).status.code(), Some(0));
    assert_eq!(homes[3].moot(&["send", "--wait", "any", "from the two"]).status.code(), Some(0));
    nodes[2].shows("from the three");
    nodes[4].shows("from the two");

    let begun = Instant::now();
    for home in &homes[..3] {
        assert!(home.moot(&["fault", "off"]).status.success());
    }
    for (home, node) in homes.iter().zip(&mut nodes) {
        home.meet(5);
        node.shows("from the three");
        node.shows("from the two");
        let mut texts = node.texts();
        texts.sort();
        assert_eq!(texts, ["from the three", "from the two"], "each once");
    }
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

#[test]
fn every_limit_in_the_status_is_one() {
    let home = Home::new("ana");
    let _node = home.node(&[]);
    let status = home.json(&["status"]);
    let limits = status["limits"].as_object().expect("a map");
    assert!(!limits.is_empty() && limits.values().all(|max| max.as_u64() < Some(u64::MAX)), "{limits:#?}");
}
