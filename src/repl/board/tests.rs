//! What a person sees of what happens: the lines of the screen, event by event. Owns a board and the events that
//! it is told; knows no terminal.

use jiff::tz::TimeZone;

use super::*;
use crate::node::api::{DeliveryEvidence, EvidenceKind, Outcome, Remembered};
use crate::repl::tally::tests::{delivery, sent};
use crate::view::Ink;

fn event(kind: EventKind) -> Event {
    Event { n: 1, at: Wall(0), cause: None, kind }
}

fn ready() -> Event {
    event(EventKind::Ready {
        id: MemberId([1; 32]),
        nick: "ana".into(),
        room: "moot".into(),
        addr: "127.0.0.1:4460".into(),
        incarnation: 1,
        ticket: "moot:x".into(),
    })
}

fn said(id: u8, from: u8, to: Option<u8>, text: &str) -> Event {
    event(EventKind::Message(Message {
        id: MessageId([id; 32]),
        handle: format!("h{id}"),
        kind: if to.is_some() { MessageKind::Private } else { MessageKind::Group },
        from: MemberId([from; 32]),
        nick: ["", "ana", "bo"][usize::from(from)].into(),
        to: to.map(|to| MemberId([to; 32])),
        seq: 1,
        incarnation: 1,
        text: text.into(),
        said_at: Wall(0),
        recovered: false,
        via: None,
        received_at: None,
        late_ms: None,
    }))
}

fn changed(id: u8, member: u8, outcome: Outcome) -> Event {
    event(EventKind::Delivery {
        id: MessageId([id; 32]),
        handle: format!("h{id}"),
        delivery: delivery(member, outcome),
        reason: None,
    })
}

fn board(typed: Typed) -> Board {
    let view = View { ink: Ink::Plain, zone: TimeZone::UTC, now: Wall(0), names: Names::default(), columns: None };
    let mut board = Board::new(view, typed);
    assert!(board.handle_events(&[ready()]).is_empty());
    board
}

use Outcome::{Delivered, Sending};

#[test]
fn what_was_typed_at_a_prompt_is_not_repeated_and_ends_in_one_line() {
    let mut board = board(Typed::Visible);
    board.begin_send();
    assert!(board.finish_send(Some(&sent(7, &[(2, Sending), (3, Sending)]))).is_empty());
    assert!(board.handle_events(&[said(7, 1, None, "hello")]).is_empty());
    assert!(board.handle_events(&[changed(7, 2, Delivered)]).is_empty());
    assert!(!board.is_settled());
    assert_eq!(board.handle_events(&[changed(7, 3, Delivered)]), ["h7 stored by 2 of 2"]);
    assert!(board.is_settled());
}

#[test]
fn an_event_that_overtakes_the_answer_is_held_back() {
    let mut board = board(Typed::Visible);
    board.begin_send();
    assert!(board.handle_events(&[said(7, 1, None, "hello")]).is_empty());
    assert!(
        board
            .finish_send(Some(&sent(7, &[])))
            .iter()
            .eq(["h7 stored here; nobody is known to be here now, who comes fetches it"])
    );
    // Said by another process of the same home.
    assert_eq!(board.handle_events(&[said(8, 1, None, "from elsewhere")]), ["you: from elsewhere  [h8]"]);
}

#[test]
fn a_private_message_shows_how_it_stands() {
    let mut board = board(Typed::Visible);
    board.handle_events(&[said(6, 2, None, "hello")]);
    board.begin_send();
    board.finish_send(Some(&sent(7, &[(2, Sending)])));
    assert_eq!(board.handle_events(&[said(7, 1, Some(2), "hi")]), ["you → bo: hi  [h7 sending]"]);
    assert_eq!(board.handle_events(&[changed(7, 2, Delivered)]), ["h7 stored by bo"]);
}

#[test]
fn what_came_through_a_pipe_is_shown() {
    let mut board = board(Typed::Hidden);
    board.begin_send();
    board.finish_send(Some(&sent(7, &[(2, Sending)])));
    assert_eq!(board.handle_events(&[said(7, 1, None, "hello")]), ["you: hello  [h7 sending]"]);
}

