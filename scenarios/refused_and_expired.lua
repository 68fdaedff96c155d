-- The two outcomes that end a message without a receipt. Cy's disk is full, so cy refuses what ana tells it and says why; eve is
-- away for longer than a message lives, which is counted by what ana runs, her machine's sleep included. Ana restarts around both:
-- what was refused stays refused, and what was never sent is expired, and is not sent when eve comes back. A receipt alone moves a
-- message on from there: what cy refused of the room's it fetches once it has space, and says so.
scenario{
  name = "refused and expired",
  about = "a refusal and the end of a message's life outlive the sender's restart, and only a receipt moves either on",
  limit = "180h",
}
local ana, bo, cy, eve = room.nodes{ "ana", "bo", "cy", "eve" }
net.default{ delay = "20ms" }
wait_until("all see all", "30s", room.converged)

eve:crash()
wait_until("eve is missed", "30s", function() return ana:member(eve).state == "unreachable" end)
local for_eve = ana:tell(eve, "when you are back")
local answered = ana:tell(bo, "and you?")
cy:disk{ full = true }
local refused = ana:tell(cy, "can you take this?")
local to_all = ana:say("and who can take this?")
wait_until("cy refuses both", "20s", function()
  return ana:delivery(refused, cy).outcome == "refused" and ana:delivery(to_all, cy).outcome == "refused"
end)
wait_until("bo has both", "20s", function()
  return ana:delivery(answered, bo).outcome == "delivered" and ana:delivery(to_all, bo).outcome == "delivered"
end)
expect.equal(ana:delivery(refused, cy).reason, "its disk is full", "why")
expect.outcome(for_eve, eve, "waiting")

local function restart_ana()
  ana:crash()
  wait("2s")
  ana:restart()
  wait_until("ana is back", "60s", room.converged)
  wait("3s")
end

restart_ana()
expect.outcome(refused, cy, "refused")
expect.outcome(to_all, cy, "refused")
expect.equal(ana:delivery(refused, cy).reason, "its disk is full", "why, after the restart")
expect.outcome(answered, bo, "delivered")
expect.outcome(for_eve, eve, "waiting")
expect.not_shown(cy, refused)

-- Cy has space again: the room's message it fetches, and its receipt counts. A private one is sent by its author alone, and ana
-- was told no.
cy:disk{ full = false }
wait_until("cy has fetched the room's", "180s", function()
  return cy:shows(to_all) and ana:delivery(to_all, cy).outcome == "delivered"
end)
expect.outcome(refused, cy, "refused")

-- A clock that is wrong by a week ends nothing.
ana:crash()
ana:clock{ jump = "170h" }
ana:restart()
wait_until("ana is back", "60s", room.converged)
expect.outcome(for_eve, eve, "waiting")
ana:clock{ jump = "-170h" }
wait("5s")
expect.outcome(for_eve, eve, "waiting")

-- Ana's machine sleeps for a week. The others are switched off meanwhile.
for _, node in ipairs{ bo, cy } do node:crash() end
ana:pause()
wait("170h")
ana:resume()
for _, node in ipairs{ bo, cy } do node:start() end
wait_until("eve's is expired", "60s", function() return ana:delivery(for_eve, eve).outcome == "expired" end)
restart_ana()
expect.outcome(for_eve, eve, "expired")
expect.outcome(refused, cy, "refused")
eve:restart()
wait_until("eve is back", "60s", room.converged)
wait("70s")
expect.outcome(for_eve, eve, "expired")
expect.outcome(refused, cy, "refused")
expect.outcome(answered, bo, "delivered")
expect.not_shown(eve, for_eve)
expect.not_shown(cy, refused)
expect.shown_once(bo, answered)
expect.shown_once({ bo, cy }, to_all)
