//! What a typed line means. Owns the commands and their help; carries none of them out.

use crate::view::Counters;

/// A line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing was typed.
    Nothing,
    Say(String),
    Tell {
        to: String,
        text: String,
    },
    Who,
    /// About a member or a message.
    Why(String),
    Gaps,
    Status(Counters),
    /// The newest messages, so many.
    Log(u64),
    Search {
        from: Option<String>,
        words: String,
    },
    Invite,
    /// Changes the faults, or only shows them.
    Fault(Option<String>),
    Nick(String),
    Help,
    Quit,
}

/// A command as `/help` lists it and Tab completes it.
pub(super) struct Command {
    pub(super) name: &'static str,
    pub(super) takes: &'static str,
    pub(super) help: &'static str,
}

const fn command(name: &'static str, takes: &'static str, help: &'static str) -> Command {
    Command { name, takes, help }
}

pub(super) const COMMANDS: [Command; 13] = [
    command("/msg", "NICK TEXT", "tells one member, in private"),
    command("/me", "TEXT", "says what you do: * ana waves"),
    command("/who", "", "who is in the room, and how that is known"),
    command("/why", "NICK or MESSAGE", "the evidence about a member, or a message such as k7f3 or ana#12"),
    command("/gaps", "", "messages that exist and are missing here"),
    command("/status", "[counters]", "this node, its links, what became of messages"),
    command("/log", "[N]", "the newest N messages (20)"),
    command("/search", "[--from NICK] WORDS", "the newest messages that have these words; \"in a row\", begin*"),
    command("/invite", "", "what somebody else types to join"),
    command("/fault", "[SPEC or off]", "makes this node's network worse on purpose: loss=20%,delay=200ms"),
    command("/nick", "NICK", "changes your nick"),
    command("/help", "", "this list"),
    command("/quit", "", "says goodbye and ends (Ctrl-D does too)"),
];

/// Messages that `/log` shows unless told otherwise: a screenful.
const LOG_MESSAGES: u64 = 20;

/// Reads a line. The error is one sentence for the person who typed it.
pub(super) fn parse(line: &str) -> Result<Line, String> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() {
        return Ok(Line::Nothing);
    }
    let Some(command) = line.strip_prefix('/') else {
        return Ok(Line::Say(line.into()));
    };
    if command.starts_with('/') {
        return Ok(Line::Say(command.into()));
    }
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    match word {
        "msg" => tell(rest),
        "me" if rest.is_empty() => Err(takes("/me")),
        "me" => Ok(Line::Say(format!("/me {rest}"))),
        "who" | "status" if rest == "--watch" => {
            Err(format!("/{word} is told once; moot {word} --watch redraws it, in another terminal"))
        }
        "who" if !rest.is_empty() && !rest.starts_with('-') && !rest.contains(char::is_whitespace) => {
            let whom = crate::base::text::sanitize(rest);
            Err(format!("/who takes nothing after it; /why {whom} shows the evidence about one member"))
        }
        "who" => alone(Line::Who, "/who", rest),
        "why" if rest.is_empty() => Err(takes("/why")),
        "why" => Ok(Line::Why(rest.into())),
        "gaps" => alone(Line::Gaps, "/gaps", rest),
        "status" => match rest {
            "" => Ok(Line::Status(Counters::Hidden)),
            "counters" => Ok(Line::Status(Counters::Shown)),
            _ => Err(takes("/status")),
        },
        "log" if rest.is_empty() => Ok(Line::Log(LOG_MESSAGES)),
        "log" if rest == "0" => Err("/log 0 shows nothing; /log 1 shows the newest message".into()),
        "log" => rest.parse().map(Line::Log).map_err(|_| takes("/log")),
        "search" => search(rest),
        "invite" => alone(Line::Invite, "/invite", rest),
        "fault" => Ok(Line::Fault(Some(rest.to_owned()).filter(|spec| !spec.is_empty()))),
        "nick" if rest.is_empty() || rest.contains(char::is_whitespace) => Err(takes("/nick")),
        "nick" => Ok(Line::Nick(rest.into())),
        "help" => Ok(Line::Help),
        "quit" => alone(Line::Quit, "/quit", rest),
        unknown => {
            let unknown = crate::base::text::sanitize(unknown);
            let near = nearest(&unknown).map(|name| format!("did you mean {name}? ")).unwrap_or_default();
            Err(format!("/{unknown} is no command; {near}/help lists them, and //{unknown} says it as it stands"))
        }
    }
}

