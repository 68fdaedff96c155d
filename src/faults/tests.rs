//! Promises of plans and fates: the shares that were asked for, on the links that were named, and nothing
//! else ever reshuffled.

use std::time::Duration;

use super::*;
use crate::base::limits::FAULT_RULES_MAX;
use crate::base::{MemberId, Time};

const ANA: MemberId = MemberId([1; 32]);
const BO: MemberId = MemberId([2; 32]);
const CY: MemberId = MemberId([3; 32]);

/// As many as make a share stand out from chance.
const MANY: u64 = 100_000;

fn plan(specs: &[&str]) -> Plan {
    let mut plan = Plan::new([7; 32]);
    for spec in specs {
        let Ok(Spec::Add(rules)) = spec.parse() else { panic!("{spec}") };
        plan.add(rules).unwrap();
    }
    plan.resolve(|nick| match nick {
        "ana" => Some(ANA),
        "bo" => Some(BO),
        _ => None,
    });
    plan
}

fn datagram(place: Place, from: Option<MemberId>, to: Option<MemberId>) -> Datagram {
    Datagram { place, from, to, time: Time::ZERO, bytes: 1_000 }
}

/// The fates of the first datagrams from `from` to `to`, as a network decides them.
fn fates(plan: &Plan, from: MemberId, to: MemberId) -> impl Iterator<Item = Fate> {
    let mut link = Link::default();
    (0..MANY).map(move |_| plan.decide(datagram(Place::Network, Some(from), Some(to)), &mut link))
}

fn first_fate(plan: &Plan, place: Place, from: Option<MemberId>, to: Option<MemberId>) -> Fate {
    plan.decide(datagram(place, from, to), &mut Link::default())
}

fn dropped(plan: &Plan, from: MemberId, to: MemberId) -> Vec<u64> {
    let numbered = (0..).zip(fates(plan, from, to));
    numbered.filter(|(_, fate)| matches!(fate, Fate::Drop(_))).map(|(index, _)| index).collect()
}

/// How all copies of the first datagrams arrive.
fn arrivals(plan: &Plan) -> Vec<Arrival> {
    fates(plan, ANA, BO)
        .flat_map(|fate| match fate {
            Fate::Drop(_) => [None, None],
            Fate::Deliver { first, again } => [Some(first), again],
        })
        .flatten()
        .collect()
}

#[test]
fn an_empty_plan_spares_everything() {
    assert_eq!(first_fate(&plan(&[]), Place::Network, Some(ANA), None), Fate::SPARED);
}

#[test]
fn the_share_that_is_lost_is_the_share_that_was_asked_for() {
    // Five standard deviations of a binomial of 100,000 at 20 % are 633.
    let lost = dropped(&plan(&["loss=20%"]), ANA, BO).len();
    assert!((19_367..=20_633).contains(&lost), "{lost}");
    let lost = dropped(&plan(&["loss=20%", "drop 20% to bo"]), ANA, BO).len();
    assert!((35_240..=36_760).contains(&lost), "{lost}");
}

#[test]
fn links_and_directions_have_fates_of_their_own() {
    let plan = plan(&["loss=50%"]);
    let there = dropped(&plan, ANA, BO);
    for other in [dropped(&plan, BO, ANA), dropped(&plan, ANA, CY)] {
        let both = there.iter().filter(|index| other.binary_search(index).is_ok()).count();
        // Independent halves share a quarter: 25,000, give or take five standard deviations.
        assert!((24_315..=25_685).contains(&both), "{both}");
    }
}

