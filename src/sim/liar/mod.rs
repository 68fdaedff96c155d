//! Members that lie. Each is a member like any other, with its own home and the room's secret, and its node is driven as
//! ever; what is false goes out beside, over its own sessions or as bare datagrams. Owns the kinds of lies, and says in
//! the trace who lies and when. No node has a way to do any of this by itself.

mod ear;
mod flood;
mod forgery;
mod hearsay;
#[cfg(test)]
mod tests;

use super::World;
use super::drive::Because;
use crate::base::{MemberId, MessageId, Rng, Run, Seq};
use crate::check::{Name, What};
use crate::transport::Channel;
use crate::wire::{FrontierEntry, Label, MembershipFrame, MessagingFrame, codec};

pub(super) use ear::Ear;
pub use flood::Flood;
pub use forgery::Forgery;
pub use hearsay::Slander;

/// What a member that lies does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lie {
    /// Sends what it signs itself, in the name of another or as another's words.
    Forge { to: Vec<Name>, forgery: Forgery },
    /// Signs two messages to the room under one number, and sends the first to one member and the second to the other.
    Equivocate { to: [Name; 2], texts: [String; 2] },
    /// Says that it holds and can give all that `of` said in its present run, and `more` that `of` never said.
    Boast { to: Vec<Name>, of: Name, more: u64 },
    /// Says that a member who may well be heard is not.
    Slander { to: Vec<Name>, of: Name, slander: Slander },
    /// Says that it heard a member just now, `ahead` ticks further than that can be.
    Vouch { to: Vec<Name>, of: Name, ahead: u64 },
    /// Remembers each datagram from now on that leaves `from` for `to`, any machine where that is none; where both are
    /// none, what leaves itself or is for itself. The newest `ear::HEARD_MAX` are kept.
    Listen { from: Option<Name>, to: Option<Name> },
    /// Sends again what it heard from `from` for `to`, the newest `last` or all, each to whom it was for, as it came from
    /// where it came from.
    Replay { from: Option<Name>, to: Option<Name>, last: Option<usize> },
    /// Sends so many at once.
    Flood { to: Vec<Name>, with: Flood, count: u32 },
}

/// What came of a lie.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lied {
    /// The messages that it made up.
    pub messages: Vec<MadeUp>,
    /// Datagrams that were sent again.
    pub replayed: usize,
}

/// A message that nobody said, or that was said to one and not to the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MadeUp {
    pub id: MessageId,
    /// As whose words it goes.
    pub author: Name,
    /// The one that a private message is for.
    pub to: Option<Name>,
    pub text: String,
}

/// What a member that lies remembers of its lies.
#[derive(Default)]
pub(super) struct Lies {
    is_declared: bool,
    /// Each draws from a generator of its own.
    count: u64,
    /// The last message that it signed beside its node, in which run.
    said: Option<(Run, Seq, MessageId)>,
}

/// One lie as it is told: by which machine, and because of which line.
struct Telling {
    liar: usize,
    because: Because,
    rng: Rng,
    /// Whether each datagram says in the trace which frames it carries; of a flood none does, for nobody could read it.
    is_labelled: bool,
}

impl World {
    /// Has the member on `name` lie. From here on no check holds it to its word.
    ///
    /// # Errors
    /// Why it cannot: it does not run, does not know or hold what it wants to lie about, has no session with whom it
    /// lies to. Nothing was sent then, but what had gone to those who come before in a list.
    pub fn lie(&mut self, name: &str, lie: &Lie) -> Result<Lied, String> {
        let liar = self.index(name);
        if !self.is_running(name) || self.is_paused(name) {
            return Err(format!("{name} does not run, or is paused, so it cannot lie"));
        }
        for other in lie.names() {
            if !self.has(other) {
                return Err(format!("there is no node named {other}"));
            }
        }
        let telling = self.begin_lie(liar, lie);
        match lie {
            Lie::Forge { to, forgery } => self.forge(&telling, to, forgery),
            Lie::Equivocate { to, texts } => self.equivocate(&telling, to, texts),
            Lie::Boast { to, of, more } => self.boast(telling, to, of, *more),
            Lie::Slander { to, of, slander } => self.slander(&telling, to, of, slander),
            Lie::Vouch { to, of, ahead } => self.vouch(&telling, to, of, *ahead),
            Lie::Listen { from, to } => {
                self.listen(liar, from.as_deref(), to.as_deref());
                Ok(Lied::default())
            }
            Lie::Replay { from, to, last } => {
                let replayed = self.replay(&telling, from.as_deref(), to.as_deref(), *last);
                Ok(Lied { replayed, ..Lied::default() })
            }
            Lie::Flood { to, with, count } => self.flood(telling, to, *with, *count),
        }
    }

