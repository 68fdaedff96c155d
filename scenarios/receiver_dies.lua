-- The receiver dies at each place that matters: before the message is on its disk, between the commit and its own knowledge of
-- it, after that and before the receipt, and once the receipt has left. Whichever it is, ana claims nothing that is not so, and
-- the message stands in bo's log once: what a crash let nobody tell is read there at the next start.
scenario{
  name = "the receiver dies",
  about = "a receiver dies before, between and after commit and receipt; nothing false is claimed, nothing shown twice",
}
local ana, bo, cy = room.nodes{ "ana", "bo", "cy" }
net.default{ delay = "20ms" }
wait_until("all see all", "30s", room.converged)
wait("5s")

local function times_logged(node, text)
  local times = 0
  for _, message in ipairs(node:log()) do
    if message.text == text then times = times + 1 end
  end
  return times
end

for _, place in ipairs{ "before", "unreported", "after" } do
  for _, kind in ipairs{ "private", "group" } do
    local name = place .. ", " .. kind
    bo:crash_at_commit(place)
    local message
    if kind == "private" then message = ana:tell(bo, name) else message = ana:say(name) end
    wait_until("bo died: " .. name, "20s", function() return not bo:is_running() end)
    wait("500ms")
    -- The commit may have reached the disk; no receipt has left, so nobody may say so.
    expect.equal(ana:delivery(message, bo).outcome, "sending", name)
    expect.equal(ana:delivery(message, bo).receipt, nil, "a receipt, " .. name)
    wait("12s")
    expect.differ(ana:delivery(message, bo).outcome, "delivered", name)
    bo:restart()
    wait_until("delivered: " .. name, "90s", function() return ana:delivery(message, bo).outcome == "delivered" end)
    expect.equal(times_logged(bo, name), 1, "in bo's log, " .. name)
    if place == "before" then expect.shown_once(bo, message) end
    if kind == "private" then expect.not_shown(cy, message) else expect.shown_once(cy, message) end
    wait("5s")
  end
end

-- The receipt left, and then bo died: it stays delivered, and is not said again.
local receipted = ana:tell(bo, "the receipt has left")
wait_until("delivered", "10s", function() return ana:delivery(receipted, bo).outcome == "delivered" end)
bo:crash()
wait("5s")
expect.outcome(receipted, bo, "delivered")
bo:restart()
wait_until("bo is back", "30s", room.converged)
wait("5s")
expect.shown_once(bo, receipted)
expect.outcome(receipted, bo, "delivered")
