-- Everybody restarts within ten seconds, as after an update, and nobody is there all along. Elsewhere such a room wedges: each
-- waits for those that it remembers, at runs that are over. Here each is recognised in its new run, and nobody gets stuck.
scenario{
  name = "mass restart",
  about = "a room that restarts as a whole within ten seconds is soon whole again, and nobody was called gone",
  swarm = true,
}
net.default{ delay = "20ms", jitter = "10ms" }
local all = room.crowd(12)
wait_until("all see all", "30s", room.converged)
local before = all[1]:say("the update is here")
wait_until("all have it", "30s", function()
  for _, node in ipairs(all) do
    if not node:shows(before) then return false end
  end
  return true
end)
local runs = {}
for _, node in ipairs(all) do runs[node.name] = node:status().node.incarnation end

for _, node in ipairs(rng.shuffle(all)) do
  node:restart{ unsynced = "keep" }
  wait(10 / #all)
end
wait_until("all see all in their new runs", "15s", room.converged)
for _, observer in ipairs(all) do
  for _, subject in ipairs(all) do
    expect.is_true(observer:member(subject).incarnation > runs[subject.name], "a later run of " .. subject.name)
  end
end

-- And they talk, with nothing of before shown again.
local after = rng.pick(all):say("that was quick")
wait_until("all have it", "30s", function()
  for _, node in ipairs(all) do
    if not node:shows(after) then return false end
  end
  return true
end)
expect.shown_once(all, before)
expect.shown_once(all, after)
expect.never_saw(all, all, "unreachable")
