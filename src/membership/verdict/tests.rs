//! What reports and contradictions amount to.

use super::*;

const RUN: Run = Run { incarnation: 1, boot: 1 };
const DEAF: Hearing = Hearing { live: false, heard: None, tick: 5, own: None };

fn id(n: u8) -> MemberId {
    MemberId([n; 32])
}

fn ms(ms: u64) -> Time {
    Time::from_micros(ms * 1000)
}

fn report(tick: u64) -> OpenReport {
    OpenReport { subject: id(9), run: RUN, tick, probes_lost: 3, lag_ms: 0, mostly_deaf: false }
}

fn rule(case: &mut Case, at: u64) -> Ruling {
    case.rule(ms(at), Wall(at), DEAF)
}

#[test]
fn one_report_makes_suspect_at_once_and_unreachable_after_three_seconds() {
    let mut case = Case::default();
    assert_eq!(rule(&mut case, 0), Ruling::Clear);
    case.accuse(id(1), id(7), report(5), ms(0), Wall(0));
    assert_eq!(rule(&mut case, 0), Ruling::Suspect { until: ms(2750) });
    assert_eq!(rule(&mut case, 2749), Ruling::Suspect { until: ms(2750) });
    assert_eq!(rule(&mut case, 2750), Ruling::Unreachable { by: vec![id(1)] });
}

#[test]
fn two_reports_need_their_time_from_the_second_one_on() {
    let mut case = Case::default();
    case.accuse(id(1), id(1), report(5), ms(0), Wall(0));
    rule(&mut case, 0);
    case.accuse(id(2), id(2), report(5), ms(400), Wall(400));
    assert_eq!(rule(&mut case, 400), Ruling::Suspect { until: ms(1200) });
    assert_eq!(rule(&mut case, 1200), Ruling::Unreachable { by: vec![id(1), id(2)] });
}

#[test]
fn one_voice_is_one_voice_whatever_names_it_uses() {
    let mut case = Case::default();
    case.accuse(id(1), id(7), report(5), ms(0), Wall(0));
    case.accuse(id(2), id(7), report(5), ms(0), Wall(0));
    case.accuse(id(7), id(7), report(5), ms(0), Wall(0));
    assert_eq!(rule(&mut case, 0), Ruling::Suspect { until: ms(2750) });
}

#[test]
fn two_reports_that_two_others_passed_on_are_two_voices() {
    let mut case = Case::default();
    case.accuse(id(1), id(7), report(5), ms(0), Wall(0));
    case.accuse(id(2), id(7), report(5), ms(0), Wall(0));
    assert_eq!(rule(&mut case, 0), Ruling::Suspect { until: ms(2750) });
    assert!(!case.accuse(id(1), id(8), report(5), ms(200), Wall(200)), "it is no news");
    assert_eq!(rule(&mut case, 200), Ruling::Suspect { until: ms(800) }, "both stand since the beginning");
    let voices: Vec<_> = case.report_evidence(true).iter().map(|item| (item.by, item.via)).collect();
    assert_eq!(voices, [(id(1), Some(id(7))), (id(1), Some(id(8))), (id(2), Some(id(7)))]);
    case.silence(id(7));
    assert_eq!(rule(&mut case, 300), Ruling::Suspect { until: ms(2750) });
}

#[test]
fn what_an_author_says_in_person_stands_since_it_was_passed_on() {
    let mut case = Case::default();
    case.accuse(id(1), id(1), report(5), ms(0), Wall(0));
    case.accuse(id(2), id(7), report(5), ms(0), Wall(0));
    rule(&mut case, 0);
    case.accuse(id(2), id(2), report(5), ms(700), Wall(700));
    assert_eq!(rule(&mut case, 700), Ruling::Suspect { until: ms(800) });
}

