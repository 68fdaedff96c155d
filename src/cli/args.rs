//! The words of the command line and their help. Owns what may be typed; does nothing.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args as ArgGroup, CommandFactory as _, Parser, Subcommand, ValueEnum};

use super::chat::Settings;
use super::exit::Failure;
use super::help;
use super::run::{self, RunArgs};
use crate::base::RoomId;
use crate::base::text::{self, TextError};
use crate::faults::Spec;
use crate::runtime;
use crate::wire::{Ticket, TicketError};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "moot", version, about = help::ABOUT, after_help = help::EXAMPLES, max_term_width = 100)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// What a command line comes to.
#[derive(Debug)]
pub(super) enum Parsed {
    Args(Box<Args>),
    /// Help or the version was asked for, and printed.
    Said,
}

/// What stands anywhere on the line.
#[derive(Clone, Debug, ArgGroup)]
pub(super) struct Common {
    /// The directory of your identity and your messages [default: the platform's data directory]
    #[arg(long, global = true, env = "MOOT_HOME", hide_env_values = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// No colours, no line editor, no redrawing
    #[arg(long, global = true)]
    pub(super) plain: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open the room and chat (also what `moot` alone does)
    Chat(NodeArgs),
    /// Run without a person: JSON events on standard output, logs on standard error
    Node {
        #[command(flatten)]
        node: NodeArgs,
        /// The form of the logs; `RUST_LOG` chooses what is logged
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        log_format: LogFormat,
        /// Leave when standard input ends, so as not to outlive who started this
        #[arg(long)]
        until_eof: bool,
    },
    /// Print the ticket that lets others in
    Invite {
        /// Also as a QR code
        #[arg(long)]
        qr: bool,
    },
    /// Take the room of a ticket as yours, and chat
    Join(JoinArgs),
    /// This node, its links, what became of messages
    Status {
        /// Redraw each second
        #[arg(long)]
        watch: bool,
        /// Show every counter and limit
        #[arg(long)]
        counters: bool,
    },
    /// Who is in the room, and how that is known
    #[command(after_help = help::WHO)]
    Who {
        /// Redraw each second
        #[arg(long)]
        watch: bool,
    },
    /// The evidence about a member (nick) or a message (k7f3, ana#12)
    #[command(after_help = help::WHY)]
    Why {
        /// A member's nick, bo~7f3a where two are called bo, or an id; a message's handle, or author#number
        #[arg(value_name = "MSG|NICK")]
        what: String,
    },
    /// Messages that exist and are missing here, and who was asked for them
    Gaps,
    /// The newest messages, each with the time that its author claims
    ///
    /// What is missing between them stands there too; with --json it is in moot gaps only.
    Log {
        /// How many
        #[arg(short = 'n', value_name = "N", default_value_t = 50, value_parser = read_count)]
        last: u64,
        /// The same without -n
        #[arg(value_name = "N", conflicts_with = "last", value_parser = read_count)]
        count: Option<u64>,
    },
    /// Messages that have these words, in all that this home keeps
    #[command(after_help = help::SEARCH)]
    Search(SearchArgs),
    /// A message with what was signed about it as a file, for somebody who was not there
    #[command(subcommand, after_help = help::EVIDENCE)]
    Evidence(EvidenceCommand),
    /// Say something to the room, or to one member
    #[command(after_help = help::SEND)]
    Send(SendArgs),
    /// Print what happens, as it happens, each with its time
    Tail,
    /// Say goodbye to the room and end the node
    Leave,
    /// See five real nodes meet, talk, crash, part and recover, in a minute
    #[command(after_help = help::DEMO)]
    Demo,
    /// Run scenarios: failures written as Lua, on the simulator or on real processes
    #[command(after_help = run::HELP)]
    Run(RunArgs),
    /// Make this node's network bad on purpose
    #[command(after_help = help::FAULTS)]
    Fault {
        /// Such as loss=20%,delay=200ms±50ms; `off` ends it, nothing shows what is on
        #[arg(value_name = "SPEC|off")]
        spec: Vec<String>,
    },
}

