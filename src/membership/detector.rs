//! One link's silence: when it begins, how many probes test it, when it is worth a report. Owns the timing of
//! the detector; knows neither other members' reports nor verdicts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ear::{Beats, Ear};
use super::probes::{Loss, PROBES_ALONE_MAX};
use super::verdict::OwnVoice;
use crate::base::{AtRest, MemberId, Path, PerMille, Time, Wall};

/// One heartbeat is due each second; silence begins after it and what the path has shown of jitter.
const HEARTBEAT_PERIOD: Duration = Duration::from_secs(1);
const JITTER_MIN: Duration = Duration::from_millis(250);
/// A path that shook harder than this measured a process that stood still; silence must not wait for that.
const JITTER_MAX: Duration = Duration::from_secs(1);
const PROBE_SPACING_MIN: Duration = Duration::from_millis(250);
const PROBE_SPACING_MAX: Duration = Duration::from_secs(1);
/// Added to the last probe's time, so that a second heartbeat must be missing too.
const SECOND_HEARTBEAT: Duration = Duration::from_millis(100);
/// A member without a session is given a handshake with a retry or two before it counts as silent (a guess).
pub const UNLINKED_SILENCE: Duration = Duration::from_secs(3);
/// How far a claimed tick may run ahead of what was heard and the time since: 25 %, and these (a guess that
/// allows for any clock). Words further apart than these are not both true.
pub const TICK_SLACK: u64 = 8;
/// How long the word of others that they hear a member keeps this node from reporting it. Then they are asked
/// again, twice since a session may have to be opened for it, and no answer in each time takes their word back:
/// whoever heard it may watch it no more.
const WORD_LIFE: Duration = Duration::from_secs(8);
const WORD_ANSWER: Duration = Duration::from_secs(1);
const WORD_ASKED_MAX: u32 = 2;
/// After this nobody stands by a word that was not given anew.
const WORD_KEPT: Duration = WORD_LIFE.saturating_add(WORD_ANSWER.saturating_mul(WORD_ASKED_MAX));

/// A report names the newest tick that its author knows. Of one that it knows by the word of others only, nobody can know a newer
/// one before the next heartbeat, so that a report would stand against a member that is heard. That heartbeat is with those who
/// hear it within a second of the word, which came after the last one and took one way more.
const NEXT_TICK: Duration = Duration::from_secs(1);

/// Members whose word is remembered for one that is silent here.
const CONTRADICTORS_MAX: usize = 8;

/// What this node observes of a member itself.
#[derive(Clone, Debug)]
pub struct Link {
    /// A session with the member's current run is open.
    open: bool,
    /// Its silence counts: it is watched, or this node looks whether it is there at all.
    pub watched: bool,
    pub doubted: bool,
    pub path: Path,
    /// The last authentic datagram of the member's current run.
    pub heard: Option<(Time, Wall)>,
    /// The newest tick heard on this link, and when it was; zero before the first.
    pub tick: u64,
    ticked: Time,
    /// When it was last heard before its newest silence, until a heartbeat ended that.
    pub silent_from: Option<Time>,
    /// From where silence is counted: the last sign of life, pushed out by stalls of our own.
    pub quiet_since: Time,
    /// Something came since then: silence was not counted anew for another reason.
    is_fresh: bool,
    /// Probes due so far in this silence.
    probes: u32,
    /// Set while this node tells the others that it does not hear the member.
    pub reporting: bool,
    /// Whose word keeps this node from reporting a silent member, and when each last gave it: they know a newer tick.
    contradictors: BTreeMap<MemberId, Time>,
    word_until: Time,
    /// How often they were asked for it again.
    word_asked: u32,
    /// When those who hear the member know more than the tick that others last told of.
    next_tick_at: Time,
    /// Others who watch the member are asked about it before its silence counts: this node does not watch it.
    asks_first: bool,
    /// What came lately of its heartbeats.
    pub beats: Beats,
    /// When a heartbeat of its own accord came: who sends them watches this node.
    pub beaten: Option<Time>,
    /// When to ask a member that is heard, but not held present, for its tick.
    pub ask_at: Option<Time>,
}

/// What a look at a link found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// Heard lately, or not silent for long enough to say anything.
    Quiet,
    /// Silent: send one probe.
    Probe,
    /// Silent, nothing to do yet.
    Silent,
    /// Silent for as long as it takes: worth a report.
    Lost { probes: u32 },
    /// Silent, and others said that they hear it: ask whether they still do.
    Ask,
}

