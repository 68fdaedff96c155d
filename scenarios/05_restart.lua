-- bo restarts in the middle of a conversation: the same participant in a later run. What its old run sent still lies in the
-- network and arrives after the new one has begun: it is turned away. Nothing is shown twice, and what waited arrives.
scenario{
  name = "restart",
  about = "a restarted node is recognised, its old run is void, and what it had shown is not shown again",
  swarm = true,
}
local ana, bo, cy = room.nodes{ "ana", "bo", "cy" }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)
local first = ana:member(bo).incarnation

local before = ana:say("before the restart")
wait_until("bo shows it", "20s", function() return bo:shows(before) end)

bo:crash()
wait_until("ana misses bo", "20s", function() return ana:member(bo).state == "unreachable" end)
local meanwhile = ana:tell(bo, "are you there?")
wait("2s")
expect.outcome(meanwhile, bo, "waiting")

bo:restart()
wait_until("bo is back", "30s", room.converged)
expect.equal(ana:member(bo).id, bo.id, "the same participant")
expect.is_true(ana:member(bo).incarnation > first, "a later run")
wait_until("bo has what waited", "30s", function() return ana:delivery(meanwhile, bo).outcome == "delivered" end)

-- On its way from bo to ana everything takes 5 s now. bo speaks and is killed; its next run is there before its words are.
local second = ana:member(bo).incarnation
local slow = net.link{ from = bo, to = ana, delay = "5s" }
local last_words = bo:say("the last words of this run")
wait_until("bo has them on its disk", "10s", function() return bo:shows(last_words) end)
wait("1.5s")
bo:crash()
slow:heal()
local stale = ana:status().messages.stale
bo:restart()
wait_until("ana knows the new run", "20s", function() return ana:member(bo).incarnation > second end)
wait_until("what the old run sent is turned away", "20s", function() return ana:status().messages.stale > stale end)
expect.sees(ana, bo, "alive")

-- Those words are not lost: bo kept them, and they come by asking.
wait_until("all have the last words", "60s", function() return ana:shows(last_words) and cy:shows(last_words) end)
for _, message in ipairs{ before, last_words } do expect.shown_once({ ana, bo, cy }, message) end
expect.shown_once(bo, meanwhile)
expect.not_shown(cy, meanwhile)
