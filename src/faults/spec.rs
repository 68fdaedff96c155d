//! Fault specs as people type them: `delay=200ms±50ms,loss=5%`, `drop 20% to bo`, `cut from bo`, `off`. Owns
//! the grammar of reading; `print` writes what reads back as the same.

use std::str::FromStr;
use std::time::Duration;

use super::print::{self, compact};
use super::rule::{Burst, Ends, Fault, Kind, Rate, Rule, Share};
use crate::base::limits::{FAULT_BURST_DATAGRAMS_MAX, FAULT_DELAY_MAX, FAULT_RATE_BITS_MAX, FAULT_RATE_BITS_MIN};
use crate::base::{MemberId, text};

/// What a spec asks for. Faults are separated by commas, each `KIND VALUE` or `KIND=VALUE`; `to NICK` and
/// `from NICK` at the end hold for all of them. A member's whole id serves in place of its nick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spec {
    /// Puts these rules on, beside those that are.
    Add(Vec<Rule>),
    /// Takes the rules of these kinds on the very same links off.
    Remove { kinds: Vec<Kind>, from: Ends, to: Ends },
    /// Takes all off.
    Off,
}

/// Why a spec does not read; the sentence is for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error("a fault is missing; try 'drop 20% to bo', 'delay=200ms±50ms,loss=5%', 'cut from bo' or 'off'")]
    Empty,
    #[error("{0:?} is no fault; there are {kinds} and off", kinds = print::kinds())]
    Kind(String),
    #[error("{kind} needs {needed}: {kind} {example}")]
    Missing { kind: &'static str, needed: &'static str, example: &'static str },
    #[error("{0:?} is no share; it is 0% to 100%, with at most four decimals")]
    Share(String),
    #[error("{0:?} is no time; it is written as 200ms or 1s500ms")]
    Span(String),
    #[error("{0:?} varies by more than it delays")]
    Jitter(String),
    #[error("{} is too long; {} is the limit", compact(*.0), compact(FAULT_DELAY_MAX))]
    TooLong(Duration),
    #[error("{0:?} is no length of a burst; it is 2 to {FAULT_BURST_DATAGRAMS_MAX} datagrams on average")]
    BurstLength(String),
    #[error("bursts of {length} cover {max} at most, with one datagram between each two", max = Burst::share_max(*.length))]
    BurstShare { length: u32 },
    #[error("{0:?} is no rate; it is 1kbit to 10gbit a second, in kbit, mbit or gbit")]
    Rate(String),
    #[error("{0:?} is too much here; faults are separated by commas, and 'to NICK' or 'from NICK' comes last")]
    Extra(String),
    #[error("{0:?} is no nick; say whom: 'to bo' or 'from bo'")]
    Nick(String),
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let text = text.trim();
        if text == "off" {
            return Ok(Self::Off);
        }
        let (faults, from, to) = split_ends(text)?;
        if let Some(kinds) = faults.strip_prefix("off").filter(|rest| rest.starts_with(char::is_whitespace)) {
            let kinds = kinds.split(',').map(|kind| parse_kind(kind.trim())).collect::<Result<Vec<_>, _>>()?;
            return Ok(Self::Remove { kinds, from, to });
        }
        let faults = faults.split(',').map(parse_fault).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::Add(faults.into_iter().map(|fault| Rule { from: from.clone(), to: to.clone(), fault }).collect()))
    }
}

/// Takes `to NICK` and `from NICK` off the end, in either order. Whoever is called "to" or "from" stands behind one of these
/// words: what ends with one of them otherwise lacks a nick.
fn split_ends(text: &str) -> Result<(&str, Ends, Ends), SpecError> {
    let (mut rest, mut from, mut to) = (text, Ends::Any, Ends::Any);
    loop {
        let Some((head, word)) = split_last_word(rest) else { return Ok((rest, from, to)) };
        let (before, preposition) = split_last_word(head).unwrap_or_default();
        let ends = match preposition {
            "to" => &mut to,
            "from" => &mut from,
            _ if word == "to" || word == "from" => return Err(SpecError::Nick(String::new())),
            _ => return Ok((rest, from, to)),
        };
        if *ends != Ends::Any {
            return Err(SpecError::Extra(format!("{preposition} {word}")));
        }
        *ends = parse_ends(word)?;
        rest = before;
    }
}

