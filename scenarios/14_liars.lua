-- Mallory is a member like any other: it has the room's secret, its own key, and sessions with everybody. And it lies, in
-- each of the ways that a member can. What the others show is still true, and what cannot be told apart they say so. This
-- one needs the simulator: a real node has no way to do any of it.
scenario{
  name = "liars",
  about = "a member that forges, equivocates, boasts, slanders, replays and floods deceives nobody and stops nobody",
  swarm = { "delay=15ms±15ms", "duplicate=3%", "disk=20ms" },
}
local ana, bo, cy, mallory = room.nodes{ "ana", "bo", "cy", "mallory" }
local honest = { ana, bo, cy }
-- What mallory says is sent once, and a lie that is lost deceives nobody: loss is for the others.
if rng.chance(50) then net.link{ from = honest, to = honest, loss = 0.05 } end
wait_until("all see all", "60s", room.converged)

local function all_show(...)
  for _, node in ipairs(honest) do
    for _, message in ipairs{ ... } do
      if not node:shows(message) then return false end
    end
  end
  return true
end
local function counted(node, what) return node:status().counters[what] end

-- It remembers all that it gets from ana and sends, and what ana sends to bo.
mallory:listen()
mallory:listen{ from = ana, to = bo }
local gate = ana:say("the gate opens at nine")
local key = ana:tell(bo, "the key is under the stone")
wait_until("what ana says is shown", "60s", function() return all_show(gate) and bo:shows(key) end)
wait_until("mallory has it too", "60s", function() return mallory:shows(gate) end)

-- It forges: words of ana's that she never said, to the room and to bo alone, and what she did say with another text.
-- Nobody shows them. To ana's name belongs ana's key.
local forged = {
  mallory:forge{ to = honest, as = ana, text = "the gate opens at ten" },
  mallory:forge{ to = honest, of = gate, text = "the gate stays shut" },
  mallory:forge{ to = bo, as = ana, text = "come alone", private = true },
}
-- It forges a receipt too, while bo hears nothing: what bo does not have is not delivered.
local cut = net.cut{ from = ana, to = bo }
local lost = ana:tell(bo, "did you find it?")
wait("200ms")
mallory:forge{ to = ana, as = bo, receipt = lost }
wait("2s")
expect.differ(ana:delivery(lost, bo).outcome, "delivered", "what bo does not have")
expect.not_shown(bo, lost)
cut:heal()
wait_until("bo has it", "120s", function() return ana:delivery(lost, bo).outcome == "delivered" end)
for _, message in ipairs(forged) do expect.not_shown(honest, message) end

-- It equivocates: ana hears yes from it and bo hears no, under one number. Both are its words, so both are shown, to cy too,
-- who heard neither; and each is warned, and can prove it.
local yes, no = mallory:equivocate{ to = { ana, bo }, texts = { "I vote yes", "I vote no" } }
wait_until("all know both", "150s", function()
  return all_show(yes, no) and #ana:alarms() > 0 and #bo:alarms() > 0 and #cy:alarms() > 0
end)
for _, node in ipairs(honest) do
  expect.is_true(node:alarms()[1]:find("mallory signed two messages", 1, true), "the warning")
  expect.equal(node:why(yes).rivals, { no.id }, "the other version")
end

-- It boasts: it holds a hundred more of bo's messages, it says, and a hundred of its own. What nothing signed proves is no
-- gap; mallory is asked, has nothing to give, and is not asked again and again.
local asked = counted(ana, "recovery_pulls")
mallory:boast{ to = { ana, cy }, of = bo, more = 100 }
mallory:boast{ to = { ana, cy }, of = mallory, more = 100 }
wait("30s")
expect.equal(#ana:gaps(), 0, "gaps")
expect.is_true(counted(ana, "recovery_pulls") - asked < 20, "ana does not ask for ever")
expect.equal(counted(ana, "offers_used"), 0, "what ana still wants of it")

-- It lies about who is there: cy said goodbye, it shows, or restarted; and neither it nor ana hears cy. What it cannot sign
-- counts for nothing, and whom they hear themselves nobody talks them out of.
local run = ana:member(cy).incarnation
mallory:forge{ to = { ana, bo }, as = cy, leave = true }
mallory:forge{ to = { ana, bo }, as = cy, card = true }
for _ = 1, 5 do
  mallory:slander{ to = bo, of = cy, as = ana, verdict = true }
  mallory:slander{ to = ana, of = cy }
  wait("1s")
end
for _, state in ipairs{ "unreachable", "left" } do expect.never_saw({ ana, bo }, cy, state) end
for _, node in ipairs{ ana, bo } do expect.equal(node:member(cy).incarnation, run, "the run of cy") end

-- It replays all that it remembers, some of it from before bo's restart. Every copy is turned away, and nothing is shown
-- twice.
local before = counted(ana, "replayed") + counted(bo, "replayed") + counted(cy, "replayed")
expect.is_true(mallory:replay() > 0, "something was heard")
wait("1s")
local after = counted(ana, "replayed") + counted(bo, "replayed") + counted(cy, "replayed")
expect.is_true(after > before, "copies are counted")

-- While bo is down it says that it has just heard bo. Nobody else does, so bo shows as degraded, kept alive by mallory's word;
-- when that ends, bo is unreachable.
bo:crash()
local function on_mallorys_word(node)
  local member = node:member(bo)
  local evidence = member.evidence[1]
  return member.degraded and evidence.kind == "contradiction" and evidence.nick == "mallory"
end
for _ = 1, 20 do
  mallory:vouch{ to = { ana, cy }, of = bo }
  wait("500ms")
end
expect.is_true(on_mallorys_word(ana) or on_mallorys_word(cy), "on whose word bo is alive")
wait_until("bo is missed", "30s", function()
  return ana:member(bo).state == "unreachable" and cy:member(bo).state == "unreachable"
end)
bo:start()
wait_until("bo is back", "60s", room.converged)
mallory:replay{ to = bo }
wait("1s")
expect.shown_once(honest, gate)
expect.shown_once(bo, key)
expect.shown_once(bo, lost)

-- It floods: a hundred of each of these to each of the others, twice over, in five seconds. They go on.
local kinds = { "noise", "data", "handshakes", "frames", "forgeries", "pulls", "frontiers" }
spawn(function()
  for _ = 1, 2 do
    for _, kind in ipairs(kinds) do
      mallory:flood{ to = honest, with = kind, count = 100 }
      wait("300ms")
    end
  end
end)
local through = {}
for number = 1, 5 do
  wait("1s")
  table.insert(through, ana:say("still here, " .. number))
  table.insert(through, bo:tell(cy, "and here, " .. number))
end
wait_until("the honest hear each other", "60s", function()
  for number = 1, 5 do
    local said, told = through[2 * number - 1], through[2 * number]
    if not all_show(said) or bo:delivery(told, cy).outcome ~= "delivered" then return false end
  end
  return true
end)
expect.sees(ana, bo, "alive")
expect.sees(bo, cy, "alive")
expect.sees(cy, ana, "alive")
for _, message in ipairs(forged) do expect.not_shown(honest, message) end
