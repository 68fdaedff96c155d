-- bo's clock is ten years ahead, cy's ten years behind. Elsewhere the one's words stand above all others for ten years, the other's are
-- thrown away as stale, and once a clock is set right its node is taken for an old one. Here nothing that is correct rests on a
-- clock: runs only grow, words arrive once and in order, who was away gets them all, and the times are shown as claims.
scenario{
  name = "clock ten years off",
  about = "clocks that are wrong by years change no order, lose no word and keep nobody out, nor does setting them right",
  swarm = { "loss=5%", "duplicate=10%", "disk=20ms", "drift=200" },
}
local ten_years = 3653 * 24 * 3600
local ana = room.nodes{ "ana" }
local bo, cy, dee = room.homes{ "bo", "cy", "dee" }
net.default{ delay = "20ms", jitter = "10ms" }
bo:clock{ jump = "3653d" }
cy:clock{ jump = "-3653d" }
for _, node in ipairs{ bo, cy, dee } do node:start() end
wait_until("all see all", "30s", room.converged)
expect.is_true(ana:member(bo).incarnation - ana:member(cy).incarnation > 2 * ten_years - 60, "what their runs are counted from")

-- dee misses a talk, and fetches all of it.
dee:crash()
wait_until("dee is missed", "15s", function()
  return ana:member(dee).state == "unreachable" and bo:member(dee).state == "unreachable"
end)
local said = {}
for round = 1, 3 do
  for _, node in ipairs{ ana, bo, cy } do
    local message = node:say(node.name .. " " .. round)
    said[#said + 1] = message
    wait_until("those who run have it", "60s", function() return ana:shows(message) and bo:shows(message) and cy:shows(message) end)
  end
end
dee:start()
wait_until("dee is back", "30s", room.converged)
wait_until("dee has all of it", "120s", function()
  for _, message in ipairs(said) do
    if not dee:shows(message) then return false end
  end
  return true
end)
for _, message in ipairs(said) do expect.shown_once(room.all(), message) end
expect.equal(#dee:gaps(), 0, "gaps")
local at = 0
for _, message in ipairs(dee:log()) do
  at = at + 1
  expect.equal(message.id, said[at].id, "what stands at " .. at)
end

-- Both clocks are set right while their nodes run. Nobody notices.
bo:clock{ jump = "-3653d" }
cy:clock{ jump = "3653d" }
wait("10s")
expect.never_saw({ ana, bo, cy }, { ana, bo, cy }, "suspect")
local private = bo:tell(cy, "what time is it?")
wait_until("delivered", "60s", function() return bo:delivery(private, cy).outcome == "delivered" end)

-- And after a restart each is in a higher run, bo's as well: it counts on from where its clock had put it.
local runs = { bo = ana:member(bo).incarnation, cy = ana:member(cy).incarnation }
for _, node in ipairs{ bo, cy } do
  node:restart()
  wait_until(node.name .. " is back", "30s", room.converged)
  expect.is_true(ana:member(node).incarnation > runs[node.name], "a later run of " .. node.name)
end
local last = bo:say("it is now")
wait_until("all have it", "60s", function()
  for _, node in ipairs(room.all()) do
    if not node:shows(last) then return false end
  end
  return true
end)
expect.shown_once(room.all(), last)
expect.shown_once(cy, private)

-- A backup from before bo's clock was wrong, on a machine whose clock is ten years behind: its run begins far below one that the others
-- know. They show it, and it goes above.
cy:snapshot("before")
wait("5s")
cy:restart()
wait_until("cy is back", "30s", room.converged)
local forgotten = cy:say("this is not in the backup")
wait_until("all have it", "60s", function()
  return ana:shows(forgotten) and bo:shows(forgotten) and cy:shows(forgotten) and dee:shows(forgotten)
end)
local known = ana:member(cy).incarnation
cy:crash()
cy:rollback("before")
cy:clock{ jump = "-3653d" }
cy:start()
wait_until("cy is back in a higher run", "30s", function()
  return room.converged() and ana:member(cy).incarnation > known
end)
local new = cy:say("what year is it?")
wait_until("all have all", "90s", function()
  for _, node in ipairs(room.all()) do
    if not node:shows(new) then return false end
  end
  return cy:shows(forgotten)
end)
expect.shown_once({ ana, bo, dee }, forgotten)
expect.shown_once(room.all(), new)
expect.equal(#cy:alarms(), 0, "alarms")
