-- A few are cut off from most of a room together. Each of them finds all who are gone, also those whom none of the few watched, and
-- once they are back nobody takes itself for one that is cut off, or holds anybody doubtful, for long.
scenario{ name = "a group cut off", crypto = "plain" }

local all = room.crowd(40 + rng.below(20))
net.default{ delay = "20ms", jitter = "5ms" }
wait_until("each sees all", "60s", room.converged)
wait(5)

local few, rest = room.split(4 + rng.below(5))

local function all_hold(observers, subjects, state)
  for _, observer in ipairs(observers) do
    for _, subject in ipairs(subjects) do
      if observer:member(subject).state ~= state then return false end
    end
  end
  return true
end

local function nobody_is_cut_off()
  for _, node in ipairs(all) do
    if node:status().node.probably_cut_off then return false end
  end
  return true
end

local partition = net.partition(few, rest)
wait_until("each of the few shows all the others as gone", "30s", function()
  return all_hold(few, rest, "unreachable")
end)
expect.equal(all_hold(rest, few, "unreachable"), true, "and each of the others shows the few as gone")
wait(rng.below(30))
partition:heal()
wait_until("each sees all again", "5s", room.converged)
wait_until("nobody is cut off any more", "10s", nobody_is_cut_off)
wait(10)
expect.equal(room.converged(), true, "and so it stays")