#[test]
fn a_batch_tells_each_message_once() {
    let mut board = board(Typed::Visible);
    board.begin_send();
    board.finish_send(Some(&sent(7, &[(2, Sending)])));
    let batch = [said(6, 2, None, "one"), said(7, 1, None, "hello"), changed(7, 2, Delivered), said(8, 2, None, "two")];
    assert_eq!(board.handle_events(&batch), ["bo: one  [h6]", "bo: two  [h8]", "h7 stored by bo"]);
    assert_eq!(board.words().handles, ["h8", "h7", "h6"]);
}

#[test]
fn the_prompt_says_that_faults_are_on_and_follows_the_nick() {
    let mut board = board(Typed::Visible);
    assert_eq!(board.prompt(), "ana> ");
    let lines = board.handle_events(&[event(EventKind::Fault { spec: Some("loss=5%".into()) })]);
    assert_eq!(lines, ["faults are on: loss=5%"]);
    assert_eq!(board.prompt(), "ana [faults are on]> ");
    board.handle_events(&[
        event(EventKind::Fault { spec: None }),
        event(EventKind::Member {
            id: MemberId([1; 32]),
            nick: "anna".into(),
            state: Presence::Alive,
            incarnation: 1,
            evidence: vec![],
        }),
    ]);
    assert_eq!(board.prompt(), "anna> ");
}

fn member(nick: &str, state: Presence, kind: EvidenceKind, detail: &str) -> Event {
    let evidence = vec![Evidence {
        kind,
        // What is heard, this node heard.
        by: MemberId([if kind == EvidenceKind::Heard { 1 } else { 2 }; 32]),
        nick: nick.into(),
        run: None,
        tick: None,
        at: Wall(0),
        detail: detail.into(),
        via: None,
        mostly_deaf: false,
        brought_back: false,
        verdict: false,
    }];
    event(EventKind::Member { id: MemberId([2; 32]), nick: nick.into(), state, incarnation: 1, evidence })
}

fn bo(state: Presence, evidence: Vec<Evidence>) -> MemberStatus {
    MemberStatus {
        id: MemberId([2; 32]),
        nick: "bo".into(),
        incarnation: 1,
        you: false,
        state,
        since_ms_ago: 0,
        heard_ms_ago: None,
        hears_me: None,
        rtt_us: None,
        loss: None,
        degraded: false,
        evidence,
    }
}

#[test]
fn a_member_that_the_opening_looked_for_is_here_once() {
    let restored = member("bo", Presence::Suspect, EvidenceKind::Restored, "not heard since this node started");
    let EventKind::Member { evidence, .. } = &restored.kind else { panic!() };
    let heard = "heard again on this node's own link, silent for 9.1 s";
    let here = member("bo", Presence::Alive, EvidenceKind::Heard, heard);

    let mut at_prompt = board(Typed::Visible);
    at_prompt.handle_opening(Wall(0), &[bo(Presence::Suspect, evidence.clone())]);
    assert!(at_prompt.is_worried());
    assert_eq!(at_prompt.handle_events(&[restored.clone(), here.clone()]), ["bo is here"]);
    assert!(!at_prompt.is_worried());
    assert_eq!(at_prompt.handle_events(&[here]), ["bo is back: heard again after 9.1 s"]);

    // Who is here already when the opening is printed is not announced again.
    let mut late = board(Typed::Visible);
    late.handle_opening(Wall(0), &[bo(Presence::Alive, vec![])]);
    let here = member("bo", Presence::Alive, EvidenceKind::Heard, "heard on this node's own link");
    assert!(late.handle_events(&[restored, here]).is_empty());
    // Nor is what happened to it before that.
    late.handle_opening(Wall(1), &[bo(Presence::Alive, vec![])]);
    let before = member("bo", Presence::Alive, EvidenceKind::Card, "restarted: a card of a higher run");
    assert!(late.handle_events(&[before]).is_empty());
}

