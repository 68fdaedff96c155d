-- bo's home is copied to a second machine, keys and all, and both start: a restored backup, a cloned disk, a thief. Elsewhere the two
-- fight over one name for ever, and what one reads the other misses. Here the one with the lower run, which is the one that started
-- first, meets the other's card at a member of both, says what to do, and says nothing more to the room. The other is not told, and
-- speaks on; once the first starts anew it has the higher run, and the other is told and silenced.
scenario{
  name = "copied home",
  about = "of a home and its copy the one that started first is told what to do and falls silent; started anew it silences the other",
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
wait("5s")
copy:start()

-- Whoever is told says what to do, and says nothing to the room.
local function is_told(node)
  local alarm = node:alarms()[1]
  expect.is_true(alarm:find("copy of this home", 1, true), alarm)
  expect.is_true(alarm:find("stop one of the two", 1, true), alarm)
  expect.refused(function() node:say("which one?") end, "copy of this home")
end
wait_until("bo is told", "60s", function() return #bo:alarms() > 0 end)
is_told(bo)
-- The copy knows nothing of it, and the room hears it as bo.
wait("30s")
expect.equal(#copy:alarms(), 0, "alarms of the copy")
local foreign = copy:say("I am one, too")
wait_until("all have it", "30s", function() return ana:shows(foreign) and cy:shows(foreign) end)

-- The person starts bo anew: now it is the copy that falls silent.
bo:restart()
wait_until("the copy is told", "60s", function() return #copy:alarms() > 0 end)
is_told(copy)
wait("5s")
local after = bo:say("I am one again")
wait_until("all have it", "30s", function() return ana:shows(after) and cy:shows(after) end)
expect.equal(#bo:alarms(), 1, "alarms of bo: the first is the last")
-- The others noticed no more than a member that restarted.
expect.sees(ana, cy, "alive")
expect.never_saw({ ana, cy }, { ana, cy }, "suspect")
expect.equal(#ana:alarms() + #cy:alarms(), 0, "alarms of the others")

-- And stops the copy.
copy:crash()
wait_until("all is quiet", "30s", room.converged)
expect.shown_once({ ana, bo, cy }, before)
expect.shown_once({ ana, cy }, foreign)
expect.shown_once({ ana, bo, cy }, after)
