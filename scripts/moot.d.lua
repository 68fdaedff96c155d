---@meta
-- What scripts may call, for editors. Written from the tables in src/lua/surface.rs and
-- src/scenario/words/surface.rs by `UPDATE=1 cargo test --test surface`, and held to them by that test.

---What the hooks `message` (said to the room) and `private` (told to this node alone) are given: a message of somebody else's, once it is on this node's disk.
---@class moot.Message
---@field event "message"
---@field n integer The number of the event on this node.
---@field at integer When the node told it, in milliseconds since the epoch.
---@field cause? table The event or the datagram that led to it.
---@field id string Names the message everywhere.
---@field handle string Short, for people.
---@field kind "group"|"private"
---@field from string The author's id.
---@field nick string The author's nick.
---@field to? string The receiver's id, of a private message.
---@field seq integer Its place among what the author said to the room, or to this node, in one run.
---@field incarnation integer The author's run.
---@field text string What was said.
---@field said_at integer When the author claims to have said it, in milliseconds since the epoch.
---@field received_at? integer When it came to this node, or was said here: in a log only; an event has `at`.
---@field recovered boolean Whether it came late, because this node was away or did not get it.
---@field via? string Who passed it on, where that was not its author.
---@field late_ms? integer How long after `said_at` it is shown, where it was recovered or later ones of its author were shown before; for another, `at` less `said_at` tells, by two clocks.

---What the hook `member` is given: the state of a member changed.
---@class moot.Member
---@field event "member"
---@field n integer The number of the event on this node.
---@field at integer When the node told it, in milliseconds since the epoch.
---@field cause? table The event or the datagram that led to it.
---@field id string
---@field nick string
---@field state "alive"|"suspect"|"unreachable"|"left"
---@field incarnation integer The member's run; it grows with each start.
---@field evidence table[] Why: each item says who reported what, and when.

---What the hook `delivery` is given: the delivery of a message of this node's to one member changed its outcome.
---@class moot.Delivery
---@field event "delivery"
---@field n integer The number of the event on this node.
---@field at integer When the node told it, in milliseconds since the epoch.
---@field cause? table The event or the datagram that led to it.
---@field id string The message.
---@field handle string The message, for people.
---@field member string The receiver's id.
---@field nick string The receiver's nick.
---@field outcome "waiting"|"sending"|"delivered"|"unknown"|"refused"|"expired" `delivered` rests on the receiver's signature; `unknown` may still become `delivered`.
---@field attempts integer As far as they are counted.
---@field tries_may_be_missing? boolean An earlier run of the node may have sent it more often.
---@field latency_us? integer From the commit here to the receipt, in microseconds.
---@field reason? string Why, where the receiver or the disk gave a reason.

---What the hook `gap` is given: messages of one author exist, and nobody who was asked could give them.
---@class moot.Gap
---@field event "gap"
---@field n integer The number of the event on this node.
---@field at integer When the node told it, in milliseconds since the epoch.
---@field cause? table The event or the datagram that led to it.
---@field author string An id.
---@field nick string The author's.
---@field incarnation integer The author's run.
---@field first integer The first that is missing.
---@field last integer The last.
---@field asked table[] Who was asked, and what each answered.
---@field of_earlier_run? boolean Whether a newer run of the author is known here.

---What the hook `datagram` is given: one datagram on its way out of this node or into it. What it says is encrypted, and not shown.
---@class moot.Datagram
---@field way "out"|"in"
---@field peer? string The nick of the member at the other end, where it is known.
---@field bytes integer Its length.
---@field n integer Its number among those that went this way between the two, from 1.

---What the hook `datagram` may answer, beside `"drop"` and nothing.
---@class moot.Fate
---@field delay? string|number How much later it goes on; at most 1 minute.
---@field copies? integer How many go on, 1 to 10.