/// How a node is started.
#[derive(Debug, Default, ArgGroup)]
pub(super) struct NodeArgs {
    #[command(flatten)]
    start: StartArgs,
    /// The name of your room, when this is the first start [default: NICK's moot]
    #[arg(long, value_name = "NAME", value_parser = read_room_name)]
    room: Option<String>,
    /// A ticket, or the address of a member of your room; may be repeated
    #[arg(long, value_name = "TICKET|ADDR", value_parser = Target::read)]
    join: Vec<Target>,
}

#[derive(Debug, ArgGroup)]
pub(super) struct JoinArgs {
    /// As `moot invite` prints it
    #[arg(value_name = "TICKET", value_parser = read_ticket)]
    ticket: Ticket,
    #[command(flatten)]
    start: StartArgs,
}

#[derive(Debug, Default, ArgGroup)]
struct StartArgs {
    /// What others call you [default: your login name]
    #[arg(long, value_name = "NICK", value_parser = read_nick)]
    nick: Option<String>,
    /// Where to listen [default: 0.0.0.0:4460, or a free port where that is taken]
    #[arg(long, value_name = "ADDR", value_parser = read_address)]
    listen: Option<SocketAddr>,
    /// Start with a bad network, such as loss=5%,delay=200ms; may be repeated
    #[arg(long = "fault", value_name = "SPEC", value_parser = read_fault)]
    faults: Vec<String>,
    /// A Lua script that the node runs, see docs/SCRIPTING.md; may be repeated
    #[arg(long = "script", value_name = "FILE")]
    scripts: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum EvidenceCommand {
    /// Write the message, its receipts and the cards of who signed them to a new file
    #[command(after_help = help::EVIDENCE)]
    Export {
        /// The message's handle, author#number or id
        #[arg(value_name = "MSG")]
        what: String,
        /// Must not be there yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check such a file and say what it proves; needs no home, no node and no network
    #[command(after_help = help::EVIDENCE)]
    Verify {
        /// What export wrote, here or elsewhere
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Refuse a file of any other room
        #[arg(long, value_name = "TICKET|ROOM", value_parser = read_room)]
        room: Option<RoomId>,
    },
}

#[derive(Debug, ArgGroup)]
pub(super) struct SearchArgs {
    /// Only what this member said: a nick, bo~7f3a where two are called bo, or an id
    #[arg(long, value_name = "NICK")]
    pub(super) from: Option<String>,
    /// How many, at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = read_count)]
    pub(super) limit: u64,
    /// All of them, in any order; words in double quotes stand in a row, and a word* begins with it
    #[arg(value_name = "WORDS", required = true)]
    words: Vec<String>,
}

impl SearchArgs {
    /// The words as one text: a shell has taken their blanks away.
    pub(super) fn words(&self) -> String {
        self.words.join(" ")
    }
}

#[derive(Debug, ArgGroup)]
pub(super) struct SendArgs {
    /// Tell one member instead of the room
    #[arg(long, value_name = "NICK")]
    pub(super) to: Option<String>,
    /// Wait for the receipts of all who can be reached now, for any one, or only until it is stored here
    #[arg(long, value_name = "WHOM", default_value = "all")]
    pub(super) wait: Wait,
    /// How long to wait once the node has the text; a delivery itself is tried while its receiver is heard, and without a receipt after 10s it is unknown
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = read_span)]
    pub(super) timeout: Duration,
    /// The text, as one word or many; - reads it from standard input
    #[arg(value_name = "TEXT", required = true)]
    words: Vec<String>,
}

impl SendArgs {
    /// The words as one text: a shell has taken their blanks away.
    pub(super) fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// What `send` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Wait {
    All,
    Any,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Json,
    Text,
}

