//! Check 7: what verdicts follow from.

use super::super::What;
use super::{NOTHING, Story};
use crate::base::{Presence, Run, Wall};
use crate::node::api::{EventKind, Evidence, EvidenceKind};

/// bo watches ana; cy, dee and eve report.
struct Case {
    story: Story,
}

impl Case {
    fn new() -> Self {
        let mut case = Self { story: Story::of(["ana", "bo", "cy", "dee", "eve"]) };
        let heard = case.item(EvidenceKind::Heard, "bo", Some(5));
        case.tell(Presence::Alive, vec![heard]);
        assert_eq!(case.story.found(), NOTHING);
        case
    }

    /// An item of evidence that came to be known now.
    fn item(&self, kind: EvidenceKind, by: &str, tick: Option<u64>) -> Evidence {
        Evidence {
            kind,
            by: self.story.id(by),
            nick: by.to_owned(),
            run: Some(Run { incarnation: self.story.incarnation("ana"), boot: 1 }),
            tick,
            at: Wall(1_000_000 + self.story.now_ms),
            detail: format!("{kind:?} by {by}"),
            via: None,
            mostly_deaf: false,
            brought_back: false,
            verdict: false,
        }
    }

    fn report(&self, by: &str) -> Evidence {
        self.item(EvidenceKind::Report, by, Some(5))
    }

    /// The clock by which the last thing was told was a minute behind the one by which the story began.
    fn dates_a_minute_early(&mut self) {
        let What::Told { event } = &mut self.story.lines.last_mut().unwrap().what else { unreachable!() };
        event.at = Wall(event.at.0 - 60_000);
    }

    fn tell(&mut self, state: Presence, evidence: Vec<Evidence>) {
        self.story.member("bo", "ana", state, evidence);
    }

    /// Whether the checker takes exception to the last thing told.
    fn is_false(&self) -> bool {
        let found = self.story.found();
        assert!(found.iter().all(|text| text.starts_with("7 bo calls ana")), "{found:?}");
        !found.is_empty()
    }
}

/// Whether `reports`, made into a verdict `after_ms` later, are taken exception to.
fn is_false_verdict(after_ms: u64, reports: impl Fn(&Case) -> Vec<Evidence>) -> bool {
    let mut case = Case::new();
    let reports = reports(&case);
    case.tell(Presence::Suspect, reports.clone());
    case.story.pass(after_ms);
    case.tell(Presence::Unreachable, reports);
    case.is_false()
}

#[test]
fn one_report_makes_a_verdict_in_time_and_no_sooner() {
    assert!(is_false_verdict(2_700, |case| vec![case.report("cy")]));
    assert!(!is_false_verdict(2_750, |case| vec![case.report("cy")]));
    assert!(is_false_verdict(10_000, |_| Vec::new()));
}

#[test]
fn two_reports_make_one_after_their_time_if_they_are_two() {
    assert!(is_false_verdict(750, |case| vec![case.report("cy"), case.report("dee")]));
    assert!(!is_false_verdict(800, |case| vec![case.report("cy"), case.report("dee")]));
    assert!(is_false_verdict(800, |case| vec![case.report("cy"), case.report("cy")]));
    // Two names from one mouth are one voice.
    let via = |case: &Case, via| Evidence { via: Some(case.story.id(via)), ..case.report("cy") };
    assert!(is_false_verdict(800, |case| vec![case.report("dee"), via(case, "dee")]));
    assert!(!is_false_verdict(800, |case| vec![case.report("dee"), via(case, "eve")]));
    // And its subject is no witness against itself.
    assert!(is_false_verdict(3_000, |case| vec![case.report("ana")]));
}

#[test]
fn the_mostly_deaf_count_under_the_longer_rule_only() {
    let deaf = |case: &Case| vec![case.report("cy"), Evidence { mostly_deaf: true, ..case.report("dee") }];
    assert!(is_false_verdict(800, deaf));
    assert!(!is_false_verdict(3_000, deaf));
}

#[test]
fn a_report_that_is_contradicted_beside_it_does_not_count() {
    let contradicted =
        |tick| move |case: &Case| vec![case.report("cy"), case.item(EvidenceKind::Contradiction, "eve", Some(tick))];
    assert!(is_false_verdict(3_000, contradicted(6)));
    assert!(!is_false_verdict(3_000, contradicted(5)));
}

#[test]
fn a_report_of_another_run_does_not_count() {
    let other = |case: &Case| vec![Evidence { run: Some(Run { incarnation: 100, boot: 1 }), ..case.report("cy") }];
    assert!(is_false_verdict(3_000, other));
}

#[test]
fn a_clock_that_was_set_between_report_and_verdict_excuses_its_time() {
    let mut case = Case::new();
    let reports = vec![case.report("cy")];
    case.tell(Presence::Suspect, reports.clone());
    case.story.pass(3_000);
    case.tell(Presence::Unreachable, reports);
    case.dates_a_minute_early();
    assert!(!case.is_false());
}

