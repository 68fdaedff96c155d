-- What cannot be known is not claimed. bo stores one message whose receipt is lost; another never reaches it. From where ana
-- sits the two look the same, and after 10 s both are unknown. Crashes on both sides change nothing of that; the truth comes
-- with the receipts, and the message that had arrived is not shown again.
scenario{
  name = "ambiguity",
  about = "a lost message and a lost receipt are both unknown until the receipts come, through crashes on both sides",
  swarm = true,
}
local ana, bo, cy = room.nodes{ "ana", "bo", "cy" }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)

-- Nothing comes back from bo to ana; cy hears bo, so bo is not missed.
local receipts_lost = net.cut{ from = bo, to = ana }
local arrived = ana:tell(bo, "did you get this?")
wait_until("bo has it", "10s", function() return bo:shows(arrived) end)
-- Now nothing goes from ana to bo either.
local all_lost = net.cut{ from = ana, to = bo }
local lost = ana:tell(bo, "and this?")
wait_until("both are unknown", "20s", function()
  return ana:delivery(arrived, bo).outcome == "unknown" and ana:delivery(lost, bo).outcome ~= "sending"
end)
expect.not_shown(bo, lost)
expect.is_true(ana:delivery(arrived, bo).attempts > 1, "ana tried more than once")
expect.equal(ana:delivery(arrived, bo).receipt, nil, "a receipt")

-- bo restarts with the message on its disk, ana with what she does not know on hers.
bo:crash()
ana:crash()
wait("2s")
bo:restart()
ana:restart()
wait("2s")
expect.differ(ana:delivery(arrived, bo).outcome, "delivered", "a claim without a receipt")
expect.differ(ana:delivery(lost, bo).outcome, "delivered", "a claim without a receipt")

receipts_lost:heal()
all_lost:heal()
wait_until("both receipts are there", "90s", function()
  return ana:delivery(arrived, bo).outcome == "delivered" and ana:delivery(lost, bo).outcome == "delivered"
end)
expect.shown_once(bo, arrived)
expect.shown_once(bo, lost)
expect.not_shown(cy, arrived)