/// What `--join` names.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Ticket(Ticket),
    Address(SocketAddr),
}

impl Default for Command {
    fn default() -> Self {
        Self::Chat(NodeArgs::default())
    }
}

impl Common {
    /// The home directory.
    pub(super) fn home(&self) -> Result<PathBuf, Failure> {
        if let Some(home) = &self.home {
            return Ok(home.clone());
        }
        directories::ProjectDirs::from("", "", "folkmoot")
            .map(|dirs| dirs.data_dir().to_owned())
            .ok_or_else(|| Failure::misuse("no home directory is known for you; choose one with --home DIR"))
    }
}

impl NodeArgs {
    pub(super) fn settings(self) -> Result<Settings, Failure> {
        let mut tickets = Vec::new();
        let mut addresses = Vec::new();
        for target in self.join {
            match target {
                Target::Ticket(ticket) => tickets.push(ticket),
                Target::Address(address) => addresses.push(address),
            }
        }
        if let Some(pair) = tickets.windows(2).find(|pair| pair[0].room != pair[1].room) {
            let (first, other) = (&pair[0].room_name, &pair[1].room_name);
            return Err(Failure::misuse(format!("the tickets are of two rooms, {first:?} and {other:?}; join one")));
        }
        let mut tickets = tickets.into_iter();
        let ticket = tickets.next();
        // Other tickets of the same room only name more of its members' addresses.
        addresses.extend(tickets.flat_map(|ticket| ticket.addresses));
        self.start.settings(self.room, ticket, addresses)
    }
}

impl JoinArgs {
    pub(super) fn settings(self) -> Result<Settings, Failure> {
        self.start.settings(None, Some(self.ticket), Vec::new())
    }
}

impl StartArgs {
    fn settings(
        self,
        room: Option<String>,
        ticket: Option<Ticket>,
        dial: Vec<SocketAddr>,
    ) -> Result<Settings, Failure> {
        let scripts = runtime::read_scripts(&self.scripts).map_err(|error| Failure::misuse(error.to_string()))?;
        Ok(Settings { nick: self.nick, room, ticket, dial, listen: self.listen, faults: self.faults, scripts })
    }
}

impl Target {
    fn read(text: &str) -> Result<Self, String> {
        if text.to_ascii_lowercase().starts_with("moot:") {
            return read_ticket(text).map(Self::Ticket);
        }
        read_address(text).map(Self::Address)
    }
}

/// Reads the command line. Help and version are printed here, and end the program well.
pub(super) fn parse(words: &[OsString]) -> Result<Parsed, Failure> {
    let error = match Args::try_parse_from(words) {
        Ok(args) => return Ok(Parsed::Args(Box::new(args))),
        Err(error) => error,
    };
    // `moot --nick ana` is `moot chat --nick ana`.
    let is_bare = error.kind() == ErrorKind::UnknownArgument;
    if let Some(args) = is_bare.then(|| Args::try_parse_from(as_chat(words)).ok()).flatten() {
        return Ok(Parsed::Args(Box::new(args)));
    }
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            error.print()?;
            Ok(Parsed::Said)
        }
        // The only command of which a part is to be chosen.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => Err(Failure::misuse(
            "moot evidence is followed by export MSG --out FILE or by verify FILE; moot evidence --help tells more",
        )),
        // These say what would be right; clap's own complaints point to the help.
        ErrorKind::ValueValidation => Err(Failure::misuse(in_one_line(&error))),
        ErrorKind::InvalidUtf8 => Err(Failure::misuse(TextError::NotUtf8.to_string())),
        // The kinds are open; all others are a wrong usage.
        _ => {
            let near = suggested(&error).map(|word| format!("did you mean {word}? ")).unwrap_or_default();
            let command = named_command(words).map(|name| format!(" {name}")).unwrap_or_default();
            Err(Failure::misuse(format!("{}; {near}moot{command} --help tells more", in_one_line(&error))))
        }
    }
}