#[test]
fn one_change_never_reshuffles_the_rest() {
    let before = plan(&["loss=5%"]);
    let after = plan(&[
        "loss=5%",
        "delay=20ms±10ms,duplicate=3%/1s,reorder=5%,corrupt=5%,truncate=5%,rate=10gbit/60s",
        "cut to bo",
        "burst=5%/20 from bo",
    ]);
    assert_eq!(dropped(&before, ANA, CY), dropped(&after, ANA, CY), "another link's rules, and other faults");
    for (less, more) in [("loss=5%", "loss=6%"), ("corrupt=5%", "corrupt=6%"), ("burst=5%/20@80%", "burst=5%/20")] {
        let (less, more) = (plan(&[less]), plan(&[more]));
        let hit = |fate: Fate| fate != Fate::SPARED;
        let pairs = fates(&less, ANA, CY).map(hit).zip(fates(&more, ANA, CY).map(hit));
        let pairs: Vec<_> = pairs.take(10_000).collect();
        assert!(pairs.iter().all(|&(less, more)| more || !less));
        assert!(pairs.iter().any(|&(less, more)| more && !less));
    }
}

#[test]
fn a_delay_stays_within_its_jitter_and_fills_it() {
    let after: Vec<u128> = arrivals(&plan(&["delay=200ms±50ms"])).iter().map(|it| it.after.as_micros()).collect();
    assert_eq!(after.len(), usize::try_from(MANY).unwrap());
    let (least, most) = (after.iter().min().unwrap(), after.iter().max().unwrap());
    assert!((150_000..=150_100).contains(least), "{least}");
    assert!((249_900..=250_000).contains(most), "{most}");
}

#[test]
fn a_copy_has_a_jitter_and_a_lateness_of_its_own() {
    let apart = |spec: &str| {
        let plan = plan(&[spec]);
        let copies = fates(&plan, ANA, BO).map(|fate| match fate {
            Fate::Deliver { first, again: Some(again) } => (first.after, again.after),
            Fate::Deliver { again: None, .. } | Fate::Drop(_) => panic!("{fate:?}"),
        });
        copies.collect::<Vec<_>>()
    };
    assert!(apart("duplicate=100%").iter().all(|(first, again)| first.is_zero() && again.is_zero()));
    assert!(apart("delay=100ms±100ms,duplicate=100%").iter().filter(|(first, again)| first != again).count() > 99_000);
    let late = apart("delay=1s,duplicate=100%/2s");
    assert!(late.iter().all(|(first, _)| first.as_secs() == 1));
    let lateness = late.iter().map(|(first, again)| again.abs_diff(*first).as_millis());
    let (least, most) = (lateness.clone().min().unwrap(), lateness.max().unwrap());
    assert!(least == 0 && (1_999..=2_000).contains(&most), "{least} {most}");
}

#[test]
fn what_is_reordered_is_overtaken() {
    let arrivals = arrivals(&plan(&["delay=10ms,reorder=10%/50ms"]));
    let late = arrivals.iter().filter(|it| it.after == Duration::from_millis(60)).count();
    // Five standard deviations of a binomial of 100,000 at 10 % are 475.
    assert!((9_525..=10_475).contains(&late), "{late}");
    assert!(arrivals.iter().all(|it| [10, 60].contains(&it.after.as_millis())));
}

#[test]
fn bursts_take_the_share_and_the_length_that_were_asked_for() {
    for (spec, share, length) in [("burst=5%/20", 5_000, 20), ("burst=20%/4", 20_000, 4), ("burst=60%/2", 60_000, 2)] {
        let lost = dropped(&plan(&[spec]), ANA, BO);
        let bursts = lost
            .iter()
            .zip(std::iter::once(&u64::MAX).chain(&lost))
            .filter(|(at, before)| **at != before.wrapping_add(1))
            .count();
        // Both vary as the number of bursts does: five standard deviations, of a length that varies by itself.
        let expected = share / length;
        let within =
            |got: usize, expected: usize, bursts: usize| got.abs_diff(expected).pow(2) * bursts <= 50 * expected.pow(2);
        assert!(within(lost.len(), share, expected), "{spec}: {} lost", lost.len());
        assert!(within(bursts, expected, expected), "{spec}: {bursts} bursts");
    }
}

#[test]
fn a_burst_that_loses_a_part_leaves_the_rest() {
    let all = dropped(&plan(&["burst=20%/10"]), ANA, BO);
    let some = dropped(&plan(&["burst=20%/10@80%"]), ANA, BO);
    assert!(some.iter().all(|index| all.binary_search(index).is_ok()));
    let share = some.len() * 1_000 / all.len();
    assert!((785..=815).contains(&share), "{share} per mille");
}

