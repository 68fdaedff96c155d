//! What follows from a file of evidence whose parts hold, and what does not, in sentences. Owns the words; a sentence
//! stands here only for what the examination has found.

use crate::node::api::{Covers, MessageKind, Proof, Receipted, Signer};

/// Writes both lists.
pub(super) fn fill(proof: &mut Proof) {
    proof.proves = proves(proof);
    proof.does_not_prove = does_not_prove(proof);
}

fn proves(proof: &Proof) -> Vec<String> {
    let from = name(&proof.from);
    let number = place(proof);
    let mut proves = Vec::new();
    match proof.kind {
        MessageKind::Group => proves.push(format!("{from} signed this text, as {number} to this room")),
        MessageKind::Private => {}
    }
    if let Some(rival) = &proof.rival {
        proves.push(format!(
            "{from} signed two messages as {number}, this one and {}: it told different people different things",
            rival.id
        ));
    }
    for receipt in &proof.receipts {
        let by = name(&receipt.by);
        match (receipt.covers, proof.kind) {
            (Covers::ThisMessage, MessageKind::Group) => {
                proves.push(format!("{by} signed that this message is on its disk{}", tie(proof, receipt)));
            }
            (Covers::ThisMessage, MessageKind::Private) => proves
                .push(format!("{by} signed that a message of {from} with the hash of exactly this one is on its disk")),
            (Covers::AnotherMessage, _) => proves.push(format!(
                "{by} signed that another message of {from} than this one is on its disk as #{}",
                proof.seq
            )),
            (Covers::NumberOnly | Covers::Nothing, _) => {}
        }
    }
    proves
}

fn does_not_prove(proof: &Proof) -> Vec<String> {
    let from = name(&proof.from);
    let mut not = Vec::new();
    for receipt in &proof.receipts {
        let by = name(&receipt.by);
        match (receipt.covers, receipt.first, receipt.last) {
            (Covers::NumberOnly, Some(first), Some(last)) => not.push(format!(
                "that what {by} stored as #{} is this message: its receipt names #{first} to #{last} by the hash of the \
                 last, and the messages that would tie that one to this are not here",
                proof.seq
            )),
            (Covers::Nothing, ..) => {
                not.push(format!("that {by} stored this message: its receipt is about others"));
            }
            (Covers::ThisMessage | Covers::AnotherMessage | Covers::NumberOnly, ..) => {}
        }
    }
    let is_stored = proof.receipts.iter().any(|receipt| receipt.covers == Covers::ThisMessage);
    if proof.kind == MessageKind::Private {
        not.push(if is_stored {
            format!("that {from} wrote it: a private message is not signed, and who holds it could have made it up")
        } else {
            format!("anything about this text: a private message is not signed, so anybody can write one of {from}")
        });
        if is_stored {
            not.push(
                "anything to who sees the receipt alone: it names a salted hash, and the salt is in this file only"
                    .into(),
            );
        }
    }
    if is_stored {
        not.push(
            "that anybody read it: a receipt says that it came to a disk, from which it may be gone by now".into(),
        );
        not.push("that a receipt is true: a node that was tampered with can sign for what it threw away".into());
    } else if proof.receipts.is_empty() {
        not.push("that anybody else has it: no receipt is in the file".into());
    }
    not.push("that others did not get it: who signed nothing here may have it all the same".into());
    not.push("when it was: the time in it is what its author claims, and a receipt holds none".into());
    if proof.kind == MessageKind::Group && proof.rival.is_none() {
        not.push(format!(
            "that {from} told nobody else something else as #{}: only what is in the file is known",
            proof.seq
        ));
    }
    not.push("which person holds a key: nicks are chosen by who bears them; compare the ids by another way".into());
    not
}

/// How a receipt for a range is tied to the message.
fn tie(proof: &Proof, receipt: &Receipted) -> String {
    let last = receipt.last.unwrap_or(proof.seq);
    match last - proof.seq {
        0 => format!("; it named its hash, as #{}", proof.seq),
        1 => format!("; it named the hash of #{last}, which names this one"),
        n => format!("; it named the hash of #{last}, and {n} messages lead from that one back to this"),
    }
}

/// `its message #12 of run 17.ab12`
fn place(proof: &Proof) -> String {
    format!("its message #{} of run {}", proof.seq, proof.run)
}

/// A nick is what its bearer says, so the beginning of the key stands beside it.
fn name(signer: &Signer) -> String {
    let short = signer.member.short();
    signer.nick.as_ref().map_or_else(|| short.clone(), |nick| format!("{nick}~{short}"))
}