---A message of this node's own. How its deliveries end is told to the hook `delivery`.
---@class moot.Sent
---@field id string Names the message everywhere.
---@field handle string Short, for people.
---@field kind "group"|"private"
---@field deliveries table[] One item a receiver, with its `nick`, `outcome` and `attempts`.
---@field sample_of? integer Of how many members the deliveries are a sample, where the room is too large to ask all of it.

---A member as this node sees it. What is not known is missing.
---@class moot.MemberStatus
---@field id string
---@field nick string
---@field incarnation integer The member's run.
---@field you? boolean Whether it is this node.
---@field state "alive"|"suspect"|"unreachable"|"left" The room's verdict.
---@field since_ms_ago integer For how long it has been in this state here.
---@field heard_ms_ago? integer When this node heard it last.
---@field hears_me? boolean Whether it hears this node.
---@field rtt_us? integer Round trip, in microseconds.
---@field loss? number Of the worse direction, from 0 to 1.
---@field degraded boolean Whether it is alive, but only just.
---@field evidence table[] What the state rests on.

---The node that the script runs beside.
moot = {}

---Registers a hook. Several hooks of one event are called in the order in which they were registered.
---@param event "message"|"private"|"member"|"delivery"|"gap"|"datagram" What to be told of; the table of hooks says of what each tells.
---@param hook fun(event: table): any Is called with the event, each time.
function moot.on(event, hook) end

---Calls a function again and again, for the first time after one period.
---@param period string|number A duration as `"30s"`, or a number of seconds; at least 10 ms.
---@param hook fun(): boolean? Is called each time; once it returns `false` it is not called again.
function moot.every(period, hook) end

---Calls a function later.
---@param delay string|number A duration as `"5s"`, or a number of seconds; at least 10 ms.
---@param hook fun() Is called once.
function moot.after(delay, hook) end

---Says something to the room. A script may send 10 messages in a burst, and then one a second; more is an error.
---@param text string UTF-8, up to 16 KiB.
---@return moot.Sent # the message, and its deliveries as they begin
function moot.say(text) end

---Tells something to one member. It counts with `moot.say`.
---@param to string A nick, `nick~` and the beginning of an id where two share the nick, or an id.
---@param text string UTF-8, up to 16 KiB.
---@return moot.Sent # the message, and its delivery as it begins
function moot.tell(to, text) end

---Who is in the room, as `moot who --json` prints it.
---@return moot.MemberStatus[] # one item a member, the node's own among them
function moot.members() end

---How the node stands, as `moot status --json` prints it.
---@return table # for instance `moot.status().node.nick`
function moot.status() end

---The evidence for what the node claims, as `moot why --json` prints it.
---@param what string A member, as for `moot.tell`, or the whole id of a message.
---@return table # for instance `moot.why("bo").verdict.reports`
function moot.why(what) end

---Makes the node's network bad on purpose, or good again.
---@param spec string As for `moot fault`: `"drop 20% to bo"`, or `"off"`.
---@return string[] # the faults that are on now
function moot.fault(spec) end

---Writes a line: an event `script` of `moot node`, a line on the screen of `moot chat`. `print` does the same.
---@param ... any What to write, as `print` would.
function moot.log(...) end

---The nodes together.
room = {}

---The network between them.
net = {}

---What must be true now.
expect = {}

---The run itself.
sim = {}

---Chance, drawn from the seed.
rng = {}

---@class Node
---@field name string
---@field id string
Node = {}

---@class Said
---@field id string
---@field text string
---@field by Node
---@field to Node?
Said = {}

---@class Fault
Fault = {}

---Begins the scenario. It stands once, before all else.
---@param options table `name` (needed), `about`, `settle`: how long the room may take to come to rest at the end, or `false`; `swarm`: `true`, or a list of background faults; `crypto`: `"real"` or `"plain"`; `limit`: how long the run may take of its own time, where an hour is too short.
function scenario(options) end

---Lets time pass.
---@param span string|number A time such as `"1.5s"`, or a number of seconds.
function wait(span) end

