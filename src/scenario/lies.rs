//! Members that lie: what a scenario has one do, and the statement that does it again in a shrunk scenario. What a lie is
//! made of is the simulator's matter.

use super::fleet::{Forgery, Lie, Lied, Slander};
use super::stage::{Said, Stage};
use super::steps::{Step, list, local, quoted};
use super::stop::Stop;
use crate::base::MessageId;
use crate::check::Name;

impl Stage {
    /// Has `node` lie. Gives the messages that it made up, and how many datagrams it sent again.
    pub(super) fn lie(&mut self, node: &Name, lie: &Lie) -> Result<(Vec<Said>, usize), Stop> {
        let about = lie_about(lie).and_then(|id| self.messages.iter().find(|said| said.id == id));
        let about = about.map(|said| said.number);
        let step = Step::Lie { node: node.clone(), lie: lie.clone(), message: self.messages.len() + 1, about };
        self.taking(step.clone(), |stage| {
            let Lied { messages, replayed } = stage.ask(|fleet| fleet.lie(node, lie))?;
            let first = stage.messages.len() + 1;
            let said = messages.into_iter().zip(first..).map(|(made, number)| Said {
                number,
                id: made.id,
                by: made.author,
                to: made.to,
                text: made.text,
            });
            let said: Vec<Said> = said.collect();
            stage.messages.extend(said.iter().cloned());
            stage.record(step);
            stage.watch()?;
            Ok((said, replayed))
        })
    }
}

/// The message that was said and that the lie is about.
fn lie_about(lie: &Lie) -> Option<MessageId> {
    match lie {
        Lie::Forge { forgery: Forgery::Changed { of, .. } | Forgery::Receipt { of, .. }, .. } => Some(*of),
        Lie::Forge {
            forgery: Forgery::Message { .. } | Forgery::Private { .. } | Forgery::Leave { .. } | Forgery::Card { .. },
            ..
        }
        | Lie::Equivocate { .. }
        | Lie::Boast { .. }
        | Lie::Slander { .. }
        | Lie::Vouch { .. }
        | Lie::Listen { .. }
        | Lie::Replay { .. }
        | Lie::Flood { .. } => None,
    }
}

/// The lie as a statement; `message` is the number of the first message that it makes up, `about` that of the one that it
/// is about.
pub(super) fn statement(node: &Name, lie: &Lie, message: usize, about: Option<usize>) -> String {
    let node = local(node);
    let about = about.map_or_else(|| "nil".to_owned(), |about| format!("said[{about}]"));
    match lie {
        Lie::Forge { to, forgery } => {
            let to = list(to);
            match forgery {
                Forgery::Message { author, text } => {
                    format!(
                        "said[{message}] = {node}:forge{{ to = {to}, as = {}, text = {} }}",
                        local(author),
                        quoted(text)
                    )
                }
                Forgery::Private { author, text } => {
                    let (author, text) = (local(author), quoted(text));
                    format!(
                        "said[{message}] = {node}:forge{{ to = {to}, as = {author}, text = {text}, private = true }}"
                    )
                }
                Forgery::Changed { text, .. } => {
                    format!("said[{message}] = {node}:forge{{ to = {to}, of = {about}, text = {} }}", quoted(text))
                }
                Forgery::Receipt { by, .. } => {
                    format!("{node}:forge{{ to = {to}, as = {}, receipt = {about} }}", local(by))
                }
                Forgery::Leave { of } => format!("{node}:forge{{ to = {to}, as = {}, leave = true }}", local(of)),
                Forgery::Card { of } => format!("{node}:forge{{ to = {to}, as = {}, card = true }}", local(of)),
            }
        }
        Lie::Equivocate { to, texts: [one, other] } => format!(
            "said[{message}], said[{}] = {node}:equivocate{{ to = {}, texts = {{ {}, {} }} }}",
            message + 1,
            list(to),
            quoted(one),
            quoted(other)
        ),
        Lie::Boast { to, of, more } => {
            format!("{node}:boast{{ to = {}, of = {}, more = {more} }}", list(to), local(of))
        }
        Lie::Slander { to, of, slander } => {
            let rest = match slander {
                Slander::Report => String::new(),
                Slander::Relayed { by } => format!(", as = {}", local(by)),
                Slander::Verdict { with } => format!(", as = {}, verdict = true", local(with)),
            };
            format!("{node}:slander{{ to = {}, of = {}{rest} }}", list(to), local(of))
        }
        Lie::Vouch { to, of, ahead } => {
            format!("{node}:vouch{{ to = {}, of = {}, ahead = {ahead} }}", list(to), local(of))
        }
        Lie::Listen { from, to } => format!("{node}:listen{{ {} }}", ends(from.as_ref(), to.as_ref()).join(", ")),
        Lie::Replay { from, to, last } => {
            let mut fields = ends(from.as_ref(), to.as_ref());
            fields.extend(last.map(|last| format!("last = {last}")));
            format!("{node}:replay{{ {} }}", fields.join(", "))
        }
        Lie::Flood { to, with, count } => {
            format!("{node}:flood{{ to = {}, with = \"{}\", count = {count} }}", list(to), with.word())
        }
    }
}