/// What `/help` prints.
pub(super) fn help() -> String {
    let mut lines = vec!["what you type is said to the room, but for these:".to_owned()];
    let width = COMMANDS.iter().map(|command| command.name.len() + 1 + command.takes.len()).max().unwrap_or(0);
    for Command { name, takes, help } in &COMMANDS {
        let typed = format!("{name} {takes}");
        lines.push(format!("  {typed:width$}  {help}"));
    }
    lines.push("a text that begins with a slash is typed with two: //home is what /home would be".into());
    lines.push("Tab completes commands, nicks and messages".into());
    lines.join("\n")
}

fn tell(rest: &str) -> Result<Line, String> {
    match rest.split_once(char::is_whitespace) {
        Some((to, text)) => Ok(Line::Tell { to: to.into(), text: text.trim_start().into() }),
        None => Err(takes("/msg")),
    }
}

/// The one option that the command of the same name has, before the words or after them; no word begins with two dashes.
fn search(rest: &str) -> Result<Line, String> {
    let mut words: Vec<&str> = rest.split_whitespace().collect();
    let is_option = |word: &&str| word.starts_with("--");
    let from = match words.iter().position(is_option) {
        None => None,
        Some(at) => match words.remove(at) {
            "--from" if at < words.len() => Some(words.remove(at).to_owned()),
            option => Some(
                option
                    .strip_prefix("--from=")
                    .filter(|nick| !nick.is_empty())
                    .ok_or_else(|| takes("/search"))?
                    .to_owned(),
            ),
        },
    };
    if words.is_empty() || words.iter().any(is_option) {
        return Err(takes("/search"));
    }
    let words = if from.is_some() { words.join(" ") } else { rest.to_owned() };
    Ok(Line::Search { from, words })
}

/// The command that differs from `typed` by one slip: a letter that is wrong, missing, too much, or swapped
/// with its neighbour. Of a short word that would be guessing.
fn nearest(typed: &str) -> Option<&'static str> {
    let mut names = COMMANDS.iter().map(|command| command.name);
    let typed = typed.to_lowercase();
    names.find(|name| typed.len() > 2 && is_one_slip(&typed, name.trim_start_matches('/')))
}

fn is_one_slip(typed: &str, meant: &str) -> bool {
    let (typed, meant): (Vec<char>, Vec<char>) = (typed.chars().collect(), meant.chars().collect());
    let same = typed.iter().zip(&meant).take_while(|(a, b)| a == b).count();
    let (typed, meant) = (&typed[same..], &meant[same..]);
    match (typed, meant) {
        ([], []) => true,
        ([a, b, typed @ ..], [c, d, meant @ ..]) if a == d && b == c => typed == meant,
        ([_, typed @ ..], [_, meant @ ..]) if typed == meant => true,
        ([_, typed @ ..], _) if typed == meant => true,
        (_, [_, meant @ ..]) => typed == meant,
        _ => false,
    }
}

fn alone(line: Line, name: &str, rest: &str) -> Result<Line, String> {
    if rest.is_empty() { Ok(line) } else { Err(format!("{name} takes nothing after it")) }
}

