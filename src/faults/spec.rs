//! Fault specs as people type them: `delay=200ms±50ms,loss=5%`, `drop 20% to bo`, `cut from bo`, `off`. Owns
//! the grammar both ways: what is printed reads back as the same.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::rule::{Ends, Fault, Rule, Share};
use crate::base::limits::FAULT_DELAY_MAX;
use crate::base::{MemberId, text};

/// What a spec asks for. Faults are separated by commas, each `KIND VALUE` or `KIND=VALUE`; `to NICK` and
/// `from NICK` at the end hold for all of them. A member's whole id serves in place of its nick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spec {
    /// Puts these rules on, beside those that are.
    Add(Vec<Rule>),
    /// Takes all off.
    Off,
}

/// Why a spec does not read; the sentence is for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error("a fault is missing; try 'drop 20% to bo', 'delay=200ms±50ms,loss=5%', 'cut from bo' or 'off'")]
    Empty,
    #[error("{0:?} is no fault; there are drop (or loss), delay, duplicate, cut and off")]
    Kind(String),
    #[error("{0} needs a share: {0} 20%")]
    ShareMissing(&'static str),
    #[error("{0:?} is no share; it is 0% to 100%, with at most four decimals")]
    Share(String),
    #[error("delay needs a time: delay 200ms, or delay 200ms±50ms")]
    DelayMissing,
    #[error("{0:?} is no delay; it is a time as 200ms or 1s500ms, and after ± how far it varies")]
    Delay(String),
    #[error("{0:?} varies by more than it delays")]
    Jitter(String),
    #[error("a delay of {} is too long; {} is the limit", compact(*.0), compact(FAULT_DELAY_MAX))]
    DelayTooLong(Duration),
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
        let faults = faults.split(',').map(parse_fault).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::Add(faults.into_iter().map(|fault| Rule { from: from.clone(), to: to.clone(), fault }).collect()))
    }
}

/// Takes `to NICK` and `from NICK` off the end, in either order.
fn split_ends(text: &str) -> Result<(&str, Ends, Ends), SpecError> {
    let (mut rest, mut from, mut to) = (text, Ends::Any, Ends::Any);
    loop {
        let Some((head, word)) = split_last_word(rest) else { return Ok((rest, from, to)) };
        if word == "to" || word == "from" {
            return Err(SpecError::Nick(String::new()));
        }
        let Some((before, preposition)) = split_last_word(head) else { return Ok((rest, from, to)) };
        let ends = match preposition {
            "to" => &mut to,
            "from" => &mut from,
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
    Ok(Ends::Named { nick: word.to_owned(), member: None })
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
    match kind {
        "" => Err(SpecError::Empty),
        "drop" => parse_share("drop", value).map(Fault::Loss),
        "loss" => parse_share("loss", value).map(Fault::Loss),
        "duplicate" => parse_share("duplicate", value).map(Fault::Duplicate),
        "delay" => parse_delay(value),
        "cut" if value.is_empty() => Ok(Fault::Cut),
        "cut" => Err(SpecError::Extra(value.to_owned())),
        _ => Err(SpecError::Kind(kind.to_owned())),
    }
}

fn parse_share(kind: &'static str, value: &str) -> Result<Share, SpecError> {
    if value.is_empty() {
        return Err(SpecError::ShareMissing(kind));
    }
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
const DECIMALS: usize = 4;

fn parse_delay(value: &str) -> Result<Fault, SpecError> {
    if value.is_empty() {
        return Err(SpecError::DelayMissing);
    }
    let (by, jitter) = value.split_once('±').or_else(|| value.split_once("+-")).unwrap_or((value, "0s"));
    let span = |part: &str| humantime::parse_duration(part).map_err(|_| SpecError::Delay(value.to_owned()));
    let (by, jitter) = (span(by)?, span(jitter)?);
    if by > FAULT_DELAY_MAX {
        return Err(SpecError::DelayTooLong(by));
    }
    if jitter > by {
        return Err(SpecError::Jitter(value.to_owned()));
    }
    Ok(Fault::Delay { by, jitter })
}

/// A duration as humantime writes it, in one word.
fn compact(span: Duration) -> String {
    humantime::format_duration(span).to_string().replace(' ', "")
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault)?;
        for (preposition, ends) in [("from", &self.from), ("to", &self.to)] {
            match ends {
                Ends::Any => {}
                Ends::Member(member) => write!(f, " {preposition} {member}")?,
                Ends::Named { nick, .. } => write!(f, " {preposition} {nick}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Cut => f.write_str("cut"),
            Self::Loss(share) => write!(f, "loss={share}"),
            Self::Duplicate(share) => write!(f, "duplicate={share}"),
            Self::Delay { by, jitter } if jitter.is_zero() => write!(f, "delay={}", compact(by)),
            Self::Delay { by, jitter } => write!(f, "delay={}±{}", compact(by), compact(jitter)),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.ppm() / 10_000, self.ppm() % 10_000);
        if decimals == 0 {
            return write!(f, "{whole}%");
        }
        let decimals = format!("{decimals:0>DECIMALS$}");
        write!(f, "{whole}.{}%", decimals.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the rules of a spec print, or the error.
    fn shown(spec: &str) -> Vec<String> {
        match spec.parse() {
            Ok(Spec::Add(rules)) => rules.iter().map(ToString::to_string).collect(),
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
        assert_eq!(shown("off"), ["off"]);
        let id = MemberId([5; 32]);
        assert_eq!(shown(&format!("cut to {id}")), [format!("cut to {id}")]);
    }

    #[test]
    fn a_wrong_spec_is_told_in_one_line() {
        for (spec, told) in [
            ("", "a fault is missing; try 'drop 20% to bo', 'delay=200ms±50ms,loss=5%', 'cut from bo' or 'off'"),
            ("lose 5%", r#""lose" is no fault; there are drop (or loss), delay, duplicate, cut and off"#),
            ("drop", "drop needs a share: drop 20%"),
            ("drop 20", r#""20" is no share; it is 0% to 100%, with at most four decimals"#),
            ("loss=101%", r#""101%" is no share; it is 0% to 100%, with at most four decimals"#),
            ("loss=-1%", r#""-1%" is no share; it is 0% to 100%, with at most four decimals"#),
            (
                "loss=5 %",
                r#""%" is too much here; faults are separated by commas, and 'to NICK' or 'from NICK' comes last"#,
            ),
            ("delay", "delay needs a time: delay 200ms, or delay 200ms±50ms"),
            ("delay=200", r#""200" is no delay; it is a time as 200ms or 1s500ms, and after ± how far it varies"#),
            ("delay=1s±2s", r#""1s±2s" varies by more than it delays"#),
            ("delay=2h", "a delay of 2h is too long; 1m is the limit"),
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

    proptest! {
        #[test]
        fn what_is_printed_reads_back(ppm in 0u32..=1_000_000, by_us in 0u64..60_000_000, part in 0u64..=1_000) {
            let share = Share::from_ppm(ppm).unwrap();
            let jitter = Duration::from_micros(by_us * part / 1_000);
            for fault in [Fault::Loss(share), Fault::Duplicate(share), Fault::Delay { by: Duration::from_micros(by_us), jitter }] {
                let rule = Rule { from: Ends::Any, to: Ends::Member(MemberId([9; 32])), fault };
                prop_assert_eq!(rule.to_string().parse(), Ok(Spec::Add(vec![rule])));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9%=±+ ,.-]{0,40}|\\PC{0,20}") {
            let _ = text.parse::<Spec>();
        }
    }
}
