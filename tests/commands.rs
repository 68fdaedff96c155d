//! What the commands say to a person and to a script, and how they end: the real `moot` against a real node.
#![expect(clippy::disallowed_methods, reason = "real processes are waited for by the clock")]

mod harness;

use std::io::{BufRead as _, BufReader};

use harness::{Home, read_all};
use serde_json::Value;

#[test]
fn the_members_are_watched_until_the_node_ends() {
    let (ana, bo) = (Home::new("ana"), Home::new("bo"));
    let node = ana.node(&[]);
    let mut watch = ana.spawn(&["who", "--watch", "--json"]);
    let mut pictures = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let mut members = || -> usize {
        let line = pictures.next().expect("another picture").expect("read");
        serde_json::from_str::<Value>(&line).expect("JSON").as_array().map_or(0, Vec::len)
    };
    assert_eq!(members(), 1);
    let _other = bo.node(&["--join", node.ticket()]);
    while members() < 2 {}

    let mut table = ana.spawn(&["who", "--watch"]);
    let mut lines = BufReader::new(table.stdout.take().expect("piped")).lines();
    let mut twice = lines.by_ref().map(|line| line.expect("read")).filter(|line| line.starts_with("ana (you)"));
    assert!(twice.next().is_some() && twice.next().is_some());

    node.kill();
    for mut child in [watch, table] {
        assert_eq!(child.wait().expect("ended").code(), Some(1));
        assert_eq!(read_all(child.stderr.take().expect("piped")), "moot: the node has ended\n");
    }
}
