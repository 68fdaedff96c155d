-- The network splits into three and two. Each side misses the other and goes on by itself: the views differ, and each is right
-- about what it can see. The smaller side knows that it is probably the one cut off; nothing is claimed of those beyond.
scenario{
  name = "partition",
  about = "both sides of a partition go on, and their views differ",
  swarm = true,
}
local ana, bo, cy, dee, eve = room.nodes{ "ana", "bo", "cy", "dee", "eve" }
net.default{ delay = "20ms", jitter = "10ms" }
wait_until("all see all", "30s", room.converged)
local left, right = room.split(3)

net.partition(left, right)
local function side_sees(side, other, state)
  for _, node in ipairs(side) do
    for _, missed in ipairs(other) do
      if node:member(missed).state ~= state then return false end
    end
  end
  return true
end
wait_until("the sides miss each other", "30s", function()
  return side_sees(left, right, "unreachable") and side_sees(right, left, "unreachable")
end)
expect.is_true(side_sees(left, left, "alive"), "the left sees itself whole")
expect.is_true(side_sees(right, right, "alive"), "the right sees itself whole")
wait_until("both of the smaller side suspect themselves", "5s", function()
  return dee:status().node.probably_cut_off and eve:status().node.probably_cut_off
end)
expect.is_false(ana:status().node.probably_cut_off, "the larger side does")

-- Both go on.
local here = ana:say("we are three")
local there = dee:say("we are two")
wait_until("each side has its own", "20s", function()
  return bo:shows(here) and cy:shows(here) and eve:shows(there)
end)
wait_until("each knows who of its side has it", "20s", function()
  return ana:delivery(here, cy).outcome == "delivered" and dee:delivery(there, eve).outcome == "delivered"
end)
expect.not_shown(right, here)
expect.not_shown(left, there)
expect.outcome(here, dee, "waiting")
expect.outcome(there, ana, "waiting")
local across = ana:tell(eve, "can you read this?")
wait("12s")
expect.outcome(across, eve, "waiting")

-- And mend, so that the end of the run can see that nothing was lost by it.
net.heal()
wait_until("the room is one again", "60s", room.converged)
