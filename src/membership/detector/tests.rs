//! When a link is silent, probed, asked about and reported.

use super::*;
use crate::base::Rtt;

fn ms(ms: u64) -> Time {
    Time::from_micros(ms * 1000)
}

fn open_link() -> Link {
    let mut link = Link::new(ms(0));
    link.open();
    link.hear(ms(0), (ms(0), Wall(0)));
    link
}

#[test]
fn three_probes_and_a_second_heartbeat_are_missed_before_a_report() {
    let mut link = open_link();
    let mut found = Vec::new();
    let mut now = ms(0);
    loop {
        match link.look(now, None) {
            Look::Lost { probes } => {
                found.push((now, probes));
                break;
            }
            Look::Probe => found.push((now, 0)),
            Look::Quiet | Look::Silent | Look::Ask => {}
        }
        let next = link.next_look(now, None).unwrap();
        assert!(next > now);
        now = next;
    }
    assert_eq!(found, [(ms(1250), 0), (ms(1500), 0), (ms(1750), 0), (ms(2000), 0), (ms(2100), 4)]);
}

#[test]
fn a_tick_that_others_told_of_is_reported_when_they_may_know_the_next() {
    let lost_at = |told: Option<(u64, u64)>| {
        let (mut link, mut now) = (open_link(), ms(0));
        loop {
            now = link.next_look(now, None).unwrap();
            if let Some((at, tick)) = told.filter(|&(at, _)| now >= ms(at) && now < ms(at + 100)) {
                link.tell(ms(at), tick);
            }
            if matches!(link.look(now, None), Look::Lost { .. }) {
                return now;
            }
        }
    };
    let known = open_link().tick;
    assert_eq!(lost_at(None), ms(2_100));
    assert_eq!(lost_at(Some((2_000, known + 1))), ms(3_000));
    assert_eq!(lost_at(Some((2_000, known))), ms(2_100), "it is no news");
}

#[test]
fn who_looks_on_hearsay_asks_twice_before_its_silence_counts_and_probes_as_ever() {
    let mut link = open_link();
    link.doubted = true;
    link.doubt_on_hearsay();
    let (mut found, mut now) = (Vec::new(), ms(0));
    while now < ms(3_000) {
        now = link.next_look(now, None).unwrap();
        found.push((now, link.look(now, None)));
        assert!(found.len() < 32, "{found:?}");
    }
    let asked: Vec<_> = found.iter().filter(|(_, look)| *look == Look::Ask).map(|&(at, _)| at).collect();
    assert_eq!(asked, [ms(1_000), ms(2_000)]);
    assert!(found.contains(&(ms(1_250), Look::Probe)) && found.contains(&(ms(1_500), Look::Probe)), "{found:?}");
    let lost = found.iter().find(|(_, look)| matches!(look, Look::Lost { .. })).unwrap();
    assert_eq!(lost.0, ms(3_000));
}

#[test]
fn nobodys_word_stands_for_one_that_is_not_looked_for_any_more() {
    let mut link = open_link();
    link.doubted = true;
    link.trust(ms(2_000), MemberId([2; 32]));
    link.undoubt();
    assert!(!link.is_vouched());
}

#[test]
fn the_word_of_one_does_not_keep_that_of_another() {
    let (old, new) = (MemberId([2; 32]), MemberId([3; 32]));
    let mut link = open_link();
    let stand = |link: &Link, at| link.contradictors(ms(at)).collect::<Vec<_>>();
    link.trust(ms(2_000), old);
    link.trust(ms(9_000), new);
    assert_eq!(stand(&link, 11_999), [(old, ms(2_000)), (new, ms(9_000))]);
    assert_eq!(stand(&link, 12_000), [(new, ms(9_000))]);
    link.trust(ms(15_000), new);
    assert_eq!(stand(&link, 15_000), [(new, ms(15_000))]);
    assert!(!link.lose_word(old), "it was forgotten");
    assert!(link.lose_word(new) && !link.is_vouched());
}

#[test]
fn each_look_finds_something_new_however_odd_the_round_trip_is() {
    for nanos in (0..3_000).step_by(37) {
        let mut link = open_link();
        let odd = |ms| Duration::from_millis(ms) + Duration::from_nanos(nanos);
        link.path.rtt = Some(Rtt { smoothed: odd(300), variation: odd(100) });
        let mut now = ms(0);
        while !matches!(link.look(now, None), Look::Lost { .. }) {
            let next = link.next_look(now, None).unwrap();
            assert!(next > now, "{nanos} ns: a look at {now:?} asks for another at once");
            now = next;
        }
    }
}

#[test]
fn a_jittery_path_is_given_more_time() {
    let mut link = open_link();
    link.path.rtt = Some(Rtt { smoothed: Duration::from_millis(400), variation: Duration::from_millis(100) });
    assert_eq!(link.next_look(ms(0), None), Some(ms(1400)));
    assert_eq!(link.look(ms(1400), None), Look::Probe);
    assert_eq!(link.next_look(ms(1400), None), Some(ms(2000)));
}

#[test]
fn a_stall_of_our_own_moves_every_deadline() {
    let mut link = open_link();
    link.excuse(ms(1200), Duration::from_millis(700));
    assert_eq!(link.next_look(ms(1200), None), Some(ms(1950)));
    link.excuse(ms(1300), Duration::from_secs(60));
    assert_eq!(link.quiet_since, ms(1300));
}

#[test]
fn a_claimed_tick_cannot_run_far_ahead_of_time() {
    let mut link = open_link();
    assert!(link.is_plausible(ms(0), 1_000_000), "nothing was heard yet");
    link.hear_tick(ms(0), 100);
    assert!(link.is_plausible(ms(20_000), 120));
    assert!(!link.is_plausible(ms(20_000), 200));
}

#[test]
fn the_second_question_has_its_own_second_though_the_first_came_late() {
    let by = MemberId([2; 32]);
    let mut link = open_link();
    link.doubted = true;
    link.doubt_on_hearsay();
    link.trust(ms(1_100), by);
    assert!(link.lose_word(by));
    let asked: Vec<_> = (50..70).map(|n| n * 100).filter(|&at| link.look(ms(at), None) == Look::Ask).collect();
    assert_eq!(asked, [5_000, 6_000]);
}
