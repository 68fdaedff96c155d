-- A process is killed and says nothing more. The others notice within seconds, and can name who did not hear it; nobody else is
-- suspected, the room goes on, and what stands open with the dead one is said to be open.
scenario{
  name = "crash",
  about = "a crash is noticed with named witnesses, and the room goes on",
  swarm = true,
}
local ana, bo, cy, dee = room.nodes{ "ana", "bo", "cy", "dee" }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)
local before = bo:say("I am still here")
wait_until("all have it", "30s", function() return ana:shows(before) and cy:shows(before) and dee:shows(before) end)

bo:crash()
local others = { ana, cy, dee }
wait_until("all miss bo", "15s", function()
  for _, node in ipairs(others) do
    if node:member(bo).state ~= "unreachable" then return false end
  end
  return true
end)

-- Each of them rests its verdict on the reports of at least two members, and none of them is bo.
for _, node in ipairs(others) do
  local witnesses, count = {}, 0
  for _, item in ipairs(node:why(bo).verdict.reports) do
    expect.differ(item.by, bo.id, "a witness and the missing one")
    if item.kind == "report" and not witnesses[item.by] then witnesses[item.by], count = true, count + 1 end
  end
  expect.is_true(count >= 2, node.name .. " names two witnesses at least")
end

-- The others talk on. What bo has is on its disk still, and what waits for it is said to wait.
local after = ana:say("bo is gone")
local private = ana:tell(bo, "call me when you can")
wait_until("those who run have it", "30s", function() return cy:shows(after) and dee:shows(after) end)
wait_until("they are known to have it", "30s", function()
  return ana:delivery(after, cy).outcome == "delivered" and ana:delivery(after, dee).outcome == "delivered"
end)
expect.outcome(after, bo, "waiting")
expect.outcome(private, bo, "waiting")
expect.equal(#bo:log(), 1, "messages on bo's disk")
expect.never_saw(others, others, "suspect")