fn ends(from: Option<&Name>, to: Option<&Name>) -> Vec<String> {
    let end = |key: &str, name: &Name| format!("{key} = {}", local(name));
    from.map(|name| end("from", name)).into_iter().chain(to.map(|name| end("to", name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::MessageId;
    use crate::scenario::fleet::Flood;

    #[test]
    fn a_lie_is_a_statement() {
        let [ana, bo, mallory] = ["ana", "bo", "mallory"].map(Name::from);
        let says = |lie: Lie, about| Step::Lie { node: mallory.clone(), lie, message: 3, about }.statement();
        let forge = |forgery| Lie::Forge { to: vec![bo.clone()], forgery };
        let (author, text, of) = (ana.clone(), "x".to_owned(), MessageId([1; 32]));
        let made_up = Forgery::Message { author: author.clone(), text: text.clone() };
        assert_eq!(says(forge(made_up), None), r#"said[3] = mallory:forge{ to = { bo }, as = ana, text = "x" }"#);
        let private = Forgery::Private { author, text: text.clone() };
        let wanted = r#"said[3] = mallory:forge{ to = { bo }, as = ana, text = "x", private = true }"#;
        assert_eq!(says(forge(private), None), wanted);
        let changed = Forgery::Changed { of, text };
        let wanted = r#"said[3] = mallory:forge{ to = { bo }, of = said[1], text = "x" }"#;
        assert_eq!(says(forge(changed), Some(1)), wanted);
        let receipt = Forgery::Receipt { by: ana.clone(), of };
        assert_eq!(says(forge(receipt), Some(1)), "mallory:forge{ to = { bo }, as = ana, receipt = said[1] }");
        let both = Lie::Equivocate { to: [ana.clone(), bo.clone()], texts: ["yes".to_owned(), "no".to_owned()] };
        let wanted = r#"said[3], said[4] = mallory:equivocate{ to = { ana, bo }, texts = { "yes", "no" } }"#;
        assert_eq!(says(both, None), wanted);
        let boast = Lie::Boast { to: vec![ana.clone()], of: bo.clone(), more: 7 };
        assert_eq!(says(boast, None), "mallory:boast{ to = { ana }, of = bo, more = 7 }");
        let slander = |slander| Lie::Slander { to: vec![bo.clone()], of: ana.clone(), slander };
        assert_eq!(says(slander(Slander::Report), None), "mallory:slander{ to = { bo }, of = ana }");
        let verdict = Slander::Verdict { with: "cy".into() };
        let wanted = "mallory:slander{ to = { bo }, of = ana, as = cy, verdict = true }";
        assert_eq!(says(slander(verdict), None), wanted);
        let vouch = Lie::Vouch { to: vec![bo.clone()], of: ana.clone(), ahead: 3 };
        assert_eq!(says(vouch, None), "mallory:vouch{ to = { bo }, of = ana, ahead = 3 }");
        assert_eq!(
            says(forge(Forgery::Leave { of: ana.clone() }), None),
            "mallory:forge{ to = { bo }, as = ana, leave = true }"
        );
        assert_eq!(
            says(forge(Forgery::Card { of: ana.clone() }), None),
            "mallory:forge{ to = { bo }, as = ana, card = true }"
        );
        assert_eq!(says(Lie::Listen { from: None, to: None }, None), "mallory:listen{  }");
        let replay = Lie::Replay { from: Some(ana), to: None, last: Some(2) };
        assert_eq!(says(replay, None), "mallory:replay{ from = ana, last = 2 }");
        let flood = Lie::Flood { to: vec![bo], with: Flood::Pulls, count: 9 };
        assert_eq!(says(flood, None), r#"mallory:flood{ to = { bo }, with = "pulls", count = 9 }"#);
    }
}