#[test]
fn a_report_from_before_its_clock_was_set_back_stood_although_it_is_dated_later() {
    let is_false = |was_set_back: bool, ahead_ms: u64| {
        let mut case = Case::new();
        let reports = vec![Evidence { at: Wall(1_000_000 + ahead_ms), ..case.report("cy") }];
        case.tell(Presence::Suspect, reports.clone());
        // Long before the verdict bo tells something by the clock that it has from then on.
        for (state, after_ms) in [(Presence::Suspect, 1_000), (Presence::Unreachable, 20_000)] {
            case.story.pass(after_ms);
            case.tell(state, reports.clone());
            if was_set_back {
                case.dates_a_minute_early();
            }
        }
        case.is_false()
    };
    assert!(!is_false(true, 0));
    assert!(is_false(false, 60_000), "no clock was set back: such a date is made up");
}

#[test]
fn a_clock_that_was_set_forward_and_back_between_two_words_excuses_a_later_date() {
    let is_false = |jumps_ms: &[i64]| {
        let mut case = Case::new();
        for &ms in jumps_ms {
            case.story.line(Some("bo"), What::clock_jumps(ms));
        }
        // All that bo tells is told by a clock that is right.
        case.story.pass(20_000);
        let reports = vec![Evidence { at: Wall(1_060_000), ..case.report("cy") }];
        case.tell(Presence::Suspect, reports.clone());
        case.story.pass(20_000);
        case.tell(Presence::Unreachable, reports);
        !case.story.found().is_empty()
    };
    assert!(!is_false(&[60_000, -60_000]));
    assert!(is_false(&[60_000]), "a clock that runs ahead dates its verdicts ahead too");
    assert!(is_false(&[]));
}

#[test]
fn a_verdict_is_taken_over_with_its_reports_by_who_is_silent_too() {
    let verdict = |case: &Case| Evidence { verdict: true, ..case.report("dee") };
    let silence = |case: &Case| case.item(EvidenceKind::Silence, "bo", Some(5));
    let first = |items: &dyn Fn(&Case) -> Vec<Evidence>| {
        let mut case = Case { story: Story::of(["ana", "bo", "cy", "dee", "eve"]) };
        let items = items(&case);
        case.tell(Presence::Unreachable, items);
        case.is_false()
    };
    assert!(!first(&|case| vec![verdict(case), silence(case), case.report("cy")]));
    assert!(first(&|case| vec![verdict(case), silence(case)]), "it shows no report");
    assert!(first(&|case| vec![verdict(case), case.report("cy")]), "bo may hear it");
    let held = |case: &Case| vec![verdict(case), silence(case), case.report("cy")];
    assert!(is_false_verdict(0, held), "bo held it present, and weighs the reports");
}

#[test]
fn who_left_comes_back_by_a_higher_run_alone() {
    for (state, kind) in [
        (Presence::Alive, EvidenceKind::Heard),
        (Presence::Alive, EvidenceKind::Withdrawal),
        (Presence::Suspect, EvidenceKind::Report),
    ] {
        let mut case = Case::new();
        let leave = case.item(EvidenceKind::Leave, "ana", None);
        case.tell(Presence::Left, vec![leave]);
        let item = case.item(kind, "bo", Some(99));
        case.tell(state, vec![item]);
        assert!(case.is_false(), "{state:?} by {kind:?}");
    }
}

#[test]
fn a_report_taken_back_clears_a_doubt_and_no_verdict() {
    let is_false = |state| {
        let mut case = Case::new();
        let reports = vec![case.report("cy")];
        case.tell(Presence::Suspect, reports.clone());
        case.story.pass(3_000);
        case.tell(state, reports);
        let item = case.item(EvidenceKind::Withdrawal, "cy", Some(5));
        case.tell(Presence::Alive, vec![item]);
        case.is_false()
    };
    assert!(!is_false(Presence::Suspect));
    assert!(is_false(Presence::Unreachable));
}

#[test]
fn an_old_tick_that_others_know_clears_no_doubt_and_one_heard_here_does() {
    let is_false = |by, tick| {
        let mut case = Case::new();
        let reports = vec![case.report("cy")];
        case.tell(Presence::Suspect, reports);
        let item = case.item(EvidenceKind::Heard, by, Some(tick));
        case.tell(Presence::Alive, vec![item]);
        case.is_false()
    };
    assert!(!is_false("bo", 5));
    assert!(is_false("dee", 5));
    assert!(!is_false("dee", 6));
}