#[test]
fn what_was_passed_on_is_done_with_once_somebody_knows_better() {
    let mut case = Case::default();
    case.accuse(id(1), id(7), report(5), ms(0), Wall(0));
    rule(&mut case, 0);
    case.contradict(id(2), id(2), 6, ms(100), Wall(100));
    assert_eq!(rule(&mut case, 100), Ruling::Clear);
    assert_eq!(rule(&mut case, 4000), Ruling::Clear);
    assert!(case.is_empty());
}

#[test]
fn the_mostly_deaf_count_under_the_longer_rule_only() {
    let mut case = Case::default();
    case.accuse(id(1), id(1), report(5), ms(0), Wall(0));
    case.accuse(id(2), id(2), OpenReport { mostly_deaf: true, ..report(5) }, ms(0), Wall(0));
    assert_eq!(rule(&mut case, 0), Ruling::Suspect { until: ms(2750) });
}

#[test]
fn a_contradiction_clears_for_three_seconds_and_then_time_starts_anew() {
    let mut case = Case::default();
    case.accuse(id(1), id(1), report(5), ms(0), Wall(0));
    rule(&mut case, 0);
    case.contradict(id(2), id(2), 6, ms(1000), Wall(1000));
    assert_eq!(rule(&mut case, 1000), Ruling::Clear);
    assert_eq!(case.next_ruling(ms(1000), None), Some(ms(2500)));
    case.accuse(id(1), id(1), report(5), ms(2000), Wall(0));
    assert_eq!(case.next_ruling(ms(2000), None), Some(ms(4000)), "it still is open");
    assert_eq!(rule(&mut case, 4000), Ruling::Suspect { until: ms(6750) });
}

#[test]
fn a_report_that_was_followed_ends_with_the_heartbeats_of_its_author() {
    let mut case = Case::default();
    case.accuse(id(1), id(1), report(5), ms(0), Wall(0));
    assert_eq!(rule(&mut case, 0), Ruling::Suspect { until: ms(2_750) });
    assert_eq!(rule(&mut case, 2_499), Ruling::Suspect { until: ms(2_750) });
    assert_eq!(rule(&mut case, 2_500), Ruling::Clear, "two heartbeats did not come");
    case.accuse(id(1), id(1), report(5), ms(3_000), Wall(0));
    case.unfollow(id(1));
    case.accuse(id(2), id(2), report(5), ms(3_000), Wall(0));
    case.lose_sight(id(1));
    case.lose_sight(id(2));
    assert!(case.report(id(1)).is_some() && case.report(id(2)).is_none(), "only what was followed ends");
    let mut own = Case::default();
    own.accuse(id(1), id(1), report(5), ms(0), Wall(0));
    let voice = OwnVoice { by: id(1), from: ms(0), alone_at: ms(0), looks: true };
    let mut ruled = |at| own.rule(ms(at), Wall(at), Hearing { own: Some(voice), ..DEAF });
    assert_eq!(ruled(0), Ruling::Suspect { until: ms(2_750) });
    assert_eq!(ruled(2_750), Ruling::Unreachable { by: vec![id(1)] });
    let lapses = |looks| own.next_ruling(ms(2_750), Some(OwnVoice { looks, ..voice }));
    assert_eq!((lapses(true), lapses(false)), (None, Some(ms(10_000))));
}

#[test]
fn no_report_stands_against_who_was_heard_after_it() {
    let mut case = Case::default();
    case.accuse(id(1), id(7), report(5), ms(100), Wall(0));
    let heard = |at| Hearing { heard: Some(ms(at)), ..DEAF };
    assert_eq!(case.rule(ms(200), Wall(0), heard(99)), Ruling::Suspect { until: ms(2_950) });
    assert_eq!(case.rule(ms(3_000), Wall(0), heard(150)), Ruling::Clear);
}