---Lets time pass until something is true; the run fails where it does not come true in time.
---@param what string What is waited for; a failure says it.
---@param limit string|number How long at most.
---@param condition fun(): any Asked at once, and again whenever something changed.
function wait_until(what, limit, condition) end

---Runs a function beside the scenario, which is over when both are.
---@param fn fun(...) Runs beside the scenario, and may wait too.
---@param ... any What it is called with.
function spawn(fn, ...) end

---Writes a line into the trace. `print` does the same.
---@param text any Written into the trace.
function log(text) end

---Makes machines, starts a node on each, and lets them meet through the first machine of the room.
---@param names string[] New names; each keeps to the rules of a nick.
---@return Node # one for each name
function room.nodes(names) end

---Makes machines on which nothing runs yet.
---@param names string[] New names; each keeps to the rules of a nick.
---@return Node # one for each name
function room.homes(names) end

---Makes and starts many nodes: `n1`, `n2` and so on.
---@param count integer How many.
---@param prefix? string How their names begin; `n`.
---@return Node[] # all of them
function room.crowd(count, prefix) end

---Finds a node.
---@param name string A name.
---@return Node # the node of that name
function room.node(name) end

---All nodes.
---@return Node[] # in the order in which they were made
function room.all() end

---The nodes that run and are not paused.
---@return Node[] # in the order in which they were made
function room.running() end

---Whether all nodes that run hold alive, in their present runs, just those that run.
---@return boolean # whether they do
function room.converged() end

---Splits the nodes in two.
---@param count? integer How many come first; without it two parts are drawn from the seed.
---@return Node[], Node[] # the two parts
function room.split(count) end

---Sets what every link does, each way. What is not named stays as it is; `false` takes it back, as `cut = false`.
---@param faults table `loss`, `duplicate`, `corrupt`, `truncate` (shares: `0.05` or `"5%"`), `delay` and `jitter` (times), `burst`, `reorder`, `rate`, `cut`, in the words of `moot fault`; or whole specs as texts.
function net.default(faults) end

---Puts faults on some links.
---@param options table `from`, `to`: a node or a list, any where left out; `both = true`: both ways; and faults, as in `net.default`.
---@return Fault # heals it
function net.link(options) end

---Lets nothing pass, one way.
---@param options { from: Node|Node[], to: Node|Node[] } Either may be left out.
---@return Fault # heals it
function net.cut(options) end

---Lets nothing pass between two sides, either way.
---@param one Node|Node[] One side.
---@param other Node|Node[] The other side.
---@return Fault # heals it
function net.partition(one, other) end

---Takes off all faults of links and partitions; `net.default` stays.
function net.heal() end

---Takes the fault off.
function Fault:heal() end

---Whether the fault is on.
---@return boolean # whether it is
function Fault:is_on() end

---Says something to the room. A refusal is an error.
---@param text string UTF-8, up to 16 KiB.
---@return Said # the message
function Node:say(text) end

---Tells something to one member. A refusal is an error.
---@param to Node The receiver.
---@param text string UTF-8, up to 16 KiB.
---@return Said # the message
function Node:tell(to, text) end

---Starts a process on the home.
function Node:start() end

---Dials the address of a member.
---@param through Node A member of the room.
function Node:join(through) end

---Says goodbye and ends.
function Node:leave() end

---Ends the process at once, as `kill -9` or a power cut would.
---@param options? { unsynced: "keep"|"lose"|"torn" } What becomes of what was not synced: it got there (the default), it is lost, or some of it is.
function Node:crash(options) end

---Crashes the process if it runs, and starts another.
---@param options? { unsynced: "keep"|"lose"|"torn" } What becomes of what was not synced: it got there (the default), it is lost, or some of it is.
function Node:restart(options) end

---Stops the process where it stands.
function Node:pause() end

---Lets it go on.
function Node:resume() end

---Whether a process runs.
---@return boolean # whether one does, paused or not
function Node:is_running() end

