-- The lid is closed for an hour: bo's process stands still, the room goes on, dee leaves it for good and eve comes. Elsewhere a laptop
-- that wakes shows for minutes who was there an hour ago, and calls everybody dead whose words it slept through. Here it listens
-- first: nobody is accused, and the view is right within seconds.
scenario{
  name = "laptop suspended for an hour",
  about = "a node that slept for an hour accuses nobody, sees who left and came, and gets what was said",
  limit = "2h",
}
local ana, bo, cy, dee = room.nodes{ "ana", "bo", "cy", "dee" }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)

bo:pause()
wait_until("bo is missed", "10s", function()
  return ana:member(bo).state == "unreachable" and cy:member(bo).state == "unreachable"
end)
local said = {}
for round = 1, 3 do
  said[round] = ana:say("bo slept through this, " .. round)
  if round == 1 then dee:leave() end
  wait("20m")
end
local private = cy:tell(bo, "wake up")
local eve = room.homes{ "eve" }
eve:start()
wait_until("eve is there", "10s", function() return ana:member(eve) and ana:member(eve).state == "alive" end)

bo:resume()
wait_until("all see all, and no dee", "5s", room.converged)
expect.sees(bo, dee, "left")
wait("30s")
expect.is_true(room.converged(), "it stays so")
expect.never_saw(bo, { ana, cy, dee, eve }, "unreachable")
expect.never_saw({ ana, cy, eve }, { ana, cy, eve }, "suspect")
wait_until("bo has what was said", "60s", function()
  for _, message in ipairs(said) do
    if not bo:shows(message) then return false end
  end
  return bo:shows(private)
end)
for _, message in ipairs(said) do expect.shown_once({ ana, bo, cy }, message) end
expect.outcome(private, bo, "delivered")
