-- cy was away. When it is back it asks the others for what it missed, and shows from whom it came and how late. Then a message
-- exists of which cy hears, and which nobody who is asked can give: that is a gap, with the names of those who were asked,
-- until somebody can.
scenario{
  name = "recovery",
  about = "a restarted node fetches what it missed, and what nobody can give is a gap until somebody can",
}
local ana, bo, cy = room.nodes{ "ana", "bo", "cy" }
net.default{ delay = "10ms" }
wait_until("all see all", "30s", room.converged)

cy:crash()
wait_until("the others miss cy", "20s", function()
  return ana:member(cy).state == "unreachable" and bo:member(cy).state == "unreachable"
end)
local missed = {}
for number = 1, 30 do
  missed[number] = (number % 3 == 0 and bo or ana):say("message " .. number)
  wait("50ms")
end
cy:restart()
wait_until("cy has all that it missed", "60s", function()
  for _, message in ipairs(missed) do
    if not cy:shows(message) then return false end
  end
  return true
end)
for _, message in ipairs(missed) do expect.shown_once(cy, message) end
expect.is_true(cy:status().messages.recovered >= 30, "they came by asking")
expect.is_true(#cy:why(missed[1]).sources > 0, "who gave the first")

-- A long message takes thirteen datagrams, and the way from ana has become too narrow for them: her heartbeats pass, and short
-- messages do. The others hear that the long one exists, ask, and are given nothing that gets through.
local narrow = net.link{ from = ana, to = { bo, cy }, rate = "20kbit/500ms" }
local long = ana:say(string.rep("too long to get through ", 600))
wait("11s")
local short = ana:say("a short one")
wait_until("bo and cy know of a gap", "120s", function() return #bo:gaps() == 1 and #cy:gaps() == 1 end)
local gap = bo:gaps()[1]
expect.equal(gap.author, ana.id)
expect.equal(gap.first, gap.last, "one message")
wait_until("bo can say who was asked", "60s", function() return #bo:gaps() == 1 and #bo:gaps()[1].asked >= 1 end)
expect.not_shown({ bo, cy }, long)

-- The way is wide again, and the gap closes.
narrow:heal()
wait_until("no gap is left, and the long one shows", "120s", function()
  return #bo:gaps() == 0 and #cy:gaps() == 0 and bo:shows(long) and cy:shows(long)
end)
expect.shown_once({ ana, bo, cy }, long)
expect.shown_once({ ana, bo, cy }, short)
