-- Everything together, drawn anew from each seed: nodes join while others talk, die, come back, are cut off from each other and
-- found again, in the room and in private, and one leaves. At the end everybody agrees on who is there, everything that was
-- said is in every log once, and each private message is where it should be and nowhere else.
scenario{
  name = "finale",
  about = "joins, crashes, restarts, a partition, recovery, group and private messages together",
  swarm = true,
}
local names = { "ana", "bo", "cy", "dee", "eve", "fay", "gus", "hal" }
local all = { room.homes(names) }
net.default{ delay = "20ms", jitter = "15ms", loss = 0.03, duplicate = 0.03 }
for at = 1, 5 do all[at]:start() end
wait_until("five see five", "30s", room.converged)

-- Somebody says or tells something every second or so, whatever else goes on.
local said, told, goes_on = {}, {}, true
local function hears_somebody(node)
  for _, member in ipairs(node:members()) do
    if member.id ~= node.id and member.state == "alive" then return true end
  end
  return false
end
spawn(function()
  while goes_on do
    local speaker, listener = rng.pick(room.running()), rng.pick(room.running())
    if not hears_somebody(speaker) then
      -- It has only just started.
    elseif rng.chance(60) or speaker == listener or not speaker:member(listener) then
      said[#said + 1] = speaker:say("to all, number " .. #said + 1)
    else
      told[#told + 1] = speaker:tell(listener, "to one, number " .. #told + 1)
    end
    wait(0.5 + rng.below(1000) / 1000)
  end
end)

-- Three more come.
for at = 6, 8 do
  all[at]:start()
  wait(rng.below(3))
end
wait_until("eight see eight", "60s", room.converged)

-- One dies with a message that nobody heard. The next one tells of it, so that it is missed, until its author is back.
local order = rng.shuffle(all)
local one, two, far = order[1], order[2], order[3]
local mute = net.cut{ from = one, to = { table.unpack(order, 2) } }
said[#said + 1] = one:say("nobody hears this")
wait("100ms")
mute:heal()
said[#said + 1] = one:say("there was something before")
wait("60ms")
one:crash()
wait(3 + rng.below(5))
one:restart()

-- Another restarts while what it told somebody is still on its way: that is void by then, and it is told again.
local slow = net.link{ from = two, to = far, delay = "5s" }
told[#told + 1] = two:tell(far, "slow, and from an earlier life")
wait("200ms")
two:crash()
two:restart()
wait("6s")
slow:heal()

-- The network splits, somebody dies on either side, one of them returns there.
local left, right = room.split()
local cut = net.partition(left, right)
wait(4 + rng.below(4))
local first, second = rng.pick(left), rng.pick(right)
first:crash()
second:crash()
wait(3 + rng.below(4))
first:restart()
wait(2)
cut:heal()

-- The other returns after the partition, and is killed again while it fetches what it missed.
second:restart()
wait(0.2 + rng.below(1500) / 1000)
second:crash()
wait(1)
second:restart()
wait_until("eight see eight again", "90s", room.converged)

-- One says goodbye.
goes_on = false
wait(2)
local leaver = rng.pick(all)
leaver:leave()
wait_until("the rest knows", "60s", function()
  for _, node in ipairs(all) do
    if node ~= leaver and node:member(leaver).state ~= "left" then return false end
  end
  return room.converged()
end)

expect.settled("150s")
local rest = room.running()
expect.equal(#rest, 7, "who is left")

-- What an author was killed with before it was stored was never said. All else is in every log, once.
local held = {}
for _, node in ipairs(rest) do
  held[node.name] = {}
  for _, message in ipairs(node:log()) do
    expect.equal(held[node.name][message.id], nil, "the same message before it in the log of " .. node.name)
    held[node.name][message.id] = true
  end
end
for _, message in ipairs(said) do
  local holders = 0
  for _, node in ipairs(rest) do holders = holders + (held[node.name][message.id] and 1 or 0) end
  expect.is_true(holders == 0 or holders == #rest, "who has " .. message.text .. ": " .. holders)
end
for _, message in ipairs(told) do
  for _, node in ipairs(rest) do
    local concerns = node == message.by or node == message.to
    expect.is_true(concerns or not held[node.name][message.id], node.name .. " has no part in " .. message.text)
  end
  -- A message that waits for the one who left, or of it, may wait for ever.
  if message.by ~= leaver and message.to ~= leaver and held[message.by.name][message.id] then
    -- An earlier run's deliveries are remembered while they are open only.
    local delivery = message.by:delivery(message, message.to)
    if delivery then expect.equal(delivery.outcome, "delivered", message.text) end
    expect.is_true(held[message.to.name][message.id], message.to.name .. " has " .. message.text)
  end
end