fn split_last_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_end();
    let at = text.rfind(char::is_whitespace)?;
    let (head, word) = text.split_at(at);
    Some((head.trim_end(), word.trim_start()))
}

fn parse_ends(word: &str) -> Result<Ends, SpecError> {
    if let Ok(member) = word.parse::<MemberId>() {
        return Ok(Ends::Member(member));
    }
    // A nick that two people use is told apart by the beginning of an id: bo~7f3a.
    let (nick, id) = word.split_once('~').unwrap_or((word, "a"));
    let is_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric());
    if text::check_nick(nick).is_err() || !is_id {
        return Err(SpecError::Nick(word.to_owned()));
    }
    Ok(Ends::Nick(word.to_owned()))
}

fn parse_fault(text: &str) -> Result<Fault, SpecError> {
    let text = text.trim();
    let (kind, value) = match text.find(|c: char| c == '=' || c.is_whitespace()) {
        Some(at) => (&text[..at], text[at..].trim_start().trim_start_matches('=').trim_start()),
        None => (text, ""),
    };
    if let Some((_, extra)) = value.split_once(char::is_whitespace) {
        return Err(SpecError::Extra(extra.trim_start().to_owned()));
    }
    let kind = parse_kind(kind)?;
    if value.is_empty() {
        return without_value(kind);
    }
    match kind {
        Kind::Cut => Err(SpecError::Extra(value.to_owned())),
        Kind::Loss => parse_share(value).map(Fault::Loss),
        Kind::Burst => parse_burst(value).map(Fault::Burst),
        Kind::Delay => parse_delay(value),
        Kind::Reorder => {
            let (share, by) = split_span(value, REORDER_BY)?;
            Ok(Fault::Reorder { share: parse_share(share)?, by })
        }
        Kind::Duplicate => {
            let (share, within) = split_span(value, Duration::ZERO)?;
            Ok(Fault::Duplicate { share: parse_share(share)?, within })
        }
        Kind::Corrupt => parse_share(value).map(Fault::Corrupt),
        Kind::Truncate => parse_share(value).map(Fault::Truncate),
        Kind::Rate => {
            let (rate, queue) = split_span(value, RATE_QUEUE)?;
            Ok(Fault::Rate(Rate { bits_per_s: parse_bits(rate)?, queue }))
        }
    }
}

fn parse_kind(word: &str) -> Result<Kind, SpecError> {
    match word {
        "" => Err(SpecError::Empty),
        "drop" => Ok(Kind::Loss),
        _ => Kind::ALL.into_iter().find(|kind| kind.name() == word).ok_or_else(|| SpecError::Kind(word.to_owned())),
    }
}

fn without_value(kind: Kind) -> Result<Fault, SpecError> {
    let (needed, example) = match kind {
        Kind::Cut => return Ok(Fault::Cut),
        Kind::Loss | Kind::Corrupt | Kind::Truncate => ("a share", "20%"),
        Kind::Burst => ("a share, and how many datagrams a burst takes on average", "5%/20"),
        Kind::Delay => ("a time", "200ms, or 200ms±50ms"),
        Kind::Reorder => ("a share", "10%, or 10%/50ms"),
        Kind::Duplicate => ("a share", "5%, or 5%/2s"),
        Kind::Rate => ("bits a second", "512kbit, or 512kbit/200ms"),
    };
    Err(SpecError::Missing { kind: kind.name(), needed, example })
}