/// That of a member with which nobody has to do.
static AT_REST: Link = Link::new(Time::ZERO);

impl AtRest for Link {
    fn at_rest() -> &'static Self {
        &AT_REST
    }
}

impl Link {
    #[must_use]
    pub const fn new(now: Time) -> Self {
        Self {
            open: false,
            watched: false,
            doubted: false,
            path: Path::new(),
            heard: None,
            tick: 0,
            ticked: now,
            silent_from: None,
            quiet_since: now,
            is_fresh: false,
            probes: 0,
            reporting: false,
            contradictors: BTreeMap::new(),
            word_until: now,
            word_asked: 0,
            next_tick_at: now,
            asks_first: false,
            beats: Beats::new(),
            beaten: None,
            ask_at: None,
        }
    }

    /// Whether it was never open in this run, and nobody asks for it.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        !(self.open || self.watched || self.doubted || self.reporting)
            && self.heard.is_none()
            && self.tick == 0
            && self.contradictors.is_empty()
            && self.ask_at.is_none()
    }

    pub fn open(&mut self) {
        self.open = true;
    }

    /// The session is gone. One that was not silent is counted anew, since a handshake takes its time.
    pub fn close(&mut self, now: Time) {
        let silent = self.is_silent(now);
        if self.open && !silent {
            self.restart(now);
        }
        self.open = false;
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// A datagram came that was sent at `said` at the earliest.
    pub fn hear(&mut self, now: Time, said: (Time, Wall)) {
        if self.is_silent(now) || !self.is_fresh {
            self.silent_from = self.heard.map(|(at, _)| at);
        }
        self.heard = Some(said);
        self.restart(now);
        self.is_fresh = true;
        self.contradictors.clear();
        self.word_asked = 0;
    }

    /// A tick came in a heartbeat of the member itself; says whether it is newer than any before it.
    pub fn hear_tick(&mut self, now: Time, tick: u64) -> bool {
        let newer = tick > self.tick;
        if newer {
            self.tick = tick;
            self.ticked = now;
        }
        newer
    }

    /// Counts silence from `now` on. Who was silent already is not heard for that.
    pub fn restart(&mut self, now: Time) {
        self.is_fresh = self.is_live(now);
        self.quiet_since = now;
        self.probes = 0;
    }

    /// Pushes every deadline out by a stall of our own.
    pub fn excuse(&mut self, now: Time, stall: Duration) {
        self.quiet_since = now.min(self.quiet_since + stall);
    }

    /// Whether its silence is looked at.
    #[must_use]
    pub fn is_observed(&self) -> bool {
        self.watched || self.doubted
    }

    /// Observed, and not heard for longer than its path explains.
    #[must_use]
    pub fn is_missed(&self, now: Time) -> bool {
        self.is_observed() && self.is_silent(now)
    }

    /// Takes the word of `by` that it hears the member.
    pub fn trust(&mut self, now: Time, by: MemberId) {
        // The word of one says nothing of what the others know by now.
        self.contradictors.retain(|_, at| now < *at + WORD_KEPT);
        if self.contradictors.len() < CONTRADICTORS_MAX || self.contradictors.contains_key(&by) {
            self.contradictors.insert(by, now);
        }
        self.word_until = now + WORD_LIFE;
        self.word_asked = 0;
    }

    /// The same of one that is there by that word alone: `by` is asked again once the silence is long enough to look at.
    pub fn trust_for_now(&mut self, now: Time, by: MemberId) {
        self.trust(now, by);
        self.word_until = now + self.silence_limit();
    }

    /// Whether the word of others keeps this node from reporting the member.
    #[must_use]
    pub fn is_vouched(&self) -> bool {
        !self.contradictors.is_empty()
    }

    /// Those who stand by their word, and when each last gave it.
    pub fn contradictors(&self, now: Time) -> impl Iterator<Item = (MemberId, Time)> {
        let given = self.contradictors.iter().map(|(&by, &at)| (by, at));
        given.filter(move |&(_, at)| now < at + WORD_KEPT)
    }

    /// Nobody's word counts any more.
    pub fn trust_nobody(&mut self) {
        self.contradictors.clear();
    }

    /// The word of `by` counts no more; says whether that was the last one.
    pub fn lose_word(&mut self, by: MemberId) -> bool {
        self.contradictors.remove(&by).is_some() && self.contradictors.is_empty()
    }

    /// Others say that the member has reached `tick`, which is news.
    pub fn tell(&mut self, now: Time, tick: u64) {
        if tick > self.tick {
            self.next_tick_at = now + NEXT_TICK;
        }
    }

    /// Looks whether a member is there that this node does not watch, which is known by what others say of it.
    pub fn doubt_on_hearsay(&mut self) {
        if self.doubted && !self.asks_first {
            self.asks_first = true;
            self.word_asked = 0;
        }
    }

    /// It is not looked for any more, so nobody's word keeps this node from reporting it.
    pub fn undoubt(&mut self) {
        self.doubted = false;
        self.asks_first = false;
        self.contradictors.clear();
    }

    /// Whether news that somebody hears the member keep this node quiet about it from now on.
    #[must_use]
    pub fn takes_word(&self, now: Time) -> bool {
        (self.is_missed(now) && !self.contradictors.is_empty()) || self.awaits_word()
    }

    /// Whether others were asked about a member that is known by hearsay. What they hear themselves counts then, were its tick no
    /// news: the newest one may be a lie.
    #[must_use]
    pub fn awaits_word(&self) -> bool {
        self.asks_first && self.word_asked > 0
    }

    /// Whether the member sends heartbeats by itself: then it need not be asked for one.
    #[must_use]
    pub fn beats(&self, now: Time) -> bool {
        self.beaten.is_some_and(|at| now.since(at) < self.silence_limit())
    }

    /// Whether a tick of it came as lately as its heartbeats do.
    #[must_use]
    pub fn is_ticking(&self, now: Time) -> bool {
        self.tick > 0 && now.since(self.ticked) < self.silence_limit()
    }

    #[must_use]
    pub fn is_silent(&self, now: Time) -> bool {
        // By the same sum as `next_look`: a limit may have parts of a microsecond, and a time has none.
        now >= self.quiet_since + self.silence_limit()
    }

    /// How long it has been silent beyond what its path explains.
    #[must_use]
    pub fn missed_for(&self, now: Time) -> Duration {
        now.since(self.quiet_since + self.silence_limit())
    }

    /// Heard on an open session within what its path explains.
    #[must_use]
    pub fn is_live(&self, now: Time) -> bool {
        self.is_open() && self.is_fresh && !self.is_silent(now)
    }

    /// Looks at the silence, and counts the probe that it asks for.
    pub fn look(&mut self, now: Time, poor_ear: Option<PerMille>) -> Look {
        if self.asks_at().is_some_and(|at| at <= now) {
            return self.ask(now);
        }
        if !self.is_silent(now) {
            return Look::Quiet;
        }
        let silent_at = self.quiet_since + self.silence_limit();
        let silent = now.since(silent_at);
        // Heartbeats still flow both ways; they find out when the link is back.
        if !self.contradictors.is_empty() {
            if now < self.word_until {
                return Look::Silent;
            }
            if self.word_asked < WORD_ASKED_MAX {
                return self.ask(now);
            }
            self.contradictors.clear();
        }
        if self.is_tested(now, poor_ear) && !self.reporting && !self.may_be_told(now) {
            return Look::Lost { probes: self.probes };
        }
        if !self.is_open() {
            return Look::Silent;
        }
        let spacing = self.probe_spacing();
        let due = 1 + u32::try_from(silent.as_micros() / spacing.as_micros()).unwrap_or(u32::MAX - 1);
        if due > self.probes {
            self.probes = due;
            return Look::Probe;
        }
        Look::Silent
    }

    /// Until when others may still tell, before the silence counts: those who were asked, and those who hear the next tick.
    fn told_by(&self) -> Time {
        let asked = self.asks_first && self.word_asked > 0;
        if asked { self.word_until.max(self.next_tick_at) } else { self.next_tick_at }
    }

    /// Whether others may still tell that they hear the member.
    fn may_be_told(&self, now: Time) -> bool {
        now < self.told_by()
    }

    /// When those who watch the member are to be asked, before its silence counts.
    fn asks_at(&self) -> Option<Time> {
        let is_due = self.asks_first && self.contradictors.is_empty() && self.word_asked < WORD_ASKED_MAX;
        let at = self.quiet_since + WORD_ANSWER * (self.word_asked + 1);
        is_due.then(|| if self.word_asked > 0 { at.max(self.word_until) } else { at })
    }

    fn ask(&mut self, now: Time) -> Look {
        self.word_asked += 1;
        self.word_until = now + WORD_ANSWER;
        Look::Ask
    }

    /// When the next look can find something new.
    #[must_use]
    pub fn next_look(&self, now: Time, poor_ear: Option<PerMille>) -> Option<Time> {
        self.next_found(now, poor_ear).into_iter().chain(self.asks_at()).min()
    }

    fn next_found(&self, now: Time, poor_ear: Option<PerMille>) -> Option<Time> {
        let silent_at = self.quiet_since + self.silence_limit();
        if silent_at > now {
            return Some(silent_at);
        }
        if !self.contradictors.is_empty() {
            return Some(self.word_until);
        }
        if !self.is_open() && self.reporting {
            return None;
        }
        let lost_at = self.tested_at(poor_ear).max(self.told_by()).max(now);
        if !self.is_open() {
            return Some(lost_at);
        }
        let probe_at = silent_at + self.probe_spacing() * self.probes;
        Some(if self.reporting { probe_at } else { probe_at.min(lost_at) })
    }

    /// Whether the member can have reached `tick`, by what was heard of it and the time since. Of one that was never
    /// heard here there is nothing to tell by.
    #[must_use]
    pub fn is_plausible(&self, now: Time, tick: u64) -> bool {
        if self.tick == 0 {
            return true;
        }
        let since = now.since(self.ticked).as_secs();
        tick <= self.tick.saturating_add(since).saturating_add(since / 4).saturating_add(TICK_SLACK)
    }

    /// Whether a report may name `tick`: of one that is plausible and no more the member could not get ahead.
    #[must_use]
    pub fn is_accusable(&self, now: Time, tick: u64) -> bool {
        self.is_plausible(now, tick.saturating_add(1))
    }

    fn silence_limit(&self) -> Duration {
        if !self.is_open() {
            return UNLINKED_SILENCE;
        }
        let jitter = self.path.rtt.map_or(Duration::ZERO, |rtt| rtt.variation * 4);
        HEARTBEAT_PERIOD + jitter.clamp(JITTER_MIN, JITTER_MAX)
    }

    fn probe_spacing(&self) -> Duration {
        let rtt = self.path.rtt.map_or(Duration::ZERO, |rtt| rtt.smoothed * 3 / 2);
        rtt.clamp(PROBE_SPACING_MIN, PROBE_SPACING_MAX)
    }

    /// Whether the silence has lasted for so long that what the path loses does not explain it, nor what this node loses
    /// whomever it listens to.
    #[must_use]
    pub fn is_tested(&self, now: Time, poor_ear: Option<PerMille>) -> bool {
        now >= self.tested_at(poor_ear)
    }

    /// Whether it lasts for longer than a silence of a path that loses little is ever tested, and still may be chance.
    #[must_use]
    pub fn is_explained(&self, now: Time, poor_ear: Option<PerMille>) -> bool {
        let usual = self.silence_limit() + self.probe_spacing() * PROBES_ALONE_MAX + SECOND_HEARTBEAT;
        now > self.quiet_since + usual && !self.is_tested(now, poor_ear)
    }

    /// What this node's own report is worth.
    #[must_use]
    pub fn own_voice(&self, ear: &Ear) -> OwnVoice {
        OwnVoice {
            by: ear.me,
            from: self.tested_at(ear.poor),
            alone_at: self.quiet_since + ear.alone,
            looks: self.is_observed(),
        }
    }

    /// When it has.
    #[must_use]
    pub fn tested_at(&self, poor_ear: Option<PerMille>) -> Time {
        let silent_at = self.quiet_since + self.silence_limit();
        // What is lost on the way here is taken to be lost on the way back, until the peer says otherwise.
        let lately = self.beats.poor().max(poor_ear).unwrap_or_default();
        let (out, back) =
            (self.path.loss_out.unwrap_or_default().max(lately), self.path.loss_in.unwrap_or_default().max(lately));
        let loss = Loss::new(out, back);
        if !self.is_open() {
            return silent_at + loss.dialled();
        }
        let spacing = self.probe_spacing();
        silent_at + spacing * loss.probes(spacing) + SECOND_HEARTBEAT
    }
}

#[cfg(test)]
mod tests;
