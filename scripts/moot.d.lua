---@meta
-- What scripts may call, for editors. Written from src/lua/surface.rs by
-- `UPDATE=1 cargo test --test surface`, and held to it by that test.

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
---@field recovered boolean Whether it came late, because this node was away or did not get it.
---@field via? string Who passed it on, where that was not its author.
---@field late_ms? integer How late it came, where it was recovered.

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
---@field attempts integer
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

---A member as this node sees it. What is not known is missing.
---@class moot.MemberStatus
---@field id string
---@field nick string
---@field incarnation integer The member's run.
---@field state "alive"|"suspect"|"unreachable"|"left" The room's verdict.
---@field heard_ms_ago? integer When this node heard it last.
---@field hears_me? boolean Whether it hears this node.
---@field rtt_us? integer Round trip, in microseconds.
---@field loss? number Of the worse direction, from 0 to 1.
---@field degraded boolean Whether it is alive, but only just.
---@field evidence table[] What the state rests on.

---The node that the script runs beside.
moot = {}

---Registers a hook. Several hooks of one event are called in the order in which they were registered.
---@param event "message"|"private"|"member"|"delivery"|"gap"|"datagram" What to be told of; see below.
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
