-- Half of the room stands still for half a minute and goes on at the same moment, as when a host of virtual machines is suspended.
-- Elsewhere those who wake up find everybody silent and call them dead, and the room flaps for minutes. Here a node that was away
-- judges nobody before it has listened.
scenario{
  name = "half of the room paused",
  about = "those who were paused call nobody gone when they go on, and all see all within seconds",
  swarm = true,
}
net.default{ delay = "20ms", jitter = "10ms" }
local all = room.crowd(10)
wait_until("all see all", "30s", room.converged)
local sleepers, others = room.split(5)

for _, node in ipairs(sleepers) do node:pause() end
wait_until("the others miss them", "10s", function()
  for _, node in ipairs(others) do
    for _, sleeper in ipairs(sleepers) do
      if node:member(sleeper).state ~= "unreachable" then return false end
    end
  end
  return true
end)
local meanwhile = others[1]:say("where did you go?")
wait("30s")

for _, node in ipairs(sleepers) do node:resume() end
wait_until("all see all again", "5s", room.converged)
wait("10s")
expect.is_true(room.converged(), "and it stays so")
wait_until("what was said meanwhile is there", "30s", function()
  for _, node in ipairs(sleepers) do
    if not node:shows(meanwhile) then return false end
  end
  return true
end)
expect.shown_once(all, meanwhile)
-- Two that were paused while they greeted each other greet anew, and may be doubted meanwhile; a verdict never comes of it.
expect.never_saw(sleepers, all, "unreachable")
expect.never_saw(others, others, "unreachable")
