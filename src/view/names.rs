//! Who is who on the screen: "you", a nick, or a nick and the beginning of the id where two members share
//! it, or two that look the same. Owns how a name is written; the node reads it back.

use std::collections::{BTreeMap, BTreeSet};

use unicode_security::confusable_detection::skeleton;

use crate::base::{MemberId, text};

/// The nicks of the members known so far, and which member is oneself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    me: Option<MemberId>,
    nicks: BTreeMap<MemberId, String>,
    /// How many of them look like this, by [`looks`].
    alike: BTreeMap<String, usize>,
}

/// Between a nick and the beginning of an id; no nick contains it, and the node takes it in either form.
const MARK: char = '~';

/// What one is called oneself.
pub(super) const YOU: &str = "you";

impl Names {
    #[must_use]
    pub fn new(me: MemberId) -> Self {
        Self { me: Some(me), ..Self::default() }
    }

    /// Notes that `id` is called `nick` now.
    pub fn learn(&mut self, id: MemberId, nick: &str) {
        if self.nicks.get(&id).is_some_and(|known| known == nick) {
            return;
        }
        let before = self.nicks.insert(id, nick.into());
        if let Some(alike) = before.and_then(|before| self.alike.get_mut(&looks(&before))) {
            *alike -= 1;
        }
        *self.alike.entry(looks(nick)).or_default() += 1;
    }

    /// Notes that oneself is called `nick` now.
    pub fn learn_own(&mut self, nick: &str) {
        if let Some(me) = self.me {
            self.learn(me, nick);
        }
    }

    /// Oneself; `None` where what is shown is nobody's own view.
    #[must_use]
    pub fn me(&self) -> Option<MemberId> {
        self.me
    }

    #[must_use]
    pub fn is_me(&self, id: MemberId) -> bool {
        self.me == Some(id)
    }

    /// The nick of `id`, marked where another member's looks the same or it reads "you"; the id's beginning where none is
    /// known.
    #[must_use]
    pub fn name(&self, id: MemberId) -> String {
        self.nicks.get(&id).map_or_else(|| id.short(), |nick| self.marked(id, nick))
    }

    /// As [`Self::name`], for a member whose nick came along with what is shown.
    #[must_use]
    pub fn named(&self, id: MemberId, nick: &str) -> String {
        let nick = if nick.is_empty() { self.nicks.get(&id).map_or("", String::as_str) } else { nick };
        if nick.is_empty() { id.short() } else { self.marked(id, nick) }
    }

    /// As [`Self::named`], but "you" for oneself.
    #[must_use]
    pub fn named_or_you(&self, id: MemberId, nick: &str) -> String {
        if self.is_me(id) { YOU.into() } else { self.named(id, nick) }
    }

    /// The nick of `id` as it is known, without a mark.
    #[must_use]
    pub fn nick(&self, id: MemberId) -> Option<&str> {
        self.nicks.get(&id).map(String::as_str)
    }

    /// What others see of one's own name, where another member is called the same.
    #[must_use]
    pub fn own_marked(&self) -> Option<String> {
        let me = self.me?;
        let nick = self.nicks.get(&me)?;
        Some(self.marked(me, nick)).filter(|marked| marked.contains(MARK))
    }

    /// The nick that `typed` means when its case is ignored, where nobody is called just that; else `typed`, which may
    /// mean something else; the same of whose message `NICK#12` is. A pair of brackets around it is left out.
    ///
    /// # Errors
    /// A sentence that names them, where there are several such nicks.
    pub fn ignoring_case(&self, typed: &str) -> Result<String, String> {
        let typed = text::unbracketed(typed);
        if let Some((author, number)) = typed.split_once('#') {
            return Ok(format!("{}#{number}", self.ignoring_case(author)?));
        }
        if self.nicks.values().any(|nick| nick == typed) {
            return Ok(typed.to_owned());
        }
        if let Some((nick, beginning)) = typed.rsplit_once(MARK) {
            return Ok(format!("{}{MARK}{}", self.ignoring_case(nick)?, beginning.to_lowercase()));
        }
        let lower = typed.to_lowercase();
        let meant: BTreeSet<&String> = self.nicks.values().filter(|nick| nick.to_lowercase() == lower).collect();
        match Vec::from_iter(meant)[..] {
            [] => Ok(typed.to_owned()),
            [one] => Ok(one.clone()),
            [ref first @ .., last] => {
                let first: Vec<String> = first.iter().map(|nick| text::sanitize(nick)).collect();
                let (first, last, typed) = (first.join(", "), text::sanitize(last), text::sanitize(typed));
                Err(format!("{typed} may be any of {first} and {last}; write it as the one that you mean"))
            }
        }
    }

