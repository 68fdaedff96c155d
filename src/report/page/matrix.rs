//! The delivery matrix: each message against each member, what is true beside what its author claims. Owns the
//! comparison; the truth is what the members' own disks and screens did.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::base::{Incarnation, MemberId, MessageId, Seq};
use crate::check::{Noted, What};
use crate::node::api::{Event, EventKind, MessageKind, Outcome};
use crate::report::story::{Saying, Story};
use crate::report::words;

/// As many rows as one reads; messages that did not go well come before others.
const ROWS_MAX: usize = 150;
const COLUMNS_MAX: usize = 40;
const TEXT_CHARS_MAX: usize = 32;

/// What became of a message at a member, in truth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Truth {
    /// The author's own.
    Own,
    /// Somebody else's private message.
    NotForIt,
    Shown,
    ShownRecovered,
    /// On its disk, not on its screen.
    Stored,
    /// Not there, and it says so.
    Gap,
    /// Said before it came to the room.
    Before,
    Missing,
}

/// A claim beside the truth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Match {
    /// Nothing is claimed, or no more than is true.
    Fits,
    /// It is stored, and its author cannot know that yet.
    Unproven,
    /// Claimed as delivered, and on no disk.
    False,
}

struct Cell {
    truth: Truth,
    claim: Option<Outcome>,
}

/// Messages of one run of an author.
#[derive(Clone, Copy)]
struct Places {
    author: MemberId,
    incarnation: Incarnation,
    first: Seq,
    last: Seq,
}

/// What the trace says of disks, screens and claims.
#[derive(Default)]
struct Ledger {
    stored: BTreeSet<(usize, MessageId)>,
    shown: BTreeMap<(usize, MessageId), bool>,
    /// By author and receiver; the newest claim.
    claims: BTreeMap<(MessageId, usize), Outcome>,
    gaps: Vec<(usize, Places)>,
    histories: Vec<(usize, Places)>,
}

pub(super) fn matrix(story: &Story<'_>) -> Markup {
    let ledger = Ledger::of(story);
    let columns: Vec<usize> = (0..story.nodes.len().min(COLUMNS_MAX)).collect();
    let all: Vec<(&Saying, Vec<Cell>)> = story
        .sayings
        .iter()
        .map(|saying| (saying, (0..story.nodes.len()).map(|node| ledger.cell(story, saying, node)).collect()))
        .collect();
    let rows = chosen(&all);
    html! {
        section #deliveries {
            h2 { "Messages" }
            p { (verdict(&all)) }
            @if !rows.is_empty() {
                div.scroll {
                    table #matrix {
                        thead {
                            tr {
                                th scope="col" { "message" }
                                @for &node in &columns { th scope="col" { span { (story.nodes[node].name) } } }
                            }
                        }
                        tbody {
                            @for &row in &rows {
                                tr {
                                    th scope="row" { (label(story, all[row].0)) }
                                    @for &node in &columns { (cell(story, all[row].0, node, &all[row].1[node])) }
                                }
                            }
                        }
                    }
                }
                (legend())
            }
            @if all.len() > rows.len() {
                @let is_well = |row: &usize| all[*row].1.iter().all(Cell::is_well);
                @let left_out = (0..all.len()).filter(|row| !rows.contains(row));
                p.left-out {
                    (words::count(all.len() - rows.len(), "message is", "messages are"))
                    " not shown, "
                    (left_out.filter(|row| !is_well(row)).count())
                    " of them with something to see"
                }
            }
            @if story.nodes.len() > columns.len() {
                p.left-out { (words::count(story.nodes.len() - columns.len(), "member is", "members are")) " not shown" }
            }
        }
    }
}

impl Ledger {
    fn of(story: &Story<'_>) -> Self {
        let mut ledger = Self::default();
        for line in story.lines {
            let Some(node) = story.node(line) else { continue };
            match &line.what {
                What::Stored { kept, noted, .. } => {
                    ledger.stored.extend(kept.iter().map(|kept| (node, kept.id)));
                    for noted in noted {
                        ledger.noted(node, *noted);
                    }
                }
                What::Told { event } => ledger.told(story, node, event),
                _ => {}
            }
        }
        ledger
    }

