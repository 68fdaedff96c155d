-- The room is split: ana and bo on one side, cy on the other, and both sides go on. Then ana's machine dies, so that what
-- she said lies with bo alone. When dee, who was away, comes back, no peer can give it everything: it asks each for what that
-- one keeps, while bo and cy still do not hear each other.
scenario{
  name = "different parts",
  about = "who was away puts the room together from peers that keep different parts of it",
}
local ana, bo, cy, dee = room.nodes{ "ana", "bo", "cy", "dee" }
net.default{ delay = "10ms" }
wait_until("all see all", "30s", room.converged)

dee:crash()
net.partition({ ana, bo }, { cy })
local function misses(node, others)
  for _, other in ipairs(others) do
    if node:member(other).state ~= "unreachable" then return false end
  end
  return true
end
wait_until("the sides miss each other, and dee", "20s", function()
  return misses(ana, { cy, dee }) and misses(bo, { cy, dee }) and misses(cy, { ana, bo, dee })
end)
local kept_by_bo, kept_by_cy = {}, {}
for number = 1, 10 do
  table.insert(kept_by_bo, (number % 2 == 0 and bo or ana):say("left " .. number))
  table.insert(kept_by_cy, cy:say("right " .. number))
  wait("50ms")
end
expect.shown(bo, kept_by_bo[9])
ana:crash()

net.heal()
net.partition({ bo }, { cy })
dee:restart()
wait_until("dee has both parts", "60s", function()
  for number = 1, 10 do
    if not (dee:shows(kept_by_bo[number]) and dee:shows(kept_by_cy[number])) then return false end
  end
  return true
end)
expect.equal(dee:why(kept_by_bo[1]).sources[1].via, bo.id, "who gave what ana said")
expect.equal(dee:why(kept_by_cy[1]).sources[1].via, cy.id, "who gave what cy said")
expect.equal(dee:status().messages.recovered, 20, "they came by asking")
expect.equal(#dee:gaps(), 0, "gaps")

-- Bo and cy get each other's part, from dee or from one another; ana gets cy's when she is back.
net.heal()
ana:restart()
wait_until("all have all", "120s", function()
  for number = 1, 10 do
    for _, node in ipairs{ ana, bo, cy } do
      if not (node:shows(kept_by_bo[number]) and node:shows(kept_by_cy[number])) then return false end
    end
  end
  return true
end)
for number = 1, 10 do
  expect.shown_once({ ana, bo, cy, dee }, kept_by_bo[number])
  expect.shown_once({ ana, bo, cy, dee }, kept_by_cy[number])
end