---The status of the node.
---@return table # as `moot status --json`
function Node:status() end

---The members that it knows.
---@return moot.MemberStatus[] # as in its status
function Node:members() end

---What it holds of one member.
---@param of Node The member.
---@return moot.MemberStatus? # nil where it does not know it
function Node:member(of) end

---The evidence about a member or a message.
---@param what Node|Said A member or a message.
---@return table? # as `moot why --json`
function Node:why(what) end

---How the delivery of a message that it sent stands.
---@param message Said As `say` or `tell` gave it.
---@param to Node The member.
---@return table? # its `outcome`, `attempts`, `tries_may_be_missing`, `latency_us`, `tries` and `receipt`; nil where it does not go there
function Node:delivery(message, to) end

---Whether the message was shown there.
---@param message Said As `say` or `tell` gave it.
---@return boolean # whether it was
function Node:shows(message) end

---What others said that was shown there, across restarts.
---@return string[] # `ana: hello`, in order
function Node:screen() end

---Its durable log, its own messages included; the node may be down.
---@return moot.Message[] # oldest first
function Node:log() end

---In which states it told that the member is, since the run began, across restarts.
---@param of Node The member.
---@return string[] # `alive`, `suspect` and so on, in order
function Node:saw(of) end

---What it warned its person of: an author that told different people different things, for one.
---@return string[] # oldest first, across restarts
function Node:alarms() end

---The gaps that it knows.
---@return moot.Gap[] # as `moot gaps --json`
function Node:gaps() end

---Makes the clock wrong.
---@param options { jump: string?, drift: integer? } `jump`: the wall clock jumps by `"1h"` or `"-90s"`; `drift`: both clocks run faster by so many parts per million.
function Node:clock(options) end

---Makes the disk full or slow.
---@param options { full: boolean?, latency: string? } `full`: takes nothing more; `latency`: how long each commit takes.
function Node:disk(options) end

---Remembers what is on the disk now.
---@param name string For `rollback`.
function Node:snapshot(name) end

---Puts the disk back. The node must be down.
---@param name string Of a snapshot.
function Node:rollback(name) end

---Makes the home a copy of another, keys and all. The node must be down.
---@param from Node Whose home.
function Node:copy(from) end

---Puts on faults of the node's own.
---@param spec string As `moot fault` takes it, or `off`.
function Node:fault(spec) end

---Ends the process at its next commit, at just this place around it.
---@param when "before"|"unreported"|"after" Before the commit, so that it is lost; between it and the report to the node; or after that, before anything follows from it.
function Node:crash_at_commit(when) end

---Lets its loop wake up late from now on.
---@param lag string|number How late.
function Node:stall(lag) end

---Has the member send to `to` what it signs itself, in the name of another. Needs the simulator, as all lies do.
---@param options { to: Node|Node[], as: Node?, text: string?, private: boolean?, of: Said?, receipt: Said?, leave: boolean?, card: boolean? } `as` and `text`: a message in another's name, to the room or with `private = true` to `to` alone; `of` and `text`: a message of the room with another text under its own signature; `as` and `receipt`: a receipt in another's name for a message of `to`; `as` and `leave = true` or `card = true`: another's goodbye, or its card of a later run.
---@return Said? # the message that nobody said, where it is one
function Node:forge(options) end

---Has the member sign two messages to the room under one number, and send one to each of two others.
---@param options { to: Node[], texts: string[] } Two nodes, and the text for each.
---@return Said, Said # the two messages
function Node:equivocate(options) end

---Has the member claim that it holds, and can give, messages that do not exist.
---@param options { to: Node|Node[], of: Node, more: integer } Whom it tells, whose messages it claims to hold, and how many more than it knows.
function Node:boast(options) end

---Has the member say that another is silent.
---@param options { to: Node|Node[], of: Node, as: Node?, verdict: boolean? } Whom it tells, and of whom; with `as`, that this one reports it; with `verdict = true` too, that both do, and it is unreachable.
function Node:slander(options) end