/// The same words with `chat` as the command.
fn as_chat(words: &[OsString]) -> Vec<OsString> {
    let (program, rest) = words.split_at(words.len().min(1));
    [program, &["chat".into()], rest].concat()
}

/// What clap takes a mistyped word for.
fn suggested(error: &clap::Error) -> Option<String> {
    let of = |kind| match error.get(kind)? {
        ContextValue::String(word) => Some(word.clone()),
        // The likeliest comes last.
        ContextValue::Strings(words) => words.last().cloned(),
        _ => None,
    };
    of(ContextKind::SuggestedSubcommand).or_else(|| of(ContextKind::SuggestedArg))
}

/// The command that the words are of, where they name one that there is.
fn named_command(words: &[OsString]) -> Option<&str> {
    let commands = Args::command();
    let is_command = |word: &&str| commands.get_subcommands().any(|command| command.get_name() == *word);
    words.iter().skip(1).filter_map(|word| word.to_str()).find(is_command)
}

/// The first paragraph of clap's complaint, as a sentence of ours.
fn in_one_line(error: &clap::Error) -> String {
    let complaint = error.render().to_string();
    let lines = complaint.lines().map(str::trim).take_while(|line| !line.is_empty());
    let sentence = lines.collect::<Vec<_>>().join(" ");
    sentence.strip_prefix("error: ").unwrap_or(&sentence).to_owned()
}

fn read_ticket(text: &str) -> Result<Ticket, String> {
    text.parse().map_err(|error: TicketError| error.to_string())
}

/// A room by its id, or by a ticket to it.
fn read_room(text: &str) -> Result<RoomId, String> {
    if text.to_ascii_lowercase().starts_with("moot:") {
        return read_ticket(text).map(|ticket| ticket.room);
    }
    text.parse().map_err(|_| "a room is told by a ticket to it, or by its id as moot evidence verify prints it".into())
}

fn read_count(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "how many is a number, such as 20".into())
}

/// A span of time, as `10s`.
pub(super) fn read_span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "a time has its unit, such as 10s or 2m".into())
}

fn read_nick(text: &str) -> Result<String, String> {
    text::check_nick(text).map(|()| text.into()).map_err(|error| error.to_string())
}

fn read_room_name(text: &str) -> Result<String, String> {
    text::check_room_name(text).map(|()| text.into()).map_err(|error| error.to_string())
}

fn read_fault(text: &str) -> Result<String, String> {
    text.parse::<Spec>().map(|_| text.into()).map_err(|error| error.to_string())
}

