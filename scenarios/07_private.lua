-- A private message goes to one member and to nobody else. Its sender can see at any time how it stands: sent, waiting because
-- the other is away, or stored on the other's disk, by a receipt that the other signed.
scenario{
  name = "private",
  about = "private messages reach one member, and show how they stand",
  swarm = true,
}
local ana, bo, cy = room.nodes{ "ana", "bo", "cy" }
net.default{ delay = "20ms", jitter = "10ms", loss = 0.1, duplicate = 0.1 }
wait_until("all see all", "30s", room.converged)

local first = ana:tell(bo, "only for you")
wait_until("it is delivered", "20s", function() return ana:delivery(first, bo).outcome == "delivered" end)
local delivery = ana:delivery(first, bo)
expect.is_true(delivery.attempts >= 1, "it was sent")
expect.is_true(delivery.latency_us > 0, "the time from disk to receipt")
expect.is_true(delivery.receipt.run ~= nil, "the run in which bo signed")

-- bo is away: ana does not guess, and does not send into the void.
bo:crash()
wait_until("ana misses bo", "20s", function() return ana:member(bo).state == "unreachable" end)
local second = ana:tell(bo, "when you are back")
local third = ana:tell(bo, "and one more thing")
wait("3s")
expect.outcome(second, bo, "waiting")
expect.equal(ana:delivery(second, bo).attempts, 0, "attempts while bo is away")

-- ana's own process is killed too: what waits is on her disk.
ana:crash()
bo:restart()
ana:restart()
wait_until("both arrive", "60s", function()
  return ana:delivery(second, bo).outcome == "delivered" and ana:delivery(third, bo).outcome == "delivered"
end)

-- Once each, in their order, and nowhere else.
for _, message in ipairs{ first, second, third } do
  expect.shown_once(bo, message)
  expect.not_shown(cy, message)
end
expect.equal(bo:screen(), { "ana: only for you", "ana: when you are back", "ana: and one more thing" })
local log = {}
for _, message in ipairs(bo:log()) do log[#log + 1] = message.text end
expect.equal(log, { "only for you", "when you are back", "and one more thing" })
