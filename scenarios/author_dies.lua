-- The author dies while a message is on its way, and is back later. Between its commit and its first datagram, when some have
-- the message, and when all have it but no receipt has come: what each screen says is so, what the author does not know it
-- does not claim, and in the end all show the message once. Those who are left agree without the author where one of them
-- has it, and wait for the author's return where none has.
scenario{
  name = "the author dies",
  about = "an author dies mid-send and restarts; nothing false is claimed, nothing shown twice, and all agree",
  swarm = true,
}
local ana, bo, cy, dee = room.nodes{ "ana", "bo", "cy", "dee" }
local others = { bo, cy, dee }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)

local function logs(node, message)
  for _, logged in ipairs(node:log()) do
    if logged.id == message.id then return true end
  end
  return false
end

local function wait_for_all(what, condition)
  wait_until(what, "120s", function()
    for _, node in ipairs(others) do
      if not condition(node) then return false end
    end
    return true
  end)
end

-- On her disk, and no datagram of it reaches anybody.
local kept_to_herself = net.cut{ from = ana }
local to_all = ana:say("does this get out?")
local to_bo = ana:tell(bo, "and this?")
wait_until("both are on her disk", "10s", function() return logs(ana, to_all) and logs(ana, to_bo) end)
for _, node in ipairs(others) do expect.equal(ana:delivery(to_all, node).receipt, nil, "a receipt of what did not get out") end
ana:crash()
kept_to_herself:heal()
wait("15s")
expect.not_shown(others, to_all)
expect.not_shown(others, to_bo)
for _, node in ipairs(others) do expect.equal(#node:gaps(), 0, "nobody can know that something is missing") end
expect.is_true(logs(ana, to_all) and logs(ana, to_bo), "her disk has them still")
ana:restart()
wait_for_all("all show what she had kept", function(node) return node:shows(to_all) end)
wait_until("bo shows his", "60s", function() return bo:shows(to_bo) end)
wait_for_all("ana knows", function(node) return ana:delivery(to_all, node).outcome == "delivered" end)
wait_until("ana knows of bo's", "90s", function() return ana:delivery(to_bo, bo).outcome == "delivered" end)

-- Bo alone gets it, and then she dies: he passes it on, and says so.
wait_until("all see all again", "60s", room.converged)
local nearly = net.cut{ from = ana, to = { cy, dee } }
local partial = ana:say("bo, do you hear me?")
wait_until("bo has it", "20s", function() return bo:shows(partial) end)
for _, node in ipairs{ cy, dee } do expect.equal(ana:delivery(partial, node).receipt, nil, "a receipt") end
ana:crash()
nearly:heal()
wait_for_all("those who are left agree", function(node) return node:shows(partial) end)
for _, node in ipairs{ cy, dee } do
  for _, message in ipairs(node:log()) do
    if message.id == partial.id then
      expect.is_true(message.recovered, "it came by asking")
      expect.differ(message.via, ana.id, "who gave it")
    end
  end
end
ana:restart()
wait_for_all("ana knows of all", function(node) return ana:delivery(partial, node).outcome == "delivered" end)

-- All have it, and she dies before she hears so; she is back, and still hears nothing.
wait_until("all see all once more", "60s", room.converged)
local deaf = net.cut{ to = ana }
local heard = ana:say("did you all get this?")
local told = ana:tell(cy, "and you this?")
wait_for_all("all have it", function(node) return node:shows(heard) end)
wait_until("cy has his", "20s", function() return cy:shows(told) end)
for _, node in ipairs(others) do expect.equal(ana:delivery(heard, node).receipt, nil, "a receipt that could not come") end
ana:crash()
wait("2s")
ana:restart()
wait("3s")
for _, node in ipairs(others) do
  expect.differ(ana:delivery(heard, node).outcome, "delivered", "a claim without a receipt")
end
expect.differ(ana:delivery(told, cy).outcome, "delivered", "a claim without a receipt")
deaf:heal()
wait_for_all("ana hears so", function(node) return ana:delivery(heard, node).outcome == "delivered" end)
wait_until("and of cy's", "90s", function() return ana:delivery(told, cy).outcome == "delivered" end)

for _, message in ipairs{ to_all, partial, heard } do expect.shown_once(others, message) end
expect.shown_once(bo, to_bo)
expect.shown_once(cy, told)
expect.not_shown({ cy, dee }, to_bo)
expect.not_shown({ bo, dee }, told)
for _, node in ipairs(others) do expect.equal(#node:gaps(), 0, "gaps") end