fn takes(name: &str) -> String {
    let takes = COMMANDS.iter().find(|command| command.name == name).map_or("", |command| command.takes);
    format!("type it as: {name} {takes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_said_and_a_slash_commands() {
        assert_eq!(parse("  hello "), Ok(Line::Say("  hello ".into())));
        assert_eq!(parse(" \t"), Ok(Line::Nothing));
        assert_eq!(parse("/msg bo  hi there"), Ok(Line::Tell { to: "bo".into(), text: "hi there".into() }));
        assert_eq!(parse("/me waves"), Ok(Line::Say("/me waves".into())));
        assert_eq!(parse("/why ana#12"), Ok(Line::Why("ana#12".into())));
        assert_eq!(parse("/log 5"), Ok(Line::Log(5)));
        assert_eq!(parse("/log"), Ok(Line::Log(20)));
        let search = |from: Option<&str>, words: &str| {
            Ok(Line::Search { from: from.map(str::to_owned), words: words.to_owned() })
        };
        assert_eq!(parse("/search \"the build\" don*"), search(None, "\"the build\" don*"));
        assert_eq!(parse("/search --from bo \"the build\" don*"), search(Some("bo"), "\"the build\" don*"));
        assert_eq!(parse("/search three --from=bo~7f3a"), search(Some("bo~7f3a"), "three"));
        assert_eq!(parse("/status counters"), Ok(Line::Status(Counters::Shown)));
        assert_eq!(parse("/fault"), Ok(Line::Fault(None)));
        assert_eq!(parse("/fault drop 20% to bo"), Ok(Line::Fault(Some("drop 20% to bo".into()))));
        assert_eq!(parse("/quit"), Ok(Line::Quit));
    }

    #[test]
    fn two_slashes_say_one() {
        assert_eq!(parse("//etc/passwd"), Ok(Line::Say("/etc/passwd".into())));
    }

    #[test]
    fn an_unknown_command_is_never_chat() {
        assert_eq!(parse("/wo"), Err("/wo is no command; /help lists them, and //wo says it as it stands".into()));
        assert_eq!(parse("/"), Err("/ is no command; /help lists them, and // says it as it stands".into()));
    }

    #[test]
    fn a_slip_of_one_letter_is_understood_as_such() {
        let slips = ["halp", "hlep", "hep", "helpp", "Help", "sttaus", "invit", "gap"];
        let meant = ["/help", "/help", "/help", "/help", "/help", "/status", "/invite", "/gaps"];
        assert_eq!(slips.map(nearest), meant.map(Some));
        assert_eq!(["wo", "hello", "statistics", ""].map(nearest), [None; 4]);
        assert!(parse("/halp").unwrap_err().contains("no command; did you mean /help? "));
    }

    #[test]
    fn a_command_that_lacks_something_says_how_it_is_typed() {
        assert_eq!(parse("/msg bo"), Err("type it as: /msg NICK TEXT".into()));
        assert_eq!(parse("/me"), Err("type it as: /me TEXT".into()));
        for lacking in [
            "",
            " --from",
            " --from bo",
            " three --from",
            " --from= three",
            " --limit 3 three",
            " --from bo --from cy x",
        ] {
            assert_eq!(
                parse(&format!("/search{lacking}")),
                Err("type it as: /search [--from NICK] WORDS".into()),
                "{lacking}"
            );
        }
        assert_eq!(parse("/nick a b"), Err("type it as: /nick NICK".into()));
        assert_eq!(parse("/log many"), Err("type it as: /log [N]".into()));
        assert_eq!(parse("/log 0"), Err("/log 0 shows nothing; /log 1 shows the newest message".into()));
        assert_eq!(parse("/gaps all"), Err("/gaps takes nothing after it".into()));
        assert_eq!(
            parse("/who cy"),
            Err("/who takes nothing after it; /why cy shows the evidence about one member".into())
        );
        assert_eq!(parse("/who --json"), Err("/who takes nothing after it".into()));
        for word in ["who", "status"] {
            let shell = format!("/{word} is told once; moot {word} --watch redraws it, in another terminal");
            assert_eq!(parse(&format!("/{word} --watch")), Err(shell));
        }
    }

    #[test]
    fn help_lists_every_command_and_each_is_understood() {
        let help = help();
        for Command { name, .. } in &COMMANDS {
            assert!(help.contains(&format!("  {name} ")), "{name}");
            let unknown = matches!(parse(name), Err(error) if error.contains("no command"));
            assert!(!unknown, "{name}");
        }
    }
}