    /// What each member but oneself is called.
    pub fn others(&self) -> impl Iterator<Item = String> {
        self.nicks.keys().filter(|id| !self.is_me(**id)).map(|&id| self.name(id))
    }

    fn marked(&self, id: MemberId, nick: &str) -> String {
        let looks = looks(nick);
        let itself = usize::from(self.nicks.get(&id).is_some_and(|known| self::looks(known) == looks));
        let shared = looks == YOU || self.alike.get(&looks).is_some_and(|&alike| alike > itself);
        let nick = text::sanitize(nick);
        if shared { format!("{nick}{MARK}{}", id.short()) } else { nick }
    }
}

/// What a nick looks like to somebody who reads in a hurry: two that look the same, whatever their case and script, give
/// the same (the skeleton of Unicode UTS #39).
fn looks(nick: &str) -> String {
    skeleton(&nick.to_lowercase()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::view) fn id(byte: u8) -> MemberId {
        MemberId([byte; 32])
    }

    /// You are ana; bo, cy and dee are there.
    pub(in crate::view) fn four() -> Names {
        let mut names = Names::new(id(1));
        for (byte, nick) in [(1, "ana"), (2, "bo"), (3, "cy"), (4, "dee")] {
            names.learn(id(byte), nick);
        }
        names
    }

    #[test]
    fn a_nick_that_two_use_shows_the_beginning_of_the_id() {
        let mut names = four();
        assert_eq!(names.name(id(2)), "bo");
        names.learn(id(9), "bo");
        assert_eq!(names.name(id(2)), format!("bo~{}", id(2).short()));
        assert_eq!(names.name(id(9)), format!("bo~{}", id(9).short()));
    }

    #[test]
    fn a_nick_that_looks_like_another_or_like_oneself_is_marked() {
        let mut names = four();
        // A capital, Cyrillic letters, and what a node calls its own person.
        for (byte, nick) in [(7, "Cy"), (8, "\u{0435}ve"), (9, "eve"), (10, "you")] {
            names.learn(id(byte), nick);
        }
        for (byte, nick) in [(3, "cy"), (7, "Cy"), (8, "\u{0435}ve"), (9, "eve"), (10, "you")] {
            assert_eq!(names.name(id(byte)), format!("{nick}~{}", id(byte).short()));
        }
        names.learn(id(7), "gus");
        assert_eq!((names.name(id(3)), names.name(id(7))), ("cy".into(), "gus".into()));
    }

    #[test]
    fn one_is_you_and_a_stranger_is_the_beginning_of_an_id() {
        let names = four();
        assert_eq!(names.named_or_you(id(1), "ana"), "you");
        assert_eq!(names.name(id(7)), id(7).short());
        assert_eq!(names.others().collect::<Vec<_>>(), ["bo", "cy", "dee"]);
    }

    #[test]
    fn brackets_are_left_out_and_case_is_ignored_only_where_one_member_can_be_meant() {
        let mut names = four();
        let meant = |names: &Names, typed: &str| names.ignoring_case(typed);
        for (typed, nick) in [
            ("BO", "bo"),
            ("BO#4", "bo#4"),
            ("bo", "bo"),
            ("zoe", "zoe"),
            ("[k7f3]", "k7f3"),
            ("[BO]", "bo"),
            ("[[bo]]", "[bo]"),
            ("[bo", "[bo"),
            ("BO~K7F3", "bo~k7f3"),
        ] {
            assert_eq!(meant(&names, typed), Ok(nick.into()));
        }
        names.learn(id(9), "Bo");
        assert_eq!(meant(&names, "BO").unwrap_err(), "BO may be any of Bo and bo; write it as the one that you mean");
        assert_eq!(meant(&names, "Bo"), Ok("Bo".into()));
    }

    #[test]
    fn one_is_told_how_others_tell_one_from_a_namesake() {
        let mut names = four();
        assert_eq!(names.own_marked(), None);
        names.learn(id(9), "ana");
        assert_eq!(names.own_marked(), Some(format!("ana~{}", id(1).short())));
    }

    #[test]
    fn a_nick_cannot_carry_an_escape() {
        let mut names = four();
        names.learn(id(5), "e\u{1b}[2Je");
        assert_eq!(names.name(id(5)), "e[2Je");
    }
}
