-- After a partition: the views become one again, each side gets what the other said, marked as late, private messages that
-- waited arrive, and nothing is shown twice or out of its author's order.
scenario{
  name = "healing",
  about = "after a partition the views converge and messages resume safely",
  swarm = true,
}
local ana, bo, cy, dee = room.nodes{ "ana", "bo", "cy", "dee" }
net.default{ delay = "20ms", jitter = "10ms", loss = 0.02 }
wait_until("all see all", "30s", room.converged)

local cut = net.partition({ ana, bo }, { cy, dee })
wait_until("they miss each other", "30s", function()
  return ana:member(dee).state == "unreachable" and dee:member(ana).state == "unreachable"
    and bo:member(cy).state == "unreachable" and cy:member(bo).state == "unreachable"
end)
local said = {}
for round = 1, 5 do
  for _, node in ipairs{ ana, cy } do
    said[#said + 1] = node:say(node.name .. " " .. round)
    wait("200ms")
  end
end
local private = bo:tell(dee, "when the way is free")
wait("1s")
expect.outcome(private, dee, "waiting")

cut:heal()
wait_until("the views are one", "60s", room.converged)
wait_until("everybody has everything", "60s", function()
  for _, message in ipairs(said) do
    for _, node in ipairs(room.all()) do
      if not node:shows(message) then return false end
    end
  end
  return true
end)
wait_until("the private one is there", "30s", function() return bo:delivery(private, dee).outcome == "delivered" end)

for _, message in ipairs(said) do expect.shown_once(room.all(), message) end
expect.shown_once(dee, private)
-- dee shows ana's words in the order in which ana said them, and says that they are late.
local round = 0
for _, message in ipairs(dee:log()) do
  if message.from == ana.id then
    round = round + 1
    expect.equal(message.text, "ana " .. round)
    expect.is_true(message.recovered, "it came by asking")
    expect.is_true(message.late_ms > 0, "how late it is")
  end
end
expect.equal(round, 5, "messages of ana")
-- New ones go straight.
local after = dee:say("there you are")
wait_until("it is everywhere", "20s", function() return ana:shows(after) and bo:shows(after) and cy:shows(after) end)
