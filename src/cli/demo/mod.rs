//! `moot demo`: what happens in a room, on real processes, in about a minute. Owns the story; the stage does what it says and
//! shows the screens of those who live through it.

mod stage;

use std::path::Path;

use self::stage::Stage;
use super::exit::{Exit, Failure};
use super::out::{Form, Output};
use crate::base::Presence;
use crate::node::api::Outcome;

const NAMES: [&str; 5] = ["ana", "bo", "cy", "dee", "eve"];

/// Runs the demo with the running program as its nodes. It fails when something does not hold that it shows.
pub(super) fn demo(output: Output) -> Result<Exit, Failure> {
    if output.form == Form::Json {
        return Err(Failure::misuse("the demo is for people; moot run --trace writes what happens for programs"));
    }
    let program = std::env::current_exe()?;
    tell(&mut Stage::new(Path::new(&program), output)?)?;
    Ok(Exit::Well)
}

fn tell(stage: &mut Stage) -> Result<(), Failure> {
    stage::says(
        "Five nodes of Folkmoot run on this machine, each a real process with a home and an address of its own. They are \
         killed and cut off for real. Nothing leaves this machine, and all of it is gone at the end.",
    )?;
    meet(stage)?;
    talk(stage)?;
    miss(stage)?;
    come_back(stage)?;
    split(stage)?;
    heal(stage)?;
    say_goodbye(stage)?;
    stage.end(
        "Everything held that was shown. The processes are ended and their homes are gone. `moot` begins a room \
         of your own; `moot run scenarios/13_finale.lua` runs much of this from a file that you can change.",
    )
}

fn meet(stage: &mut Stage) -> Result<(), Failure> {
    stage.watch(&["ana"]);
    stage.chapter(
        "A room without a server",
        "The five start. Each was told one address, ana's, and learns of the others from whom it meets.",
    )?;
    for name in NAMES {
        stage.start(name)?;
    }
    stage.until("each sees all five", |stage| stage.all_see(&NAMES, &NAMES, Presence::Alive))
}

fn talk(stage: &mut Stage) -> Result<(), Failure> {
    stage.watch(&["ana", "cy"]);
    stage.chapter(
        "A message, and who has it",
        "ana speaks to the room. Stored means: it is on that member's disk, and that member signed for it.",
    )?;
    let hello = stage.say("ana", "hello, all of you")?;
    let others = ["bo", "cy", "dee", "eve"];
    stage.until("all four have it", |stage| stage.outcomes("ana", hello, &others, Outcome::Delivered))?;

    stage.watch(&["ana", "bo", "cy"]);
    stage.chapter("A private message", "ana tells bo something, and it is for bo alone.")?;
    let secret = stage.tell("ana", "bo", "only for you")?;
    stage.until("bo has it", |stage| stage.outcomes("ana", secret, &["bo"], Outcome::Delivered))?;
    stage.holds("nobody else has it", |stage| stage.are_without(&["cy", "dee", "eve"], secret))
}

fn miss(stage: &mut Stage) -> Result<(), Failure> {
    stage.watch(&["ana"]);
    stage.chapter("A process is killed", "bo's process is ended by kill -9. Nobody is told; the others notice.")?;
    stage.kill("bo")?;
    let others = ["ana", "cy", "dee", "eve"];
    stage.until("all four miss bo", |stage| stage.all_see(&others, &["bo"], Presence::Unreachable))?;
    stage.why_member("ana", "bo")?;

    stage.watch(&["ana", "cy"]);
    stage.chapter("Nothing is claimed that is not known", "cy asks the room, and ana writes to bo, which is down.")?;
    let asked = stage.say("cy", "where is bo?")?;
    stage.until("those who run have it", |stage| {
        let delivered = stage.outcomes("cy", asked, &["ana", "dee", "eve"], Outcome::Delivered)?;
        Ok(delivered && stage.outcomes("cy", asked, &["bo"], Outcome::Waiting)?)
    })?;
    let waiting = stage.tell("ana", "bo", "when you are back")?;
    stage.until("it waits", |stage| stage.outcomes("ana", waiting, &["bo"], Outcome::Waiting))?;
    stage.why_message("ana", waiting)
}