#[test]
fn a_fate_is_the_same_whether_those_before_it_were_asked_for_or_not() {
    let plan = plan(&["burst=20%/10,loss=5%"]);
    let whole: Vec<Fate> = fates(&plan, ANA, BO).take(300).collect();
    let idle = Plan::new([7; 32]);
    for (skipped, &fate) in whole.iter().enumerate() {
        let mut link = Link::default();
        for _ in 0..skipped {
            assert_eq!(idle.decide(datagram(Place::Network, Some(ANA), Some(BO)), &mut link), Fate::SPARED);
        }
        assert_eq!(plan.decide(datagram(Place::Network, Some(ANA), Some(BO)), &mut link), fate, "{skipped} skipped");
    }
}

#[test]
fn damage_changes_what_it_says_and_no_more() {
    let flipped = |at| {
        let mut bytes = vec![0; 4];
        Damage { truncate: None, flip: Some(at) }.apply(&mut bytes);
        bytes
    };
    assert_eq!(flipped(0), [1, 0, 0, 0]);
    assert_eq!(flipped(u32::MAX), [0, 0, 0, 128]);
    let cut = |at, length| {
        let mut bytes = vec![7; length];
        Damage { truncate: Some(at), flip: Some(at) }.apply(&mut bytes);
        bytes.len()
    };
    assert_eq!([cut(0, 4), cut(u32::MAX, 4), cut(1 << 31, 4), cut(1 << 31, 0)], [0, 3, 2, 0]);
}

#[test]
fn the_share_that_is_damaged_is_the_share_that_was_asked_for() {
    // 100,000 and 20,000 copies; five standard deviations of a binomial at 10 % are 519.
    let arrivals = arrivals(&plan(&["corrupt=10%,truncate=10%,duplicate=20%"]));
    let count = |wanted: fn(&Damage) -> bool| arrivals.iter().filter(|it| wanted(&it.damage)).count();
    for damaged in [count(|it| it.flip.is_some()), count(|it| it.truncate.is_some())] {
        assert!(damaged.abs_diff(arrivals.len() / 10) <= 519, "{damaged} of {}", arrivals.len());
    }
    let both = count(|it| it.flip.is_some() && it.truncate.is_some());
    assert!((1_030..=1_370).contains(&both), "{both}");
}

#[test]
fn a_rate_bounds_what_passes_and_what_waits() {
    // 1,000 bytes take 10 ms, and 200 ms may be waited: the first 21 pass.
    let after: Vec<u128> =
        arrivals(&plan(&["rate=800kbit/200ms,delay=1s"])).iter().map(|it| it.after.as_millis()).collect();
    assert_eq!(after, (1..=21).map(|n| 1_000 + n * 10).collect::<Vec<_>>());
}

#[test]
fn a_partition_is_cuts_that_heal_one_by_one() {
    let cut = Rule { from: Ends::Member(ANA), to: Ends::Member(BO), fault: Fault::Cut };
    let mut plan = plan(&[]);
    plan.add([cut.clone()]).unwrap();
    assert_eq!(first_fate(&plan, Place::Network, Some(ANA), Some(BO)), Fate::Drop(DropReason::Cut));
    assert_eq!(first_fate(&plan, Place::Network, Some(BO), Some(ANA)), Fate::SPARED, "one way only");
    assert!(plan.remove(&cut));
    assert!(!plan.remove(&cut));
    assert_eq!(first_fate(&plan, Place::Network, Some(ANA), Some(BO)), Fate::SPARED);
}