#[test]
fn a_new_nick_is_no_stranger() {
    let mut board = board(Typed::Visible);
    board.handle_opening(Wall(0), &[bo(Presence::Alive, vec![])]);
    let renamed = member("bobby", Presence::Alive, EvidenceKind::Card, "was bo before");
    assert_eq!(board.handle_events(&[renamed]), ["bo is now bobby"]);
    let restarted = member("rob", Presence::Alive, EvidenceKind::Card, "restarted: a card of a higher run");
    assert_eq!(board.handle_events(&[restarted]), ["bobby is now rob\nrob is back: restarted"]);
}

#[test]
fn a_message_said_elsewhere_ends_in_one_line_too() {
    let mut board = board(Typed::Visible);
    assert_eq!(board.handle_events(&[said(8, 1, None, "from a script")]), ["you: from a script  [h8]"]);
    assert_eq!(board.unknown(), [MessageId([8; 32])]);
    let receiver = |member, outcome| DeliveryEvidence {
        delivery: delivery(member, outcome),
        reason: None,
        tries: vec![],
        address: None,
        held_up: None,
        receipt: None,
    };
    let why = WhyMessage {
        id: MessageId([8; 32]),
        handle: "h8".into(),
        kind: MessageKind::Group,
        from: MemberId([1; 32]),
        nick: "ana".into(),
        seq: 1,
        incarnation: 1,
        to: None,
        text: None,
        said_at: None,
        known_from: Remembered::ByTheNode,
        deliveries: vec![receiver(2, Sending), receiver(3, Sending)],
        sample_of: Some(300),
        own_faults: None,
        stored_since: vec![],
        sources: vec![],
        rivals: vec![],
        not_known: vec![],
    };
    board.handle_found(MessageId([8; 32]), Some(&why));
    assert!(board.handle_events(&[changed(8, 2, Delivered)]).is_empty());
    assert_eq!(board.handle_events(&[changed(8, 3, Delivered)]), ["h8 stored by 2 of 2 (only 2 of 300 were asked)"]);
    // Where the node knows no more, what it told is told.
    assert!(board.handle_events(&[changed(9, 2, Delivered)]).is_empty());
    board.handle_found(MessageId([9; 32]), None);
    assert_eq!(board.handle_events(&[]), ["h9 stored by bo"]);
}

#[test]
fn what_was_said_before_one_came_stands_under_one_line() {
    let mut board = board(Typed::Visible);
    board.handle_opening(Wall(0), &[bo(Presence::Alive, vec![])]);
    board.handle_newcomer(Wall(1_000));
    let old = |id, said_at| {
        let mut event = said(id, 2, None, "hello");
        let EventKind::Message(message) = &mut event.kind else { panic!() };
        (message.recovered, message.late_ms, message.said_at) = (true, Some(200_000), Wall(said_at));
        event
    };
    let recovered = event(EventKind::Recovered { count: 2, via: MemberId([2; 32]), nick: "bo".into() });
    let lines = board.handle_events(&[old(5, 1), old(6, 2), recovered, old(7, 2_000)]);
    assert_eq!(
        lines,
        [
            "earlier in this room, from bo:\nbo: hello  [h5]",
            "bo: hello  [h6]",
            "bo: hello  [h7, recovered, 3 min late by its author's clock]"
        ]
    );
}

#[test]
fn a_prompt_that_is_drawn_follows_the_faults_in_its_own_width() {
    let mut board = board(Typed::Visible);
    let drawn = board.prompt();
    assert_eq!(board.prompt_now(&drawn), "ana> ");
    board.handle_faults(vec!["loss=5%".into()]);
    assert_eq!(board.prompt_now(&drawn), "ana! ");
    let drawn = board.prompt();
    assert_eq!(board.prompt_now(&drawn), drawn);
    board.handle_faults(vec![]);
    assert_eq!(board.prompt_now(&drawn), "ana [faults are off]>");
    assert_eq!(board.prompt_now(&drawn).len(), drawn.len());
}

