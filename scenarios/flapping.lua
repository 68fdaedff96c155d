-- bo comes and goes: ten seconds cut off, ten seconds there, ten times. Elsewhere one such member keeps the whole room busy, or is
-- punished by being left out for minutes. Here each turn is told once by each of the others, with its evidence, and nobody else is
-- doubted: bo is shown as it is, and what is said while it is away waits for it.
scenario{
  name = "flapping",
  about = "a member that comes and goes every 20 s is told so each time, and makes nobody else flap",
  swarm = true,
}
local ana, bo, cy, dee, eve = room.nodes{ "ana", "bo", "cy", "dee", "eve" }
local others = { ana, cy, dee, eve }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)

local turns = 10
local said = {}
for turn = 1, turns do
  local cut = net.partition(bo, others)
  wait_until("bo is missed", "10s", function()
    for _, node in ipairs(others) do
      if node:member(bo).state ~= "unreachable" then return false end
    end
    return true
  end)
  said[turn] = ana:tell(bo, "turn " .. turn)
  wait("5s")
  cut:heal()
  wait_until("bo is back", "5s", function()
    for _, node in ipairs(others) do
      if node:member(bo).state ~= "alive" then return false end
    end
    return true
  end)
  wait("10s")
end

-- Each of the others told each turn once: suspect, unreachable, alive. A doubt besides that is taken back may come of lost messages.
for _, node in ipairs(others) do
  local told, doubts = table.concat(node:saw(bo), " "):gsub(" suspect alive", "")
  expect.equal(told, "alive" .. (" suspect unreachable alive"):rep(turns), "what " .. node.name .. " told of bo")
  expect.is_true(doubts <= 2, node.name .. " took back " .. doubts .. " doubts")
end
wait_until("what waited has arrived", "90s", function()
  for _, message in ipairs(said) do
    if ana:delivery(message, bo).outcome ~= "delivered" then return false end
  end
  return true
end)
for _, message in ipairs(said) do expect.shown_once(bo, message) end
expect.never_saw(others, others, "suspect")