#[test]
fn a_real_node_acts_on_each_datagram_at_one_end() {
    let lost = Fate::Drop(DropReason::Loss);
    let out = |plan: &Plan, to| first_fate(plan, Place::Out, Some(ANA), to);
    let at_bo = |plan: &Plan, from| first_fate(plan, Place::In, from, Some(BO));
    let at_ana = |plan: &Plan, from| first_fate(plan, Place::In, from, Some(ANA));
    let all = plan(&["loss=100%"]);
    assert_eq!((out(&all, Some(BO)), at_bo(&all, Some(ANA))), (lost, Fate::SPARED));
    let to = plan(&["drop 100% to bo"]);
    assert_eq!((out(&to, Some(BO)), at_ana(&to, Some(BO))), (lost, Fate::SPARED));
    assert_eq!((out(&to, Some(CY)), out(&to, None)), (Fate::SPARED, Fate::SPARED));
    let from = plan(&["drop 100% from bo"]);
    assert_eq!((out(&from, Some(BO)), at_ana(&from, Some(BO))), (Fate::SPARED, lost));
    let cut = plan(&["cut"]);
    assert_eq!((out(&cut, None), at_ana(&cut, None)), (Fate::Drop(DropReason::Cut), Fate::Drop(DropReason::Cut)));
}

#[test]
fn a_rule_takes_the_place_of_its_like() {
    let shown = |plan: &Plan| plan.rules().iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut changed = plan(&["loss=5% to bo", "delay=1s to bo", "loss=10%"]);
    let Ok(Spec::Add(rules)) = "loss=7% to bo".parse() else { panic!() };
    changed.add(rules).unwrap();
    assert_eq!(shown(&changed), ["delay=1s to bo", "loss=10%", "loss=7% to bo"]);
    let nothing = Rule { from: Ends::Any, to: Ends::Any, fault: Fault::Loss(Share::NONE) };
    changed.add([nothing]).unwrap();
    assert_eq!(shown(&changed), ["delay=1s to bo", "loss=7% to bo"]);
    assert!(changed.take_off(&Ends::Any, &Ends::Nick("bo".into()), Kind::Delay));
    assert_eq!(shown(&changed), ["loss=7% to bo"]);
}

#[test]
fn a_nick_is_nobody_until_it_is_found_and_then_stays_with_its_member() {
    let mut plan = Plan::new([7; 32]);
    let Ok(Spec::Add(rules)) = "cut to bo".parse() else { panic!() };
    plan.add(rules).unwrap();
    let is_cut = |plan: &Plan, to| first_fate(plan, Place::Network, Some(ANA), to) != Fate::SPARED;
    assert!(!is_cut(&plan, None) && !is_cut(&plan, Some(BO)));
    plan.resolve(|_| Some(BO));
    assert!(!is_cut(&plan, None) && is_cut(&plan, Some(BO)));
    plan.resolve(|_| Some(CY));
    assert!(is_cut(&plan, Some(BO)) && !is_cut(&plan, Some(CY)));
    // Taken off and typed again, it means whoever bears the nick now.
    assert!(plan.take_off(&Ends::Any, &Ends::Nick("bo".into()), Kind::Cut));
    assert!(!is_cut(&plan, Some(BO)) && plan.is_empty());
    let Ok(Spec::Add(rules)) = "cut to bo".parse() else { panic!() };
    plan.add(rules).unwrap();
    plan.resolve(|_| Some(CY));
    assert!(!is_cut(&plan, Some(BO)) && is_cut(&plan, Some(CY)));
}

#[test]
fn a_full_plan_stays_as_it_is() {
    let rule = |n: usize| Rule { from: Ends::Any, to: Ends::Nick(format!("n{n}")), fault: Fault::Cut };
    let mut plan = plan(&[]);
    plan.add((0..FAULT_RULES_MAX).map(rule)).unwrap();
    let error = plan.add([rule(FAULT_RULES_MAX)]).unwrap_err();
    assert_eq!(error.to_string(), "64 fault rules are on already; take them back with off");
    assert_eq!(plan.rules().len(), FAULT_RULES_MAX);
    plan.add([rule(7)]).unwrap();
    assert_eq!(plan.rules().last(), Some(&rule(7)));
}

#[test]
fn fates_are_the_same_on_every_machine() {
    // Pinned, because a recorded run is replayed by its seed.
    let lost: Vec<u64> = dropped(&plan(&["loss=5%"]), ANA, BO).into_iter().take(6).collect();
    assert_eq!(lost, [20, 27, 37, 80, 109, 116]);
}
