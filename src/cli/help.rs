//! The longer texts of `--help`: what is typed, by example. Owns words only; the options are `args`'s.

pub(super) const ABOUT: &str = "Secure group chat that no server runs: every node talks to the others directly, and can say of \
each message what happened to it and how it knows.";

pub(super) const SEND: &str = "\
Exit codes:
  0 all delivered (--wait any: one; --wait none: stored here, and nothing is said of the others)
  3 some delivered
  4 none, or unknown
  1 an error, and it was not sent; 2 wrong usage
  Who cannot be reached now is not waited for: with --wait all that ends at once, with 3 or 4,
  and the message is given to them once they are back. moot why MSG tells what became of it.
  A delivery is tried while its receiver is heard; without a receipt for 10s its outcome is
  unknown, until one comes.
";

pub(super) const EXAMPLES: &str = "\
Examples:
  moot                                  open your room; the screen says what others type to join
  moot join moot:…                      join a room with its ticket
  moot join moot:… --home /tmp/bo --nick bo
                                        a second person on the same machine
  moot send 'the build is done'         say something from a script; exit 0 once all have stored it
  moot send --to bo --wait any 'hi'     tell bo in private; exit 0 at bo's receipt
  date | moot send -                    send what comes on standard input
  moot why k7f3                         the evidence for a message
  moot why bo                           the evidence about a member
  moot evidence export k7f3 --out build.moot
                                        the message and what was signed about it, for somebody else
  moot search build done                what was said about it, in all that is kept here
  moot status --json | jq .members      everything as JSON
  moot node --script scripts/echo.lua   run a node with a bot that answers private messages
  moot fault 'loss=20%,delay=200ms'     make this node's network bad on purpose

Exit codes:
  0 well, 1 an error, 2 wrong usage
  send: 0 all delivered, 3 some, 4 none or unknown
  run: 1 it failed, 2 an error in the scenario, 4 this kind of fleet cannot do it
  evidence verify: 1 it does not hold, 2 there is nothing to read, 4 it holds and nothing follows
  Delivered means: stored on the receiver's disk, which the receiver signed.
  Times are those of this machine's time zone; without a date they are of today.

Chat, join and node run a node; run and demo start their own; evidence verify needs none. The other
commands ask the node that runs on the same home.";

pub(super) const WHO: &str = "\
The states, as this node judges them:
  alive        it is heard, here or by others whose word is newer than any report
  suspect      it is not heard, or reported, and that is not settled; or it is remembered from
               before this start and was not heard since
  unreachable  two members report that they do not hear it, or one for longer, and nobody
               contradicts: it is down, or cut off
  left         it said goodbye
  degraded     beside alive or suspect: only others' word keeps it from being reported, somebody
               reports it, or its link loses more than a fifth; of yourself: you hear fewer than
               half of your links, in a room of four or more: with fewer that says nothing

Because says why in a few words, and moot why NICK shows all of the evidence. In --json your own
row has \"you\": true.";

pub(super) const WHY: &str = "\
Examples:
  moot why k7f3      a message, by its handle: the chat, moot log and moot search show it
  moot why ana#12    by its number: ana's 12th to the room, or to one member, of her newest run that
                     is known here; where several have it, or only an earlier run, they are
                     listed, and one that moot gaps names is told as missing
  moot why bo        a member; any case will do where only one member can be meant

The words of the evidence:
  own loop  the node itself: its link to the member, and how late its own loop runs, because a
            slow node must not take its own lateness for somebody's silence
  tick      the number of a heartbeat; each run counts from 0, one a second: higher is newer
  run       one start of a member's process, as 17.ab12: a higher number before the dot is later";

pub(super) const SEARCH: &str = "\
Examples:
  moot search build done            both words, in any order, whatever their case and accents
  moot search '\"the build\" don*'    these two in a row, and a word that begins with don
  moot search --from bo build       only what bo said

Each hit stands between « and »; -n says how many of the newest messages are shown. A word is
letters and digits. In scripts that put no blanks between words (Chinese, Japanese, Thai) what
is looked for is found wherever it stands, by reading all messages, which may take seconds.";

pub(super) const EVIDENCE: &str = "\
Examples:
  moot evidence export k7f3 --out build.moot
                          the message, its receipts, and who signed them
  moot evidence verify build.moot
                          anywhere: each signature, each hash, what follows and what does not
  moot evidence verify build.moot --room \"$(moot invite)\"
                          the same, and only if it is of this room

A receipt that covers several messages is tied to this one by the messages between: the file then
holds those too, and export says so. Who signed is told by keys; compare them with moot who --json
or by another way.

Exit codes of verify: 0 all of it holds and something follows, 1 it does not hold (damaged, forged,
another room), 2 there is no such file, or it cannot be read, 4 all of it holds and nothing
follows, as from a private message without a receipt.";

pub(super) const FAULTS: &str = "\
A SPEC is one fault or several, separated by commas; KIND=VALUE is the same as KIND VALUE:
  cut                 lets nothing through
  drop 20%            loses that share of the datagrams (loss is the same)
  burst 5%/20         loses that share in bursts, which take 20 in a row on average
  burst 5%/20@80%     the same, but a burst loses only that share of those that it meets
  delay 200ms±50ms    holds each back for that long, and varies by what stands after ±
  reorder 10%/50ms    holds that share back, so that others overtake it
  duplicate 5%        sends that share twice
  duplicate 5%/2s     the same, with the copy up to that much later
  corrupt 1%          flips a bit in that share
  truncate 1%         cuts that share short
  rate 512kbit/200ms  that many bits a second pass on each link; what would wait longer is lost

At the end of a SPEC, for all of its faults:
  to NICK             only what goes to that member
  from NICK           only what comes from it

A SPEC is added to what is on already, in place of the same kinds with the same ends. `moot fault`
shows what is on, `moot fault off` ends all, and `off` with kinds and ends takes back just those.

Examples:
  moot fault loss=20%,delay=200ms
  moot fault drop 20% to bo
  moot fault cut from bo
  moot fault off cut from bo";

pub(super) const DEMO: &str = "\
It needs nothing and leaves nothing behind: five processes of this program run in temporary homes, on \
loopback addresses of their own, and are ended by their own pids. What you see of each is what its \
person would see; a line that begins with `ok` is asked of the nodes before it is printed.

Exit codes: 0 when everything held that was shown, 1 otherwise.";
