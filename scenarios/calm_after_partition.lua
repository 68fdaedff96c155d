-- Short partitions of a room with rings of witnesses: who watches whom changes while reports are open, and when all is
-- whole again, nobody may call anybody unreachable on what was said before.
scenario{ name = "calm after partitions" }

local all = room.crowd(8 + rng.below(6))
net.default{ delay = "20ms", jitter = "5ms" }
wait_until("each sees all", "60s", room.converged)
wait(5)

local function times_unreachable(observer, subject)
  local count = 0
  for _, state in ipairs(observer:saw(subject)) do
    if state == "unreachable" then count = count + 1 end
  end
  return count
end

local function each_pair(visit)
  for _, observer in ipairs(all) do
    for _, subject in ipairs(all) do
      if observer ~= subject then visit(observer, subject) end
    end
  end
end

for _ = 1, 4 do
  local one, other = room.split()
  local partition = net.partition(one, other)
  wait(3 + rng.below(4000) / 1000)
  partition:heal()
  wait_until("each sees all again", "40s", room.converged)
  local before = {}
  each_pair(function(observer, subject)
    before[observer.name .. subject.name] = times_unreachable(observer, subject)
  end)
  wait(15)
  each_pair(function(observer, subject)
    local called = times_unreachable(observer, subject) - before[observer.name .. subject.name]
    expect.equal(called, 0, observer.name .. " does not call " .. subject.name .. " unreachable in a room at rest")
  end)
end