fn read_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address is an IP address and a port, such as 192.168.1.5:4460 or [::1]:4460".into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::faults::Kind;

    fn parsed(line: &str) -> Result<Args, String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        match parse(&words) {
            Ok(Parsed::Args(args)) => Ok(*args),
            Ok(Parsed::Said) => Err("said".into()),
            Err(failure) => Err(failure.sentence()),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn home_json_and_plain_stand_anywhere() {
        for line in ["moot --home /h --json who", "moot who --json --home /h", "moot --json who --home /h"] {
            let args = parsed(line).unwrap();
            assert!(args.common.json, "{line}");
            assert_eq!(args.common.home().unwrap(), PathBuf::from("/h"), "{line}");
        }
    }

    #[test]
    fn moot_alone_is_a_chat_with_its_flags_too() {
        let args = parsed("moot --nick ana").unwrap();
        assert!(matches!(args.command, Some(Command::Chat(_))));
        assert!(parsed("moot --bogus").is_err());
    }

    #[test]
    fn moot_alone_is_a_chat() {
        assert!(matches!(parsed("moot").unwrap().command.unwrap_or_default(), Command::Chat(_)));
    }

    #[test]
    fn a_dash_is_a_text_and_a_mistyped_flag_is_not() {
        let Some(Command::Send(send)) = parsed("moot send -").unwrap().command else { panic!() };
        assert_eq!((send.text().as_str(), send.wait, send.timeout), ("-", Wait::All, Duration::from_secs(10)));
        assert!(parsed("moot send --jsno").is_err());
    }

    #[test]
    fn a_text_may_be_many_words() {
        let Some(Command::Send(send)) = parsed("moot send hello there world --to bo").unwrap().command else {
            panic!()
        };
        assert_eq!((send.text().as_str(), send.to.as_deref()), ("hello there world", Some("bo")));
        assert!(parsed("moot send").is_err());
    }

    #[test]
    fn a_log_takes_its_number_with_and_without_a_flag() {
        let last = |line| match parsed(line).unwrap().command {
            Some(Command::Log { last, count }) => count.unwrap_or(last),
            other => panic!("{other:?}"),
        };
        assert_eq!(["moot log", "moot log 5", "moot log -n 7"].map(last), [50, 5, 7]);
    }

    #[test]
    fn the_grammar_that_the_help_teaches_is_the_one_that_is_read() {
        for line in help::FAULTS.lines().filter_map(|line| line.trim().strip_prefix("moot fault ")) {
            assert!(line.parse::<Spec>().is_ok(), "{line}");
        }
        let kinds = help::FAULTS.lines().skip(1).take_while(|line| !line.is_empty()).map(|line| {
            let fault = line.trim().split("  ").next().unwrap();
            let Ok(Spec::Add(rules)) = fault.parse() else { panic!("{fault}") };
            rules[0].fault.kind()
        });
        assert_eq!(kinds.collect::<BTreeSet<_>>(), BTreeSet::from(Kind::ALL));
    }

    #[test]
    fn a_wrong_usage_is_one_sentence_that_says_what_is_right() {
        let error = |line| parsed(line).unwrap_err();
        assert_eq!(
            error("moot join"),
            "the following required arguments were not provided: <TICKET>; moot join --help tells more"
        );
        assert_eq!(error("moot whoo"), "unrecognized subcommand 'whoo'; did you mean who? moot --help tells more");
        assert_eq!(
            error("moot --json who --watc"),
            "unexpected argument '--watc' found; did you mean --watch? moot who --help tells more"
        );
        assert_eq!(
            error("moot send --timeout abc hi"),
            "invalid value 'abc' for '--timeout <TIME>': a time has its unit, such as 10s or 2m"
        );
        assert_eq!(
            error("moot join moot:xyz"),
            "invalid value 'moot:xyz' for '<TICKET>': malformed ticket: a character is wrong or missing; copy it again, whole"
        );
        assert_eq!(
            error("moot chat --listen 4460"),
            "invalid value '4460' for '--listen <ADDR>': an address is an IP address and a port, such as 192.168.1.5:4460 or [::1]:4460"
        );
        assert_eq!(
            error("moot chat --nick 2bo"),
            "invalid value '2bo' for '--nick <NICK>': a nick is 1 to 32 bytes of letters, digits, - and _, and begins with a letter; choose another with --nick"
        );
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_refused() {
        use std::os::unix::ffi::OsStringExt as _;
        let words = ["moot".into(), "send".into(), OsString::from_vec(vec![0xff, 0xfe])];
        assert_eq!(parse(&words).unwrap_err().sentence(), "the text is not valid UTF-8");
    }

    #[test]
    fn a_wrong_word_is_told_with_what_would_be_right() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let told = |line: &str| parse(&words(line)).expect_err("it is wrong").sentence();
        assert_eq!(
            told("moot evidence"),
            "moot evidence is followed by export MSG --out FILE or by verify FILE; moot evidence --help tells more"
        );
        for line in ["moot log foo", "moot log -n foo", "moot search x -n foo"] {
            assert!(told(line).ends_with("how many is a number, such as 20"), "{}", told(line));
        }
    }
}