#[test]
fn being_cut_off_is_said_when_it_starts_and_when_it_ends() {
    let mut board = board(Typed::Visible);
    assert_eq!(board.handle_cut_off(false), None);
    assert!(board.handle_cut_off(true).unwrap().contains("it is probably you who is cut off"));
    assert_eq!(board.handle_cut_off(true), None);
    assert!(board.is_worried());
    assert_eq!(board.handle_cut_off(false).unwrap(), "you hear most of your links again");
}

fn edited() -> Board {
    let mut board = board(Typed::Visible);
    board.handle_editor();
    board
}

fn undone(id: u8) -> Event {
    event(EventKind::Undone { id: MessageId([id; 32]), handle: format!("h{id}"), reason: "the disk is full".into() })
}

#[test]
fn a_handle_is_due_once_its_message_is_on_the_disk() {
    let mut board = edited();
    board.begin_send();
    board.finish_send(Some(&sent(7, &[(2, Sending)])));
    assert_eq!(board.note, Note::Awaited(MessageId([7; 32])));
    assert!(board.handle_events(&[said(7, 1, None, "hello")]).is_empty());
    let board = Shared::new(board);
    assert!(board.await_note(Duration::ZERO));
    board.finish_note();
    assert!(!board.await_note(Duration::ZERO));
}

#[test]
fn a_handle_that_the_disk_keeps_waiting_comes_with_the_text() {
    let mut board = edited();
    board.begin_send();
    board.finish_send(Some(&sent(7, &[(2, Sending)])));
    let board = Shared::new(board);
    assert!(!board.await_note(Duration::ZERO));
    // Nor is it waited for beside the next line.
    board.lock().begin_send();
    board.lock().finish_send(Some(&sent(8, &[(2, Sending)])));
    assert_eq!(board.lock().note, Note::Nothing);
    let lines = board.handle_events(&[said(7, 1, None, "hello"), said(8, 1, None, "again")]);
    assert_eq!(lines, ["you: hello  [h7 sending]", "you: again  [h8 sending]"]);
    board.lock().begin_send();
    board.lock().finish_send(Some(&sent(9, &[(2, Sending)])));
    assert_eq!(board.lock().note, Note::Awaited(MessageId([9; 32])));
}

#[test]
fn a_message_that_the_disk_refused_has_no_handle_whether_the_answer_came_first_or_not() {
    let mut board = edited();
    board.begin_send();
    board.finish_send(Some(&sent(7, &[(2, Sending)])));
    assert_eq!(board.handle_events(&[undone(7)]), ["h7 was not sent: the disk is full"]);
    assert!(board.note == Note::Nothing && board.is_settled());
    board.begin_send();
    board.handle_events(&[undone(8)]);
    board.finish_send(Some(&sent(8, &[(2, Sending)])));
    assert!(board.note == Note::Nothing && board.is_settled());
}

#[test]
fn what_expires_in_crowds_is_one_line_for_each_receiver() {
    use Outcome::{Expired, Waiting};
    let mut board = board(Typed::Visible);
    for id in 7..10 {
        board.begin_send();
        board.finish_send(Some(&sent(id, &[(2, Waiting), (3, Delivered)])));
        let lines = board.handle_events(&[said(id, 1, None, "hello")]);
        assert_eq!(lines, [format!("h{id} stored by 1 of 2, bo waiting")]);
    }
    let many = [changed(7, 2, Expired), changed(8, 2, Expired), changed(30, 3, Expired)];
    assert_eq!(
        board.handle_events(&many),
        ["2 messages, h7 to h8, expired for bo: never sent", "h30 expired for cy: never sent"]
    );
    assert!(board.unknown().is_empty());
    assert_eq!(board.handle_events(&[changed(9, 2, Expired)]), ["h9 expired for bo: never sent"]);
    assert!(board.handle_events(&[changed(9, 2, Expired)]).is_empty(), "it was told");
}
