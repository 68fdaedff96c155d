-- The author dies at each place around the commit of its own message: before it, between it and its own knowledge of it, and
-- after that and before the first datagram. What the disk does not have was never said, and nobody misses it; what it has goes
-- to all when the author is back. At last it dies with one message lost and the next one arrived: the others show a gap, and
-- it closes.
scenario{
  name = "the author dies at its commit",
  about = "an author dies before, between and after its own commit; what is not on its disk was never said, and gaps close",
}
local ana, bo, cy = room.nodes{ "ana", "bo", "cy" }
net.default{ delay = "20ms" }
wait_until("all see all", "30s", room.converged)
wait("5s")

local function times_logged(node, message)
  local times = 0
  for _, logged in ipairs(node:log()) do
    if logged.id == message.id then times = times + 1 end
  end
  return times
end

for _, place in ipairs{ "before", "unreported", "after" } do
  for _, kind in ipairs{ "private", "group" } do
    local name = place .. ", " .. kind
    ana:crash_at_commit(place)
    local message
    if kind == "private" then message = ana:tell(bo, name) else message = ana:say(name) end
    wait_until("ana died: " .. name, "20s", function() return not ana:is_running() end)
    wait("15s")
    expect.not_shown({ bo, cy }, message)
    expect.equal(#bo:gaps() + #cy:gaps(), 0, "gaps, " .. name)
    local is_kept = place ~= "before"
    expect.equal(times_logged(ana, message), is_kept and 1 or 0, "in ana's log, " .. name)
    ana:restart()
    if is_kept then
      wait_until("delivered: " .. name, "90s", function() return ana:delivery(message, bo).outcome == "delivered" end)
      expect.shown_once(bo, message)
    else
      wait_until("ana is back: " .. name, "60s", room.converged)
      wait("65s")
      expect.equal(ana:why(message), nil, "what ana knows of it, " .. name)
      expect.not_shown(bo, message)
    end
    if kind == "group" and is_kept then
      wait_until("cy has it: " .. name, "60s", function() return cy:shows(message) end)
      expect.shown_once(cy, message)
    else
      expect.not_shown(cy, message)
    end
    expect.equal(times_logged(ana, message), is_kept and 1 or 0, "in ana's log at last, " .. name)
    wait_until("all see all: " .. name, "60s", room.converged)
    wait("5s")
  end
end

-- What was lost with its author is not missed later: what ana says next joins on to what is on her disk.
local onward = ana:say("where was I?")
wait_until("both show it", "20s", function() return bo:shows(onward) and cy:shows(onward) end)
expect.equal(#bo:gaps() + #cy:gaps(), 0, "gaps")

-- One message is lost, the next arrives, and she dies before she sends the first again.
local lost = net.cut{ from = ana }
local first = ana:say("one")
wait("10ms")
lost:heal()
local second = ana:say("two")
wait("30ms")
ana:crash()
wait_until("both show a gap", "30s", function() return #bo:gaps() == 1 and #cy:gaps() == 1 end)
wait_until("and what follows it", "10s", function() return bo:shows(second) and cy:shows(second) end)
for _, node in ipairs{ bo, cy } do
  expect.equal(node:gaps()[1].author, ana.id, "whose message is missing")
  expect.equal(node:gaps()[1].first, node:gaps()[1].last, "just one")
end
expect.not_shown({ bo, cy }, first)
ana:restart()
wait_until("the gap closes", "60s", function() return bo:shows(first) and cy:shows(first) end)
expect.equal(#bo:gaps() + #cy:gaps(), 0, "gaps that are left")
for _, message in ipairs{ onward, first, second } do expect.shown_once({ bo, cy }, message) end
wait_until("ana knows of all", "90s", function()
  for _, message in ipairs{ first, second } do
    for _, node in ipairs{ bo, cy } do
      if ana:delivery(message, node).outcome ~= "delivered" then return false end
    end
  end
  return true
end)
