-- Of what bo sends and of what is sent to bo 80 % is lost. Elsewhere one half-dead member makes everybody flap: it accuses those
-- whom it does not hear, and is believed. Here the others never doubt each other for it, bo shows as what it is, and what it says
-- arrives all the same.
scenario{
  name = "bad radio",
  about = "a member that loses 80 % each way makes nobody else flap, and its words arrive",
  swarm = { "duplicate=10%", "disk=20ms", "stall=50ms", "drift=200" },
}
local ana, bo, cy, dee, eve, fay = room.nodes{ "ana", "bo", "cy", "dee", "eve", "fay" }
local all = room.all()
local others = { ana, cy, dee, eve, fay }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)

net.link{ from = bo, loss = 0.8 }
net.link{ to = bo, loss = 0.8 }
wait("20s")
local to_room = bo:say("my radio is bad")
local private = ana:tell(bo, "stand still")
local seen_degraded = {}
for _ = 1, 60 do
  wait("1s")
  for _, node in ipairs(others) do
    local member = node:member(bo)
    if member.degraded or member.state ~= "alive" then seen_degraded[node.name] = true end
  end
end
for _, node in ipairs(others) do
  expect.is_true(seen_degraded[node.name], node.name .. " showed that something is wrong with bo")
end
expect.never_saw(others, others, "suspect")
wait_until("bo's words are there", "120s", function()
  for _, node in ipairs(others) do
    if not node:shows(to_room) then return false end
  end
  return true
end)
wait_until("and those to bo", "300s", function() return ana:delivery(private, bo).outcome == "delivered" end)

net.heal()
wait_until("all see all, and well", "60s", function()
  if not room.converged() then return false end
  for _, node in ipairs(all) do
    for _, member in ipairs(node:members()) do
      if member.degraded then return false end
    end
  end
  return true
end)
expect.shown_once(all, to_room)
expect.shown_once(bo, private)
