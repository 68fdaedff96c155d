-- bo's home is put back to what it was an hour of talk ago, as from a backup: it forgot a run, and words that it said itself. Elsewhere
-- such a member says its old numbers anew, and the others take its words for ones that they have. Here it is in a later run, gets
-- its own words back from the others, and nobody calls it a liar; also where it was done so soon that the clock does not tell the
-- forgotten run from the new one.
scenario{
  name = "home rolled back",
  about = "a home from a backup takes a higher run, fetches what it said itself, and is no liar",
  swarm = { "loss=5%", "duplicate=10%", "disk=20ms" },
}
local ana, bo, cy = room.nodes{ "ana", "bo", "cy" }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)
local function all_have(message)
  wait_until("all have it", "60s", function() return ana:shows(message) and bo:shows(message) and cy:shows(message) end)
end
-- The newest run of bo's that ana has evidence of: when it began, and what it drew then, so that runs of one second differ too.
local function run_of_bo()
  local newest = ""
  for _, item in ipairs(ana:why(bo).verdict.evidence) do
    local run = ("%d.%s"):format(item.run.incarnation, item.run.boot)
    if run > newest then newest = run end
  end
  return newest
end
local kept = bo:say("this is in the backup")
all_have(kept)
bo:crash()
bo:snapshot("backup")

for _, pause in ipairs{ "5s", "0s" } do
  bo:start()
  wait_until("bo is back", "30s", room.converged)
  local forgotten = bo:say("this is not")
  all_have(forgotten)
  local answer = ana:tell(bo, "nor is this")
  wait_until("bo has it", "30s", function() return ana:delivery(answer, bo).outcome == "delivered" end)
  local last = run_of_bo()
  wait(pause)

  bo:crash()
  bo:rollback("backup")
  bo:start()
  wait_until("bo is back", "30s", room.converged)
  expect.is_true(run_of_bo() > last, "a higher run than the one that the home forgot")
  expect.equal(ana:member(bo).id, bo.id, "the same member")

  -- What it says now is new, although the home counts from where it was.
  local new = bo:say("and this is new")
  all_have(new)
  wait_until("bo has its own words back", "90s", function()
    local times = 0
    for _, message in ipairs(bo:log()) do
      if message.id == forgotten.id then times = times + 1 end
    end
    return times == 1
  end)
  for _, message in ipairs{ kept, forgotten, new } do expect.shown_once({ ana, cy }, message) end
  -- A receipt is a receipt: that the home forgot what it had is not ana's to know.
  expect.outcome(answer, bo, "delivered")
  wait_until("all is quiet", "30s", function() return ana:status().deliveries.sending == 0 and bo:status().deliveries.sending == 0 end)
  bo:crash()
end
bo:start()
wait_until("bo is back", "30s", room.converged)
for _, node in ipairs(room.all()) do
  expect.equal(#node:alarms(), 0, "alarms on " .. node.name)
  expect.equal(#node:gaps(), 0, "gaps on " .. node.name)
end
