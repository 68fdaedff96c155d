-- Everything that bo says to ana is lost, and nothing that she says to him. He has her messages on his disk and on his screen,
-- and signs for them; she cannot tell that from messages that never came, and says unknown. Nobody restarts. Once the
-- way back works, the late receipt makes both delivered, and however often they went, he shows them once.
scenario{
  name = "receipts cut one way",
  about = "receipts are lost one way: unknown, then delivered by a late receipt, and shown once",
  swarm = true,
}
local ana, bo, cy = room.nodes{ "ana", "bo", "cy" }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)

local no_answer = net.cut{ from = bo, to = ana }
local private = ana:tell(bo, "did you get this?")
local group = ana:say("and did all get this?")
wait_until("bo shows both", "20s", function() return bo:shows(private) and bo:shows(group) end)
wait_until("both are unknown", "30s", function()
  return ana:delivery(private, bo).outcome == "unknown" and ana:delivery(group, bo).outcome == "unknown"
end)
-- What cy says of itself counts as ever, and nobody takes bo for gone.
wait_until("cy's receipt", "60s", function() return ana:delivery(group, cy).outcome == "delivered" end)
expect.is_true(ana:delivery(private, bo).attempts > 1, "she tried more than once")
for _, message in ipairs{ private, group } do
  expect.equal(ana:delivery(message, bo).receipt, nil, "a receipt")
end
local says_so = false
for _, words in ipairs(ana:why(private).not_known) do says_so = says_so or words:find("its receipt was lost", 1, true) ~= nil end
expect.is_true(says_so, "she says what cannot be told apart")
wait("20s")
expect.outcome(private, bo, "unknown")
expect.outcome(group, bo, "unknown")
expect.never_saw({ ana, cy }, bo, "unreachable")

no_answer:heal()
wait_until("the receipts come, late", "90s", function()
  return ana:delivery(private, bo).outcome == "delivered" and ana:delivery(group, bo).outcome == "delivered"
end)
expect.differ(ana:delivery(private, bo).receipt, nil, "the receipt of the private one")
expect.differ(ana:delivery(group, bo).receipt, nil, "the receipt of the room's")
expect.shown_once(bo, private)
expect.shown_once({ bo, cy }, group)
expect.not_shown(cy, private)
-- He counts the copies that he did not show.
expect.is_true(bo:why(private).sources[1].duplicates > 0, "copies came")
