-- Of one link only one direction works: bo hears ana, and ana does not hear bo. Elsewhere the two take turns at declaring each other
-- dead. Here the others hear bo and say so by name: nobody is called gone, ana shows bo as degraded, and bo knows that it is not
-- heard there. Then bo is heard by nobody, and knows that too.
scenario{
  name = "one-way link",
  about = "a link that works one way makes nobody gone; who says otherwise is named",
  swarm = { "duplicate=10%", "disk=20ms", "drift=200" },
}
local ana, bo, cy, dee, eve = room.nodes{ "ana", "bo", "cy", "dee", "eve" }
local all = room.all()
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)

local cut = net.cut{ from = bo, to = ana }
wait_until("ana has bo degraded", "10s", function() return ana:member(bo).degraded end)
-- Whoever contradicts ana heard bo itself.
wait_until("ana knows who hears bo", "10s", function() return #ana:why(bo).verdict.contradictions > 0 end)
for _, word in ipairs(ana:why(bo).verdict.contradictions) do
  expect.differ(word.by, ana.id, "who contradicts ana")
  expect.differ(word.by, bo.id, "who vouches for bo")
end
wait_until("bo knows that ana does not hear it", "20s", function() return bo:member(ana).hears_me == false end)

-- ana's words reach bo; that they did cannot get back, and is not claimed.
local m = ana:tell(bo, "can you hear me?")
wait("30s")
expect.shown_once(bo, m)
expect.outcome(m, bo, "unknown")
expect.never_saw(all, all, "unreachable")
cut:heal()
wait_until("delivered", "90s", function() return ana:delivery(m, bo).outcome == "delivered" end)
expect.shown_once(bo, m)
wait_until("nobody is degraded", "60s", function()
  for _, node in ipairs(all) do
    for _, member in ipairs(node:members()) do
      if member.degraded then return false end
    end
  end
  return true
end)

-- Nobody hears bo now, and bo hears everybody.
net.cut{ from = bo }
local others = { ana, cy, dee, eve }
wait_until("all miss bo", "10s", function()
  for _, node in ipairs(others) do
    if node:member(bo).state ~= "unreachable" then return false end
  end
  return true
end)
wait_until("bo knows that nobody hears it", "20s", function()
  for _, node in ipairs(others) do
    if bo:member(node).hears_me ~= false then return false end
  end
  return true
end)
expect.never_saw(bo, others, "unreachable")
expect.never_saw(others, others, "suspect")
net.heal()
wait_until("bo is back", "10s", room.converged)