    fn begin_lie(&mut self, liar: usize, lie: &Lie) -> Telling {
        let machine = &mut self.machines[liar];
        machine.lies.count += 1;
        let rng = machine.rng.split(&format!("lie {}", machine.lies.count));
        let member = machine.home.id;
        if !std::mem::replace(&mut machine.lies.is_declared, true) {
            self.done(Some(liar), None, What::Dishonest { member });
        }
        let line = self.done(Some(liar), None, What::Lied { text: lie.words() });
        let is_labelled = self.recorder.is_on() && !matches!(lie, Lie::Flood { .. });
        Telling { liar, because: Because::line(line), rng, is_labelled }
    }

    fn boast(&mut self, mut telling: Telling, to: &[Name], of: &str, more: u64) -> Result<Lied, String> {
        let author = self.id(of);
        let run = self.run_known_to(telling.liar, author).ok_or_else(|| format!("it does not know {of}"))?;
        let known = self.newest_of(telling.liar, author, run).map_or(0, |(seq, _)| seq);
        let head = known + more;
        let head_id = MessageId(telling.rng.bytes());
        let entry = FrontierEntry { author, run, head, head_id, recent: 1, kept: vec![(1, head)] };
        let frame = MessagingFrame::Frontier { answer: false, after: None, entries: vec![entry], more: false };
        self.send_frame_to_all(&telling, to, &frame)?;
        Ok(Lied::default())
    }

    /// The run in which the node of `liar` knows `member`.
    fn run_known_to(&self, liar: usize, member: MemberId) -> Option<Run> {
        let mut known = self.machines[liar].running().presences();
        known.find(|&(id, _, _)| id == member).map(|(_, run, _)| run)
    }

    fn send_frame_to_all(&mut self, telling: &Telling, to: &[Name], frame: &MessagingFrame) -> Result<(), String> {
        to.iter().try_for_each(|to| self.send_frame(telling, to, frame))
    }

    /// Sends a frame over the liar's own session with `to`.
    fn send_frame(&mut self, telling: &Telling, to: &str, frame: &MessagingFrame) -> Result<(), String> {
        let label = telling.is_labelled.then(|| frame.label());
        self.send_bytes(telling, to, (Channel::Messaging, &codec::encode(frame)), label)
    }

    /// The same for a frame about members.
    fn send_word(&mut self, telling: &Telling, to: &str, frame: &MembershipFrame) -> Result<(), String> {
        let label = telling.is_labelled.then(|| frame.label());
        self.send_bytes(telling, to, (Channel::Membership, &codec::encode(frame)), label)
    }

    fn send_bytes(
        &mut self,
        telling: &Telling,
        to: &str,
        (channel, frame): (Channel, &[u8]),
        label: Option<Label>,
    ) -> Result<(), String> {
        let (now, member) = (self.now(telling.liar), self.id(to));
        let machine = &mut self.machines[telling.liar];
        let Some(process) = machine.process.as_mut() else { return Err("it does not run".to_owned()) };
        if !process.host.utter(now, member, channel, frame, label) {
            return Err(format!("{} has no session with {to} to lie to it over", machine.name));
        }
        self.drain(telling.liar, &telling.because);
        Ok(())
    }
}

impl Lie {
    /// The machines that it names.
    #[must_use]
    pub fn names(&self) -> Vec<&Name> {
        match self {
            Self::Forge { to, forgery } => to.iter().chain(forgery.name()).collect(),
            Self::Equivocate { to, .. } => to.iter().collect(),
            Self::Boast { to, of, .. } | Self::Vouch { to, of, .. } => to.iter().chain([of]).collect(),
            Self::Slander { to, of, slander } => to.iter().chain([of]).chain(slander.name()).collect(),
            Self::Listen { from, to } | Self::Replay { from, to, .. } => from.iter().chain(to).collect(),
            Self::Flood { to, .. } => to.iter().collect(),
        }
    }

    /// In a sentence whose subject is the liar.
    fn words(&self) -> String {
        let all = |names: &[Name]| names.join(", ");
        let any = |name: &Option<Name>| name.as_deref().unwrap_or("anybody").to_owned();
        match self {
            Self::Forge { to, forgery } => format!("forges {} for {}", forgery.words(), all(to)),
            Self::Equivocate { to: [one, other], texts: [first, second] } => {
                format!("tells {one} “{first}” and {other} “{second}” under one number")
            }
            Self::Boast { to, of, more } => format!("claims to {} that it holds {more} more of {of}", all(to)),
            Self::Slander { to, of, slander } => format!("{} to {} that {of} is silent", slander.words(), all(to)),
            Self::Vouch { to, of, .. } => format!("tells {} that it heard {of} just now", all(to)),
            Self::Listen { from: None, to: None } => "remembers what it sends and gets".to_owned(),
            Self::Listen { from, to } => format!("listens from {} to {}", any(from), any(to)),
            Self::Replay { from, to, .. } => format!("replays what it heard from {} to {}", any(from), any(to)),
            Self::Flood { to, with, count } => format!("floods {} with {count} {}", all(to), with.word()),
        }
    }
}