fn come_back(stage: &mut Stage) -> Result<(), Failure> {
    stage.watch(&["ana", "bo"]);
    stage.chapter(
        "It comes back",
        "bo's process starts again on its home: the same member, in a later run. It asks for what it missed.",
    )?;
    stage.start("bo")?;
    stage.until("bo has both messages", |stage| {
        Ok(stage.have(&["bo"], "where is bo?")? && stage.have(&["bo"], "when you are back")?)
    })?;
    stage.until("each sees all five again", |stage| stage.all_see(&NAMES, &NAMES, Presence::Alive))?;
    stage.why_member("ana", "bo")
}

const LEFT: [&str; 3] = ["ana", "bo", "cy"];
const RIGHT: [&str; 2] = ["dee", "eve"];

fn split(stage: &mut Stage) -> Result<(), Failure> {
    stage.watch(&["ana", "dee"]);
    stage.chapter(
        "The network splits",
        "No datagram passes any more between ana, bo and cy on one side, dee and eve on the other. Both sides go on.",
    )?;
    stage.part(&LEFT, &RIGHT)?;
    stage.until("each side misses the other", |stage| {
        let left = stage.all_see(&LEFT, &RIGHT, Presence::Unreachable)?;
        Ok(left && stage.all_see(&RIGHT, &LEFT, Presence::Unreachable)?)
    })?;
    stage.say("bo", "we are three here")?;
    stage.say("eve", "is anybody over there?")?;
    stage.until("each side has its own message", |stage| {
        Ok(stage.have(&LEFT, "we are three here")? && stage.have(&RIGHT, "is anybody over there?")?)
    })?;
    stage.holds("nothing came across", |stage| {
        let crossed = stage.have(&["ana"], "is anybody over there?")? || stage.have(&["dee"], "we are three here")?;
        Ok(!crossed)
    })?;
    stage.chapter(
        "A crash while it is split",
        "eve's process is killed too. Of those who run, only dee has eve's question.",
    )?;
    stage.kill("eve")?;
    stage.until("dee misses eve", |stage| stage.all_see(&["dee"], &["eve"], Presence::Unreachable))
}

fn heal(stage: &mut Stage) -> Result<(), Failure> {
    stage.chapter(
        "The network heals",
        "Datagrams pass again. What was said on the other side comes by asking, and says from whom and how late.",
    )?;
    stage.heal()?;
    let running = ["ana", "bo", "cy", "dee"];
    stage.until("the four who run see each other", |stage| stage.all_see(&running, &running, Presence::Alive))?;
    stage.until("both messages are everywhere", |stage| {
        Ok(stage.have(&running, "we are three here")? && stage.have(&running, "is anybody over there?")?)
    })?;
    stage.watch(&["ana", "eve"]);
    stage.chapter("And the last one", "eve's process starts again. It finds the room as it is now.")?;
    stage.start("eve")?;
    stage.until("each sees all five", |stage| stage.all_see(&NAMES, &NAMES, Presence::Alive))?;
    stage.until("eve has what she missed", |stage| stage.have(&["eve"], "we are three here"))?;
    stage.holds("nobody was shown anything twice", |stage| Ok(stage.shown_twice().is_none()))?;
    stage.holds("nobody has a gap", Stage::no_gaps)
}

fn say_goodbye(stage: &mut Stage) -> Result<(), Failure> {
    stage.watch(&["ana"]);
    stage.chapter("A goodbye is no silence", "cy leaves. That is signed, so nobody has to guess.")?;
    stage.leave("cy")?;
    let others = ["ana", "bo", "dee", "eve"];
    stage.until("all know that cy left", |stage| stage.all_see(&others, &["cy"], Presence::Left))
}
