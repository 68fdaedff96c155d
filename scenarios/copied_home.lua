-- bo's home is copied to a second machine, keys and all, and both start: a restored backup, a cloned disk. Elsewhere the two fight over
-- one name for ever, and what one reads the other misses. Here both find out, say what to do, and say nothing more: nobody is told
-- two things in one name. Then the person does it.
scenario{
  name = "copied home",
  about = "a home and its copy find each other out, fall silent and say what to do; one of them then goes on",
}
local ana, bo, cy = room.nodes{ "ana", "bo", "cy" }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)
local before = bo:say("I am one")
wait_until("all have it", "30s", function() return ana:shows(before) and cy:shows(before) end)

bo:crash()
local copy = room.homes{ "copy" }
copy:copy(bo)
bo:start()
copy:start()
wait_until("somebody is told", "60s", function() return #bo:alarms() + #copy:alarms() > 0 end)
wait("30s")
-- Whoever was told says what to do, and says nothing to the room.
for _, node in ipairs{ bo, copy } do
  for _, alarm in ipairs(node:alarms()) do
    expect.is_true(alarm:find("copy of this home", 1, true), alarm)
    expect.is_true(alarm:find("stop one of the two", 1, true), alarm)
  end
  if #node:alarms() > 0 then expect.refused(function() node:say("which one?") end, "copy of this home") end
end
-- The others noticed no more than a member that restarted.
expect.sees(ana, cy, "alive")
expect.never_saw({ ana, cy }, { ana, cy }, "suspect")
expect.equal(#ana:alarms() + #cy:alarms(), 0, "alarms of the others")

-- The person stops the copy, and starts bo anew.
copy:crash()
bo:restart()
wait_until("bo is back", "30s", room.converged)
local after = bo:say("I am one again")
wait_until("all have it", "30s", function() return ana:shows(after) and cy:shows(after) end)
expect.shown_once({ ana, bo, cy }, before)
expect.shown_once({ ana, bo, cy }, after)
