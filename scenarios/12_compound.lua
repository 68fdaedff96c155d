-- Trouble on top of trouble: one node dies during a partition, another in the middle of its own recovery. What each screen
-- says can still be traced: who called whom unreachable, who gave what, and which run it was.
scenario{
  name = "compound",
  about = "crashes during a partition and during a recovery leave nothing unexplained",
  swarm = true,
}
local ana, bo, cy, dee, eve = room.nodes{ "ana", "bo", "cy", "dee", "eve" }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)
local first_run = ana:member(eve).incarnation

local function has_all(node, messages)
  local held = {}
  for _, message in ipairs(node:log()) do held[message.id] = (held[message.id] or 0) + 1 end
  for _, message in ipairs(messages) do
    if held[message.id] ~= 1 then return false end
  end
  return true
end

-- The network splits; on the smaller side eve speaks and dies, so that only dee has its words.
local cut = net.partition({ ana, bo, cy }, { dee, eve })
wait_until("dee misses ana", "30s", function() return dee:member(ana).state == "unreachable" end)
local words = eve:say("remember this")
wait_until("dee has it", "20s", function() return dee:shows(words) end)
eve:crash()
wait_until("dee misses eve", "30s", function() return dee:member(eve).state == "unreachable" end)

-- On the larger side much is said while cy is down.
cy:crash()
local missed = {}
for number = 1, 40 do
  missed[number] = (number % 2 == 0 and ana or bo):say("message " .. number)
  wait("50ms")
end

-- cy returns on a narrow link, asks, and is killed when it has the first answers and not the last; the network heals meanwhile.
local narrow = net.link{ from = { ana, bo }, to = cy, rate = "10kbit/500ms" }
cy:restart()
wait_until("cy's recovery has begun", "30s", function() return cy:shows(missed[1]) end)
cy:crash()
expect.is_false(has_all(cy, missed), "cy was killed when it had everything")
narrow:heal()
cut:heal()
cy:restart()

wait_until("those who run see each other", "60s", room.converged)
-- What cy stored in the moment before it was killed is in its log, though it was never on its screen.
wait_until("all of them have everything", "90s", function()
  for _, node in ipairs{ ana, bo, dee } do
    for _, message in ipairs(missed) do
      if not node:shows(message) then return false end
    end
    if not node:shows(words) then return false end
  end
  return has_all(cy, missed) and has_all(cy, { words })
end)
for _, message in ipairs(missed) do expect.shown_once({ ana, bo, dee }, message) end

-- eve is dead, and its words reached ana all the same; ana can say by whom, and which run said them.
local source = ana:why(words).sources[1]
expect.is_true(source.recovered, "it came by asking")
expect.differ(source.via, eve.id, "who gave it")
expect.equal(ana:why(words).incarnation, first_run, "the run that said it")
-- And why eve counts as gone, with reports that name their authors and the run that they miss.
wait_until("ana misses eve", "30s", function() return ana:member(eve).state == "unreachable" end)
local reports = ana:why(eve).verdict.reports
expect.is_true(#reports > 0, "who did not hear eve")
for _, report in ipairs(reports) do
  expect.differ(report.by, eve.id, "who reports eve")
  expect.equal(report.run.incarnation, first_run, "the run that is missed")
end

eve:restart()
wait_until("the room is whole", "60s", room.converged)
expect.is_true(ana:member(eve).incarnation > first_run, "eve is in a later run")
wait_until("eve has what was said", "60s", function() return has_all(eve, missed) end)
expect.shown_once(room.all(), words)
expect.equal(ana:why(words).incarnation, first_run, "the run that said it, still")
