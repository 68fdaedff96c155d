-- Bo restarts in the middle of a conversation: the same participant in a later run, and nothing is shown twice.
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

bo:crash{ unsynced = "lose" }
wait_until("ana misses bo", "20s", function() return ana:member(bo).state == "unreachable" end)
local meanwhile = ana:tell(bo, "are you there?")
wait("2s")
expect.outcome(meanwhile, bo, "waiting")

bo:restart()
wait_until("bo is back", "30s", room.converged)
expect.is_true(ana:member(bo).incarnation > first, "a later run")

wait_until("bo has what waited", "30s", function() return ana:delivery(meanwhile, bo).outcome == "delivered" end)
expect.shown_once(bo, before)
expect.shown_once(bo, meanwhile)
expect.not_shown(cy, meanwhile)