---Has the member say that it heard another just now.
---@param options { to: Node|Node[], of: Node, ahead: integer? } Whom it tells, of whom, and how many heartbeats further than can be.
function Node:vouch(options) end

---Has the member remember the datagrams that leave on some links from now on, the newest 4,096.
---@param options? { from: Node?, to: Node? } Which links; without both, its own.
function Node:listen(options) end

---Has the member send again the datagrams that it remembers, each to whom it was for and as from where it came.
---@param options? { from: Node?, to: Node?, last: integer? } Which of them: from whom, for whom, the newest of these; without any, all.
---@return integer # how many
function Node:replay(options) end

---Has the member send so many to each of `to` at once.
---@param options { to: Node|Node[], with: "noise"|"data"|"handshakes"|"frames"|"forgeries"|"messages"|"pulls"|"frontiers", count: integer } `noise`: random bytes; `data`: datagrams of sessions that do not exist; `handshakes`: ones that are never finished; `frames`: frames that say nothing; `forgeries`: messages in others' names; `messages`: messages of its own; `pulls`, `frontiers`: questions that are answered at length.
function Node:flood(options) end

---Two values are equal; tables are where all their fields are, nested ones too.
---@param found any 
---@param wanted any 
---@param what? string What it is about; the failure says it.
function expect.equal(found, wanted, what) end

---Two values differ.
---@param a any 
---@param b any 
---@param what? string What it is about; the failure says it.
function expect.differ(a, b, what) end

---A value is neither `nil` nor `false`.
---@param found any 
---@param what? string What it is about; the failure says it.
function expect.is_true(found, what) end

---A value is `nil` or `false`.
---@param found any 
---@param what? string What it is about; the failure says it.
function expect.is_false(found, what) end

---The message was shown there.
---@param on Node|Node[] Where.
---@param message Said As `say` or `tell` gave it.
function expect.shown(on, message) end

---It was shown there, and not twice, across restarts.
---@param on Node|Node[] Where.
---@param message Said As `say` or `tell` gave it.
function expect.shown_once(on, message) end

---It was not shown there.
---@param on Node|Node[] Where.
---@param message Said As `say` or `tell` gave it.
function expect.not_shown(on, message) end

---A delivery stands so, as its sender tells it.
---@param message Said As `say` or `tell` gave it.
---@param to Node The member.
---@param outcome "waiting"|"sending"|"unknown"|"refused"|"expired"|"delivered" 
function expect.outcome(message, to, outcome) end

---The observers hold the member so.
---@param observers Node|Node[] Who looks.
---@param subject Node At whom.
---@param state "alive"|"suspect"|"unreachable"|"left" 
function expect.sees(observers, subject, state) end

---None of the observers ever told that one of the members is so, since the run began. Nobody looks at itself.
---@param observers Node|Node[] Who looks.
---@param subjects Node|Node[] At whom.
---@param state "alive"|"suspect"|"unreachable"|"left" 
function expect.never_saw(observers, subjects, state) end

---The node refuses.
---@param fn fun() Has a node say or tell something.
---@param words? string Of the refusal.
function expect.refused(fn, words) end

---The room comes to rest within the limit: views equal, every message shown or a gap, nothing left unsettled.
---@param limit? string|number How long it may take; as `settle` of the scenario.
function expect.settled(limit) end

---Time since the run began.
---@return number # in seconds
function sim.now() end

---The seed of the run.
---@return integer # 0 where none was given
function sim.seed() end

---A number.
---@param bound integer Above 0.
---@return integer # from 0 to `bound` - 1
function rng.below(bound) end

---An element of a list.
---@param list any[] Not empty.
---@return any # an element
function rng.pick(list) end

---The list in another order.
---@param list any[] 
---@return any[] # a new list
function rng.shuffle(list) end

---A toss.
---@param percent integer 0 to 100.
---@return boolean # true for so many of a hundred
function rng.chance(percent) end