#[test]
fn what_was_contradicted_and_not_said_again_does_not_come_back() {
    let mut case = Case::default();
    case.accuse(id(1), id(1), report(5), ms(0), Wall(0));
    case.contradict(id(2), id(2), 6, ms(1_000), Wall(0));
    case.accuse(id(3), id(3), report(5), ms(2_000), Wall(0));
    assert_eq!(rule(&mut case, 2_000), Ruling::Clear);
    assert_eq!(rule(&mut case, 4_000), Ruling::Suspect { until: ms(6_750) }, "the third said it since");
    assert!(case.report(id(1)).is_none() && case.report(id(3)).is_some());
}

#[test]
fn a_contradiction_needs_a_newer_tick() {
    let mut case = Case::default();
    case.accuse(id(1), id(1), report(5), ms(0), Wall(0));
    case.contradict(id(2), id(2), 5, ms(0), Wall(0));
    assert_eq!(rule(&mut case, 0), Ruling::Suspect { until: ms(2750) });
}

#[test]
fn whoever_is_heard_here_is_not_suspected() {
    let mut case = Case::default();
    case.accuse(id(1), id(1), report(5), ms(0), Wall(0));
    assert_eq!(case.rule(ms(0), Wall(0), Hearing { live: true, ..DEAF }), Ruling::Clear);
    assert_eq!(case.rule(ms(1), Wall(1), Hearing { tick: 6, ..DEAF }), Ruling::Clear);
    assert_eq!(rule(&mut case, 2), Ruling::Suspect { until: ms(2752) });
}

#[test]
fn a_word_of_this_node_counts_from_when_its_path_does_not_explain_the_silence() {
    let own = Some(OwnVoice { by: id(1), from: ms(3_000), alone_at: ms(9_000), looks: true });
    let hearing = Hearing { own, ..DEAF };
    let mut case = Case::default();
    case.accuse(id(1), id(1), report(5), ms(0), Wall(0));
    assert_eq!(case.rule(ms(0), Wall(0), hearing), Ruling::Suspect { until: ms(9_000) }, "alone it waits for longer");
    case.accuse(id(2), id(2), report(5), ms(100), Wall(100));
    assert_eq!(case.rule(ms(100), Wall(100), hearing), Ruling::Suspect { until: ms(2_850) }, "the other by itself");
    case.accuse(id(3), id(3), report(5), ms(200), Wall(200));
    assert_eq!(case.rule(ms(200), Wall(200), hearing), Ruling::Suspect { until: ms(1_000) }, "or both others");
    case.withdraw(id(3));
    let sooner = Hearing { own: own.map(|own| OwnVoice { from: ms(1_000), ..own }), ..DEAF };
    assert_eq!(case.rule(ms(300), Wall(300), sooner), Ruling::Suspect { until: ms(1_800) }, "or the other and it");
}

#[test]
fn a_word_of_this_node_waits_for_as_long_as_it_takes_until_it_looks_no_more() {
    let voice = OwnVoice { by: id(1), from: ms(0), alone_at: ms(40_000), looks: true };
    let ruled = |case: &mut Case, at, looks| {
        case.rule(ms(at), Wall(at), Hearing { own: Some(OwnVoice { looks, ..voice }), ..DEAF })
    };
    let mut case = Case::default();
    case.accuse(id(1), id(1), report(5), ms(0), Wall(0));
    assert_eq!(ruled(&mut case, 39_999, true), Ruling::Suspect { until: ms(42_749) });
    case.accuse(id(1), id(1), report(5), ms(41_000), Wall(0));
    assert_eq!(ruled(&mut case, 42_749, true), Ruling::Unreachable { by: vec![id(1)] });
    assert_eq!(ruled(&mut case, 51_000, false), Ruling::Clear);
}

#[test]
fn a_relay_cannot_change_what_its_author_said_in_person() {
    let mut case = Case::default();
    assert!(case.accuse(id(1), id(1), report(5), ms(0), Wall(0)));
    assert!(!case.accuse(id(1), id(7), report(8), ms(0), Wall(0)));
    assert_eq!(case.report(id(1)).unwrap().report.tick, 5);
}
