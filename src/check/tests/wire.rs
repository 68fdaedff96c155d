//! Check 5, of check 6 the nonces, and of check 7 what older runs sent: what the wire shows.

use std::sync::Arc;

use super::super::{LineNumber, What};
use super::{NOTHING, Story};
use crate::base::{Cause, Presence, Run, Wall};
use crate::node::api::{EventKind, Evidence, EvidenceKind};

/// A data datagram with its header and, for a seal, sixteen bytes.
fn data(index: u32, counter: u64, seal: u8) -> Vec<u8> {
    let mut bytes = vec![4];
    bytes.extend(index.to_be_bytes());
    bytes.extend(counter.to_be_bytes());
    bytes.extend([0xaa; 40]);
    bytes.extend([seal; 16]);
    bytes
}

fn send(story: &mut Story, from: &str, to: &str, bytes: &[u8]) -> LineNumber {
    let wire: Option<Arc<[u8]>> = Some(bytes.into());
    let length = u32::try_from(bytes.len()).unwrap();
    story.line(Some(from), What::Sent { to: Some(to.into()), bytes: length, labels: Vec::new(), wire })
}

#[test]
fn private_text_on_a_third_screen_or_disk_is_found() {
    let mut story = Story::of(["ana", "bo", "cy"]);
    let told = story.tell("ana", "bo", 1);
    story.take("bo", told);
    assert_eq!(story.found(), NOTHING);
    story.take("cy", told);
    let found: Vec<String> = story.found().into_iter().filter(|text| text.starts_with('5')).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("cy stores") && found[1].contains("cy shows"), "{found:?}");
}

#[test]
fn text_in_the_clear_is_found_wherever_it_stands() {
    let mut story = Story::of(["ana", "bo"]);
    let told = story.write("ana", Some("bo"), 1, "meet me at noon");
    story.accept("ana", told);
    let mut bytes = data(1, 1, 1);
    bytes.splice(20..35, *b"meet me at noon");
    send(&mut story, "ana", "bo", &bytes);
    // The end of the datagram cuts the text.
    let mut cut = data(1, 2, 2);
    cut.extend(*b"meet me at");
    send(&mut story, "ana", "bo", &cut);
    let found = story.found();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|text| text.starts_with("5 ana sends the text")), "{found:?}");
}

#[test]
fn what_only_begins_like_a_text_is_not_it() {
    let mut story = Story::of(["ana", "bo"]);
    for text in ["meet me at noon", "short"] {
        let told = story.write("ana", Some("bo"), 1, text);
        story.accept("ana", told);
    }
    let mut bytes = data(1, 1, 1);
    bytes.splice(14..14, *b"meet me at nine short");
    send(&mut story, "ana", "bo", &bytes);
    assert_eq!(story.found(), NOTHING);
}

#[test]
fn texts_are_looked_for_until_256_newer_ones_came() {
    let mut story = Story::of(["ana", "bo"]);
    for number in 0..257 {
        let text = format!("{number:08} is a text");
        let told = story.write("ana", Some("bo"), number + 1, "");
        // The same id may stand for all of them here: only the texts matter.
        story.messages.truncate(1);
        story.line(Some("ana"), What::Accepted { id: told, to: None, text });
    }
    for (counter, text) in [(1, b"00000000 is a text"), (2, b"00000001 is a text"), (3, b"00000256 is a text")] {
        let mut bytes = data(1, counter, 1);
        bytes.extend(text);
        send(&mut story, "ana", "bo", &bytes);
    }
    let found = story.found();
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_nonce_used_twice_is_found() {
    let mut story = Story::of(["ana", "bo"]);
    send(&mut story, "ana", "bo", &data(7, 0, 1));
    send(&mut story, "ana", "bo", &data(7, 1, 2));
    send(&mut story, "ana", "bo", &data(7, 0, 3));
    let found = story.found();
    assert_eq!(found, ["6 ana seals two datagrams to bo with counter 0 of one session"]);
}

#[test]
fn copies_other_sessions_and_new_processes_use_no_nonce_twice() {
    let mut story = Story::of(["ana", "bo", "cy"]);
    send(&mut story, "ana", "bo", &data(7, 0, 1));
    send(&mut story, "ana", "bo", &data(7, 0, 1));
    send(&mut story, "ana", "bo", &data(8, 0, 2));
    send(&mut story, "cy", "bo", &data(7, 0, 3));
    send(&mut story, "ana", "cy", &data(7, 0, 4));
    // Handshakes repeat, and are not sealed.
    send(&mut story, "ana", "bo", &[1; 448]);
    send(&mut story, "ana", "bo", &[1; 448]);
    story.restart("bo");
    send(&mut story, "ana", "bo", &data(7, 0, 5));
    story.restart("ana");
    send(&mut story, "ana", "bo", &data(7, 0, 6));
    assert_eq!(story.found(), NOTHING);
}

/// bo learns that ana restarted, by a card or not; a datagram of ana's first run arrives before that or after; bo acts on it.
fn late_datagram(arrives_first: bool, knows: bool) -> Vec<String> {
    let mut story = Story::of(["ana", "bo"]);
    let evidence = |kind, incarnation: u64, story: &Story| Evidence {
        kind,
        by: story.id("ana"),
        nick: "ana".to_owned(),
        run: Some(Run { incarnation, boot: 0 }),
        tick: Some(1),
        at: Wall(0),
        detail: String::new(),
        via: None,
        mostly_deaf: false,
        brought_back: false,
        verdict: false,
    };
    let heard = evidence(EvidenceKind::Heard, 101, &story);
    story.member("bo", "ana", Presence::Alive, vec![heard]);
    let told = story.tell("ana", "bo", 1);
    let message = story.message(told).clone();
    let datagram = send(&mut story, "ana", "bo", &data(7, 5, 1));
    story.restart("ana");
    let arrived = What::Arrived { datagram, copy: 0, is_damaged: false };
    if arrives_first {
        story.line(Some("bo"), arrived.clone());
    }
    if knows {
        let card = evidence(EvidenceKind::Card, 102, &story);
        story.member("bo", "ana", Presence::Alive, vec![card]);
    }
    story.line(Some("bo"), arrived);
    story.store("bo", told);
    let cause = Cause::Datagram { peer: story.id("ana"), session: 7, counter: 5 };
    story.caused("bo", Some(cause), EventKind::Message(message));
    story.found()
}

#[test]
fn acting_on_what_an_older_run_sent_is_found() {
    let found = late_datagram(false, true);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("7 bo acts on what an older run of ana sent"), "{found:?}");
}

#[test]
fn what_came_before_the_newer_run_was_known_counts() {
    assert_eq!(late_datagram(false, false), NOTHING);
    assert_eq!(late_datagram(true, true), NOTHING);
}
