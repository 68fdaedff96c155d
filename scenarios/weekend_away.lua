-- A member that was in the room before anybody spoke goes away. What was said meanwhile is no history from
-- before its time, though nothing that anybody said is on its disk: it gets all of it, or is told what it lacks.
scenario{
  name = "a weekend away",
  about = "who was in the room before anybody spoke gets what it missed, or is told that it is missing",
  settle = false,
}

local ana, bo, cy = room.nodes{ "ana", "bo", "cy" }
net.default{ delay = "5ms" }
wait_until("all see all", "30s", room.converged)
wait("15s")
bo:crash()
wait_until("bo is missed", "30s", function() return ana:member(bo).state == "unreachable" end)

local friday = ana:say("friday evening")
for i = 2, 600 do
  ana:say("x")
  if i % 50 == 0 then wait("50ms") end
end
wait("15s")
local sunday = ana:say("sunday")
wait("5s")

bo:restart()
wait_until("bo shows what was said last", "60s", function() return bo:shows(sunday) end)
wait("30s")
-- It asks for the newest five hundred of a run; what is older exists, and it says so.
expect.is_true(not bo:shows(friday), "the first is further back than it asks")
local gaps = bo:gaps()
expect.is_true(#gaps == 1 and gaps[1].first == 1 and gaps[1].last == 101, "what is older is a gap, told as one")