#[test]
fn suspicion_needs_a_report_and_goodbye_its_own_word() {
    let mut case = Case::new();
    let heard = case.item(EvidenceKind::Heard, "bo", Some(5));
    case.tell(Presence::Suspect, vec![heard]);
    assert!(case.is_false());
    let mut case = Case::new();
    let leave = case.item(EvidenceKind::Leave, "cy", None);
    case.tell(Presence::Left, vec![leave]);
    assert!(case.is_false());
    let mut case = Case::new();
    let leave = case.item(EvidenceKind::Leave, "ana", None);
    case.tell(Presence::Left, vec![leave]);
    assert!(!case.is_false());
}

#[test]
fn what_is_restored_is_the_first_word_of_a_process() {
    let mut case = Case::new();
    let restored = case.item(EvidenceKind::Restored, "ana", None);
    case.tell(Presence::Suspect, vec![restored.clone()]);
    assert!(case.is_false());
    let mut case = Case::new();
    case.story.restart("bo");
    case.tell(Presence::Suspect, vec![restored]);
    assert!(!case.is_false());
}

/// bo calls ana unreachable, then alive by `item`.
fn is_false_return(item: impl Fn(&Case) -> Evidence) -> bool {
    let mut case = Case::new();
    let reports = vec![case.report("cy")];
    case.tell(Presence::Suspect, reports.clone());
    case.story.pass(3_000);
    case.tell(Presence::Unreachable, reports);
    let item = item(&case);
    case.tell(Presence::Alive, vec![item]);
    case.is_false()
}

#[test]
fn a_return_needs_a_newer_tick_or_a_newer_run() {
    assert!(is_false_return(|case| case.item(EvidenceKind::Contradiction, "dee", Some(5))));
    assert!(!is_false_return(|case| case.item(EvidenceKind::Contradiction, "dee", Some(6))));
    assert!(is_false_return(|case| case.item(EvidenceKind::Heard, "bo", Some(5))));
    assert!(!is_false_return(|case| case.item(EvidenceKind::Heard, "bo", Some(6))));
    assert!(is_false_return(|case| case.item(EvidenceKind::Card, "ana", None)), "a card of the same run is old news");
    assert!(is_false_return(|case| case.report("dee")));
}

#[test]
fn a_card_of_a_higher_run_brings_back_and_an_older_run_never_does() {
    let mut case = Case::new();
    case.story.restart("ana");
    let card = case.item(EvidenceKind::Card, "ana", None);
    case.tell(Presence::Alive, vec![card]);
    assert!(!case.is_false());
    let run = Some(Run { incarnation: 101, boot: 1 });
    let old = Evidence { run, ..case.item(EvidenceKind::Heard, "bo", Some(99)) };
    let (id, nick) = (case.story.id("ana"), "ana".to_owned());
    case.story
        .event("bo", EventKind::Member { id, nick, state: Presence::Alive, incarnation: 101, evidence: vec![old] });
    assert!(case.is_false());
}

#[test]
fn who_had_left_before_one_came_is_told_of_by_the_card_that_brings_it_back() {
    let card = |detail: &str| {
        let mut case = Case { story: Story::of(["ana", "bo"]) };
        let card = Evidence { detail: detail.to_owned(), ..case.item(EvidenceKind::Card, "ana", None) };
        case.tell(Presence::Alive, vec![card]);
        case.is_false()
    };
    assert!(!card("restarted: a card of a higher run, before it was 99.0000"));
    assert!(card("signed card, version 1"), "a card alone is no sign of life");
}

#[test]
fn another_nick_changes_no_state() {
    let mut case = Case::new();
    let card = case.item(EvidenceKind::Card, "ana", None);
    case.tell(Presence::Alive, vec![card]);
    assert!(!case.is_false());
}

#[test]
fn who_was_cut_off_itself_takes_the_word_of_one_that_was_not() {
    let returns = |mostly_deaf| {
        let mut case = Case::new();
        let reports = vec![Evidence { mostly_deaf, ..case.report("bo") }];
        case.tell(Presence::Suspect, reports.clone());
        case.story.pass(3_000);
        case.tell(Presence::Unreachable, reports);
        let word = case.item(EvidenceKind::Contradiction, "cy", Some(5));
        case.tell(Presence::Alive, vec![word]);
        !case.is_false()
    };
    assert!(returns(true));
    assert!(!returns(false), "else it takes a newer tick");
}

#[test]
fn a_verdict_of_others_yields_to_a_newer_tick_even_if_those_were_cut_off() {
    let returns = |tick| {
        let mut case = Case { story: Story::of(["ana", "bo", "cy", "dee", "eve"]) };
        let verdict = Evidence { verdict: true, ..case.report("dee") };
        let deaf = Evidence { mostly_deaf: true, ..case.report("cy") };
        let silence = case.item(EvidenceKind::Silence, "bo", Some(5));
        case.tell(Presence::Unreachable, vec![verdict, silence, deaf]);
        let word = case.item(EvidenceKind::Contradiction, "cy", Some(tick));
        case.tell(Presence::Alive, vec![word]);
        !case.is_false()
    };
    assert!(returns(6));
    assert!(!returns(5));
}