fn parse_share(value: &str) -> Result<Share, SpecError> {
    ppm_of(value).and_then(Share::from_ppm).ok_or_else(|| SpecError::Share(value.to_owned()))
}

/// `12.5%` as 125,000 parts per million.
fn ppm_of(value: &str) -> Option<u32> {
    let number = value.strip_suffix('%')?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |part: &str, len_max: usize| {
        (1..=len_max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(whole, 3) || !is_number(decimals, DECIMALS) {
        return None;
    }
    format!("{whole}{decimals:0<DECIMALS$}").parse().ok()
}

/// A hundredth of a part per million cannot be said.
pub(super) const DECIMALS: usize = 4;

/// `5%/20`: in bursts that take 20 datagrams on average; `5%/20@80%`: and lose 80 % of them.
fn parse_burst(value: &str) -> Result<Burst, SpecError> {
    let (share, rest) = value.split_once('/').unwrap_or((value, ""));
    let (length, loss) = rest.split_once('@').unwrap_or((rest, "100%"));
    let (share, loss) = (parse_share(share)?, parse_share(loss)?);
    let length = length
        .parse()
        .ok()
        .filter(|number| (2..=FAULT_BURST_DATAGRAMS_MAX).contains(number))
        .ok_or_else(|| SpecError::BurstLength(length.to_owned()))?;
    if share > Burst::share_max(length) {
        return Err(SpecError::BurstShare { length });
    }
    Ok(Burst { share, length, loss })
}

fn parse_delay(value: &str) -> Result<Fault, SpecError> {
    let (by, jitter) = value.split_once('±').or_else(|| value.split_once("+-")).unwrap_or((value, "0s"));
    let (by, jitter) = (parse_span(by)?, parse_span(jitter)?);
    if jitter > by {
        return Err(SpecError::Jitter(value.to_owned()));
    }
    Ok(Fault::Delay { by, jitter })
}

/// `512kbit`, in bits a second.
fn parse_bits(value: &str) -> Result<u64, SpecError> {
    let bits = print::BIT_UNITS.into_iter().find_map(|(unit, bits)| {
        let number = value.strip_suffix(unit).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
        number.parse::<u64>().ok()?.checked_mul(bits)
    });
    bits.filter(|bits| (FAULT_RATE_BITS_MIN..=FAULT_RATE_BITS_MAX).contains(bits))
        .ok_or_else(|| SpecError::Rate(value.to_owned()))
}

/// What stands before the `/`, and the time after it.
fn split_span(value: &str, without: Duration) -> Result<(&str, Duration), SpecError> {
    match value.split_once('/') {
        Some((before, span)) => Ok((before, parse_span(span)?)),
        None => Ok((value, without)),
    }
}

fn parse_span(value: &str) -> Result<Duration, SpecError> {
    let span = humantime::parse_duration(value).map_err(|_| SpecError::Span(value.to_owned()))?;
    if span > FAULT_DELAY_MAX {
        return Err(SpecError::TooLong(span));
    }
    Ok(span)
}

/// By how much a datagram is held back where nothing is said: a few others of a busy link overtake it.
const REORDER_BY: Duration = Duration::from_millis(50);
/// How long a queue is where nothing is said: what a home router's is like.
const RATE_QUEUE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the rules of a spec print, or the error.
    fn shown(spec: &str) -> Vec<String> {
        match spec.parse() {
            Ok(Spec::Add(rules)) => rules.iter().map(ToString::to_string).collect(),
            Ok(Spec::Remove { kinds, from, to }) => vec![format!("off {kinds:?} from {from:?} to {to:?}")],
            Ok(Spec::Off) => vec!["off".into()],
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn specs_read_as_people_type_them() {
        assert_eq!(shown("delay=200ms±50ms,loss=5%"), ["delay=200ms±50ms", "loss=5%"]);
        assert_eq!(shown("drop 20% to bo"), ["loss=20% to bo"]);
        assert_eq!(shown("  drop   12.5%  "), ["loss=12.5%"]);
        assert_eq!(shown("delay 1s500ms+-250us to bo"), ["delay=1s500ms±250us to bo"]);
        assert_eq!(
            shown("delay = 1s , duplicate = 0.0001% from bo"),
            ["delay=1s from bo", "duplicate=0.0001% from bo"]
        );
        assert_eq!(shown("cut from bo"), ["cut from bo"]);
        assert_eq!(shown("cut to cy from bo"), ["cut from bo to cy"]);
        for named_like_a_word in ["cut from to", "cut to from", "cut to to", "cut from from to to", "cut from to to bo"]
        {
            assert_eq!(shown(named_like_a_word), [named_like_a_word]);
        }
        assert_eq!(shown("off"), ["off"]);
        assert_eq!(shown("off cut"), ["off [Cut] from Any to Any"]);
        assert_eq!(shown("off drop, delay to bo"), [r#"off [Loss, Delay] from Any to Nick("bo")"#]);
        assert_eq!(shown("burst 5%/20, burst=5%/20@80%"), ["burst=5%/20", "burst=5%/20@80%"]);
        assert_eq!(shown("reorder=10%,reorder=10%/1s"), ["reorder=10%/50ms", "reorder=10%/1s"]);
        assert_eq!(shown("duplicate=5%,duplicate 5%/2s"), ["duplicate=5%", "duplicate=5%/2s"]);
        assert_eq!(shown("corrupt 1% , truncate=0.5%"), ["corrupt=1%", "truncate=0.5%"]);
        assert_eq!(shown("rate=512kbit,rate 1500kbit/1s"), ["rate=512kbit/200ms", "rate=1500kbit/1s"]);
        assert_eq!(shown("rate=2000kbit/0s"), ["rate=2mbit/0s"]);
        let id = MemberId([5; 32]);
        assert_eq!(shown(&format!("cut to {id}")), [format!("cut to {id}")]);
    }

    #[test]
    fn a_wrong_spec_is_told_in_one_line() {
        for (spec, told) in [
            ("", "a fault is missing; try 'drop 20% to bo', 'delay=200ms±50ms,loss=5%', 'cut from bo' or 'off'"),
            (
                "lose 5%",
                r#""lose" is no fault; there are cut, drop (or loss), burst, delay, reorder, duplicate, corrupt, truncate, rate and off"#,
            ),
            (
                "off lose",
                r#""lose" is no fault; there are cut, drop (or loss), burst, delay, reorder, duplicate, corrupt, truncate, rate and off"#,
            ),
            ("off ,", "a fault is missing; try 'drop 20% to bo', 'delay=200ms±50ms,loss=5%', 'cut from bo' or 'off'"),
            ("drop", "loss needs a share: loss 20%"),
            ("burst", "burst needs a share, and how many datagrams a burst takes on average: burst 5%/20"),
            ("burst=5%", r#""" is no length of a burst; it is 2 to 100 datagrams on average"#),
            ("burst=5%/1", r#""1" is no length of a burst; it is 2 to 100 datagrams on average"#),
            ("burst=80%/3", "bursts of 3 cover 75% at most, with one datagram between each two"),
            ("burst=5%/20@80", r#""80" is no share; it is 0% to 100%, with at most four decimals"#),
            ("rate", "rate needs bits a second: rate 512kbit, or 512kbit/200ms"),
            ("rate=512", r#""512" is no rate; it is 1kbit to 10gbit a second, in kbit, mbit or gbit"#),
            ("rate=999bit", r#""999bit" is no rate; it is 1kbit to 10gbit a second, in kbit, mbit or gbit"#),
            ("rate=11gbit", r#""11gbit" is no rate; it is 1kbit to 10gbit a second, in kbit, mbit or gbit"#),
            ("reorder=5%/soon", r#""soon" is no time; it is written as 200ms or 1s500ms"#),
            ("drop 20", r#""20" is no share; it is 0% to 100%, with at most four decimals"#),
            ("loss=101%", r#""101%" is no share; it is 0% to 100%, with at most four decimals"#),
            ("loss=-1%", r#""-1%" is no share; it is 0% to 100%, with at most four decimals"#),
            (
                "loss=5 %",
                r#""%" is too much here; faults are separated by commas, and 'to NICK' or 'from NICK' comes last"#,
            ),
            ("delay", "delay needs a time: delay 200ms, or 200ms±50ms"),
            ("delay=200", r#""200" is no time; it is written as 200ms or 1s500ms"#),
            ("delay=1s±2s", r#""1s±2s" varies by more than it delays"#),
            ("delay=2h", "2h is too long; 1m is the limit"),
            (
                "cut 5%",
                r#""5%" is too much here; faults are separated by commas, and 'to NICK' or 'from NICK' comes last"#,
            ),
            ("cut to", r#""" is no nick; say whom: 'to bo' or 'from bo'"#),
            ("cut to 7", r#""7" is no nick; say whom: 'to bo' or 'from bo'"#),
            (
                "cut to bo to cy",
                r#""to bo" is too much here; faults are separated by commas, and 'to NICK' or 'from NICK' comes last"#,
            ),
            (
                "loss=5%,,cut",
                "a fault is missing; try 'drop 20% to bo', 'delay=200ms±50ms,loss=5%', 'cut from bo' or 'off'",
            ),
        ] {
            assert_eq!(shown(spec), [told], "{spec}");
        }
    }

    fn shares() -> impl Strategy<Value = Share> {
        (0u32..=1_000_000).prop_map(|ppm| Share::from_ppm(ppm).unwrap())
    }

    fn spans() -> impl Strategy<Value = Duration> {
        (0u64..=60_000_000).prop_map(Duration::from_micros)
    }

    fn bursts() -> impl Strategy<Value = Burst> {
        (2..=FAULT_BURST_DATAGRAMS_MAX, shares(), shares()).prop_map(|(length, share, loss)| {
            let share = share.min(Burst::share_max(length));
            Burst { share, length, loss }
        })
    }

    fn faults() -> impl Strategy<Value = Fault> {
        prop_oneof![
            Just(Fault::Cut),
            shares().prop_map(Fault::Loss),
            bursts().prop_map(Fault::Burst),
            (spans(), 0u32..=1_000).prop_map(|(by, part)| Fault::Delay { by, jitter: micros_of(by * part / 1_000) }),
            (shares(), spans()).prop_map(|(share, by)| Fault::Reorder { share, by }),
            (shares(), spans()).prop_map(|(share, within)| Fault::Duplicate { share, within }),
            shares().prop_map(Fault::Corrupt),
            shares().prop_map(Fault::Truncate),
            (FAULT_RATE_BITS_MIN..=FAULT_RATE_BITS_MAX, spans())
                .prop_map(|(bits_per_s, queue)| Fault::Rate(Rate { bits_per_s, queue })),
        ]
    }

    fn micros_of(span: Duration) -> Duration {
        Duration::from_micros(u64::try_from(span.as_micros()).unwrap())
    }

    fn ends() -> impl Strategy<Value = Ends> {
        let nick = "[a-z]{1,8}(~[a-z0-9]{4})?".prop_map(Ends::Nick);
        prop_oneof![Just(Ends::Any), any::<[u8; 32]>().prop_map(|id| Ends::Member(MemberId(id))), nick]
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(from in ends(), to in ends(), fault in faults()) {
            let rule = Rule { from, to, fault };
            prop_assert_eq!(rule.to_string().parse(), Ok(Spec::Add(vec![rule])));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9%=±+/@ ,.-]{0,40}|\\PC{0,20}") {
            let _ = text.parse::<Spec>();
        }
    }
}