    fn noted(&mut self, node: usize, noted: Noted) {
        match noted {
            Noted::Gap { author, incarnation, first, last } => {
                self.gaps.push((node, Places { author, incarnation, first, last }));
            }
            Noted::History { author, incarnation, last } => {
                self.histories.push((node, Places { author, incarnation, first: 1, last }));
            }
            // What a node claims is read from what it tells.
            Noted::Settled { .. } => {}
            Noted::Undone { id } => {
                self.stored.remove(&(node, id));
            }
        }
    }

    fn told(&mut self, story: &Story<'_>, node: usize, event: &Event) {
        match &event.kind {
            EventKind::Message(message) => {
                self.shown.insert((node, message.id), message.recovered);
            }
            EventKind::Delivery { id, delivery, .. } => {
                if let Some(receiver) = story.machine(delivery.member) {
                    self.claims.insert((*id, receiver), delivery.outcome);
                }
            }
            EventKind::Ready { .. }
            | EventKind::Member { .. }
            | EventKind::Undone { .. }
            | EventKind::Gap(_)
            | EventKind::Recovered { .. }
            | EventKind::Fault { .. }
            | EventKind::Alarm { .. }
            | EventKind::Stalled { .. }
            | EventKind::Lagged { .. }
            | EventKind::Script { .. } => {}
        }
    }

    fn cell(&self, story: &Story<'_>, saying: &Saying, node: usize) -> Cell {
        let member = story.nodes[node].member;
        let at = (node, saying.id);
        let truth = if member.is_some() && member == saying.author {
            Truth::Own
        } else if let Some(&recovered) = self.shown.get(&at) {
            if recovered { Truth::ShownRecovered } else { Truth::Shown }
        } else if self.stored.contains(&at) {
            Truth::Stored
        } else if saying.kind == MessageKind::Private && saying.to != member {
            Truth::NotForIt
        } else if self.gaps.iter().any(|(who, places)| *who == node && places.cover(saying)) {
            Truth::Gap
        } else if self.histories.iter().any(|(who, places)| *who == node && places.cover(saying)) {
            Truth::Before
        } else {
            Truth::Missing
        };
        Cell { truth, claim: self.claims.get(&(saying.id, node)).copied() }
    }
}

impl Places {
    fn cover(self, saying: &Saying) -> bool {
        saying.kind == MessageKind::Group
            && saying.author == Some(self.author)
            && saying.place.is_some_and(|(run, seq)| run == self.incarnation && (self.first..=self.last).contains(&seq))
    }
}

impl Cell {
    fn matches(&self) -> Match {
        let is_stored = matches!(self.truth, Truth::Own | Truth::Shown | Truth::ShownRecovered | Truth::Stored);
        match (self.claim, is_stored) {
            (Some(Outcome::Delivered), false) => Match::False,
            (Some(Outcome::Delivered) | None, _) | (Some(_), false) => Match::Fits,
            (Some(_), true) => Match::Unproven,
        }
    }

    fn is_well(&self) -> bool {
        !matches!(self.truth, Truth::Gap | Truth::Missing | Truth::Stored) && self.matches() == Match::Fits
    }
}

/// The rows to show, in the order of the run: those with something to see first, then as many of the others as fit.
fn chosen(all: &[(&Saying, Vec<Cell>)]) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..all.len()).collect();
    rows.sort_by_key(|&row| all[row].1.iter().all(Cell::is_well));
    rows.truncate(ROWS_MAX);
    rows.sort_unstable();
    rows
}

