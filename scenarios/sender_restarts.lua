-- Ana has messages on their way in every state that a network can bring about: bo has hers and has said so, cy's is unknown
-- after ten seconds of trying, dee's is being tried, and eve is away, so that hers waits. Ana is killed twice. Each time she
-- knows what her disk knows: a receipt counts, what was tried is never called waiting again, and nothing is claimed that no
-- receipt shows. From the first word to the last each outcome only moves forward.
scenario{
  name = "the sender restarts",
  about = "a sender restarts with messages waiting, sending, unknown and delivered; each goes on where evidence left it, and only forward",
  swarm = true,
}
local ana, bo, cy, dee, eve = room.nodes{ "ana", "bo", "cy", "dee", "eve" }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)

local RANK = { waiting = 1, sending = 2, unknown = 3, refused = 4, expired = 4, delivered = 5 }
local messages, best = {}, {}
local function look()
  for name, said in pairs(messages) do
    local rank = RANK[ana:delivery(said.message, said.to).outcome]
    expect.is_true(rank >= (best[name] or 1), "the outcome of " .. name .. " moves forward only")
    best[name] = rank
  end
end
local over = false
spawn(function()
  while not over do
    if ana:is_running() then look() end
    wait("100ms")
  end
end)
local function outcome(name)
  return ana:delivery(messages[name].message, messages[name].to).outcome
end
local function tell(name, to)
  messages[name] = { message = ana:tell(to, name), to = to }
  return messages[name].message
end

eve:crash()
wait_until("eve is missed", "30s", function() return ana:member(eve).state == "unreachable" end)
tell("to eve, who is away", eve)
tell("to bo, who answers", bo)
wait_until("bo's receipt", "60s", function() return outcome("to bo, who answers") == "delivered" end)
local deaf_to_cy = net.cut{ from = cy, to = ana }
tell("to cy, whose answers are lost", cy)
wait_until("cy shows it", "20s", function() return cy:shows(messages["to cy, whose answers are lost"].message) end)
wait_until("cy's is unknown", "20s", function() return outcome("to cy, whose answers are lost") == "unknown" end)
local cut_from_dee = net.cut{ from = ana, to = dee }
tell("to dee, whom nothing reaches", dee)
wait_until("dee's is tried", "5s", function() return outcome("to dee, whom nothing reaches") == "sending" end)
wait("1s")
expect.equal(outcome("to eve, who is away"), "waiting", "eve's")

for round = 1, 2 do
  ana:crash()
  wait("2s")
  ana:restart()
  wait("3s")
  -- What is on her disk decides: the receipt of bo counts, that of cy never came, and dee's was tried.
  expect.equal(outcome("to bo, who answers"), "delivered", "bo's, after restart " .. round)
  expect.differ(ana:delivery(messages["to bo, who answers"].message, bo).receipt, nil, "the receipt")
  expect.equal(outcome("to eve, who is away"), "waiting", "eve's, after restart " .. round)
  expect.equal(outcome("to cy, whose answers are lost"), "unknown", "cy's, after restart " .. round)
  local tried = outcome("to dee, whom nothing reaches")
  expect.is_true(tried == "sending" or tried == "unknown", "dee's, after restart " .. round .. ": " .. tried)
  expect.equal(ana:delivery(messages["to dee, whom nothing reaches"].message, dee).receipt, nil, "a receipt of dee")
end
expect.not_shown(dee, messages["to dee, whom nothing reaches"].message)
expect.not_shown(eve, messages["to eve, who is away"].message)

deaf_to_cy:heal()
cut_from_dee:heal()
eve:restart()
wait_until("all have theirs, and ana knows", "120s", function()
  for name in pairs(messages) do
    if outcome(name) ~= "delivered" then return false end
  end
  return true
end)
over = true
for _, said in pairs(messages) do
  expect.shown_once(said.to, said.message)
  for _, node in ipairs{ bo, cy, dee, eve } do
    if node ~= said.to then expect.not_shown(node, said.message) end
  end
end
