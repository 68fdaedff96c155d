-- bo restarts in the middle of a conversation: the same participant in a later run. What its old run sent still lies in the
-- network and arrives after the new one has begun: it is turned away, and nobody's view changes by it. Nothing is shown twice,
-- and what waited arrives.
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

-- On its way from bo to ana everything takes 15 s now. bo speaks and is killed; its next run is there before its words are.
local second = ana:member(bo).incarnation
local slow = net.link{ from = bo, to = ana, delay = "15s" }
local last_words = bo:say("the last words of this run")
wait_until("bo has them on its disk", "10s", function() return bo:shows(last_words) end)
wait("1.5s")
bo:crash()
slow:heal()
local stale = ana:status().messages.stale
bo:restart()
wait_until("ana knows the new run", "20s", function() return ana:member(bo).incarnation > second end)

-- Those words are not lost: cy has them, and bo kept them. They come by either way, and are words of the run that said them.
wait_until("all have the last words", "60s", function() return ana:shows(last_words) and cy:shows(last_words) end)
wait_until("bo knows it", "60s", function()
  local delivery = bo:delivery(last_words, ana)
  return not delivery or delivery.outcome == "delivered"
end)
expect.equal(ana:why(last_words).incarnation, second, "the run that said them")

-- What the old run sent comes now, and changes nothing: neither how the words came to ana, nor what it holds of bo.
expect.equal(ana:status().messages.stale, stale, "what has been turned away so far")
local sources, told = ana:why(last_words).sources, ana:saw(bo)
wait_until("what the old run sent is turned away", "30s", function() return ana:status().messages.stale > stale end)
wait("3s")
expect.equal(ana:why(last_words).sources, sources, "how the words came to ana")
expect.equal(ana:saw(bo), told, "what ana told of bo")
expect.sees({ ana, cy }, bo, "alive")
expect.is_true(ana:member(bo).incarnation > second, "the new run")
expect.never_saw({ ana, cy }, { ana, cy }, "suspect")
expect.never_saw(bo, { ana, cy }, "unreachable")
for _, message in ipairs{ before, last_words } do expect.shown_once({ ana, bo, cy }, message) end
expect.shown_once(bo, meanwhile)
expect.not_shown(cy, meanwhile)