fn verdict(all: &[(&Saying, Vec<Cell>)]) -> String {
    let cells = || all.iter().flat_map(|(_, cells)| cells);
    let of = |what: &dyn Fn(&Cell) -> bool| cells().filter(|cell| what(cell)).count();
    let delivered = of(&|cell| cell.claim == Some(Outcome::Delivered));
    let wrong = of(&|cell| cell.matches() == Match::False);
    let unknown = of(&|cell| cell.claim == Some(Outcome::Unknown));
    let unproven = of(&|cell| cell.claim == Some(Outcome::Unknown) && cell.matches() == Match::Unproven);
    if all.is_empty() {
        return "Nobody said anything.".into();
    }
    let mut text = match (delivered, wrong) {
        (0, _) => "Nothing is claimed as delivered".to_owned(),
        (n, 0) => {
            format!("{} as delivered, and true", words::count(n, "delivery is claimed", "deliveries are claimed"))
        }
        (n, wrong) => format!(
            "{} as delivered, and {wrong} of them false",
            words::count(n, "delivery is claimed", "deliveries are claimed")
        ),
    };
    if unknown > 0 {
        text = format!("{text}; {unknown} as unknown, {unproven} of which did arrive");
    }
    text + "."
}

fn label(story: &Story<'_>, saying: &Saying) -> Markup {
    let author = saying.author.map_or_else(|| "somebody".into(), |author| story.name(author));
    html! {
        code { (saying.handle) } " " b { (author) }
        @if let Some(to) = saying.to { " → " b { (story.name(to)) } }
        " " span.text { (words::shortened(&saying.text, TEXT_CHARS_MAX)) }
    }
}

fn cell(story: &Story<'_>, saying: &Saying, node: usize, cell: &Cell) -> Markup {
    let (glyph, class, truth) = drawn(cell.truth);
    let (mark, mismatch) = match cell.matches() {
        Match::Fits => ("", ""),
        Match::Unproven => ("unproven", "; it is stored, and the author cannot know that"),
        Match::False => ("false", "; this claim is false"),
    };
    let claim = cell.claim.map_or_else(String::new, |claim| format!("; claimed: {}", claim.word()));
    let title = format!("{} at {}: {truth}{claim}{mismatch}", saying.handle, story.nodes[node].name);
    html! {
        td class={ (class) " " (mark) } title=(title) data-claim=[cell.claim.map(Outcome::word)] data-truth=(class) {
            span.truth { (glyph) }
            @if let Some(claim) = cell.claim { span.claim { (letter(claim)) } }
            @if cell.matches() == Match::False { span.alarm { "!" } }
        }
    }
}

const fn drawn(truth: Truth) -> (&'static str, &'static str, &'static str) {
    match truth {
        Truth::Own => ("◆", "own", "said here"),
        Truth::NotForIt => ("", "not-for-it", "private, for somebody else"),
        Truth::Shown => ("●", "shown", "stored and shown"),
        Truth::ShownRecovered => ("◉", "recovered", "recovered later, stored and shown"),
        Truth::Stored => ("◐", "stored", "stored, not shown"),
        Truth::Gap => ("△", "gap", "missing, and shown as a gap"),
        Truth::Before => ("–", "before", "said before it came"),
        Truth::Missing => ("○", "missing", "missing"),
    }
}

const fn letter(claim: Outcome) -> &'static str {
    match claim {
        Outcome::Waiting => "W",
        Outcome::Sending => "S",
        Outcome::Unknown => "U",
        Outcome::Refused => "R",
        Outcome::Expired => "E",
        Outcome::Delivered => "D",
    }
}

fn legend() -> Markup {
    let truths =
        [Truth::Own, Truth::Shown, Truth::ShownRecovered, Truth::Stored, Truth::Gap, Truth::Before, Truth::Missing];
    let claims =
        [Outcome::Delivered, Outcome::Unknown, Outcome::Sending, Outcome::Waiting, Outcome::Refused, Outcome::Expired];
    html! {
        p.legend {
            "in truth: "
            @for truth in truths { span.key { span class={ "truth " (drawn(truth).1) } { (drawn(truth).0) } " " (drawn(truth).2) } " " }
        }
        p.legend {
            "claimed by the author: "
            @for claim in claims { span.key { span.claim { (letter(claim)) } " " (claim.word()) } " " }
            span.key { span.box.unproven { } " stored, not known yet" } " "
            span.key { span.box.false { "!" } " claimed, not true" }
        }
    }
}
