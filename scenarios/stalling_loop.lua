-- bo's machine is overloaded: its loop stands still for seconds, goes on for a moment, and stands still again. Elsewhere such a node takes its
-- own stall for the silence of everybody else and calls the whole room dead. Here it judges nobody before it has read what waited for
-- it; the others may miss it, and take it back.
scenario{
  name = "stalling loop",
  about = "a node whose own loop stalls calls nobody gone, and is back soon after each stall",
  swarm = true,
}
local ana, bo, cy, dee, eve = room.nodes{ "ana", "bo", "cy", "dee", "eve" }
local others = { ana, cy, dee, eve }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)

for _, stall in ipairs{ 0.8, 3, 1.5, 10, 2.5, 5, 0.3, 8, 4, 20 } do
  bo:pause()
  wait(stall)
  bo:resume()
  -- Before anything else could happen it sees those that it saw.
  for _, node in ipairs(others) do expect.sees(bo, node, "alive") end
  wait_until("all see all after " .. stall .. " s", "3s", room.converged)
  wait(0.5 + rng.below(20) / 10)
end
wait("5s")
expect.is_true(room.converged(), "it stays so")

-- A stall too short to be missed for makes nobody gone; where the network loses a message besides, bo may be doubted for a moment.
local function called_gone()
  local times = 0
  for _, node in ipairs(others) do
    for _, state in ipairs(node:saw(bo)) do
      if state == "unreachable" then times = times + 1 end
    end
  end
  return times
end
local times = called_gone()
for _ = 1, 20 do
  bo:pause()
  wait("700ms")
  bo:resume()
  wait("700ms")
end
expect.equal(called_gone(), times, "times that the others called bo gone")
local m = bo:say("still here")
wait_until("all have it", "30s", function() return ana:shows(m) and cy:shows(m) and dee:shows(m) and eve:shows(m) end)
expect.shown_once(room.all(), m)
-- A link that is made anew may lose a message, and be doubted for a moment; a verdict never comes of it.
expect.never_saw(bo, others, "unreachable")
expect.never_saw(others, others, "suspect")
