-- A message to the room goes from its author to each member directly. One who is away gets it when it is back; when its author
-- dies after only some have it, that shows, and the others get it from those; copies on the way are shown to nobody twice.
scenario{
  name = "group",
  about = "group messages go from node to node, reach the rest by others when their author dies, and show once",
  swarm = true,
}
local ana, bo, cy, dee = room.nodes{ "ana", "bo", "cy", "dee" }
net.default{ delay = "20ms", jitter = "10ms", loss = 0.05, duplicate = 0.1 }
wait_until("all see all", "30s", room.converged)

local hello = ana:say("hello, all")
wait_until("all have stored it", "20s", function()
  for _, node in ipairs{ bo, cy, dee } do
    if ana:delivery(hello, node).outcome ~= "delivered" then return false end
  end
  return true
end)

-- dee is away.
dee:crash()
local without = bo:say("dee is away")
wait("5s")
expect.shown_once({ ana, bo, cy }, without)
expect.not_shown(dee, without)
dee:restart()
wait_until("dee shows what it missed", "60s", function() return dee:shows(without) end)

-- cy reaches dee alone when it speaks, and dies. Its own disk says who has signed for the message and who has not. dee reaches
-- nobody else either: ana and bo would ask it at its next heartbeat.
net.cut{ from = { cy, dee }, to = { ana, bo } }
local partial = cy:say("does anybody hear me?")
-- A receipt that is lost comes again when it is asked for, once a minute.
wait_until("dee has signed for it", "90s", function() return cy:delivery(partial, dee).outcome == "delivered" end)
expect.differ(cy:delivery(partial, ana).outcome, "delivered", "what cy claims of ana")
expect.not_shown({ ana, bo }, partial)
cy:crash()
net.heal()

-- The others ask, dee gives, and their screens say from whom it came.
wait_until("ana and bo have it", "60s", function() return ana:shows(partial) and bo:shows(partial) end)
for _, message in ipairs(ana:log()) do
  if message.text == partial.text then
    expect.is_true(message.recovered, "it came by asking")
    expect.differ(message.via, nil, "who gave it")
    expect.differ(message.via, cy.id, "who gave it")
  end
end

cy:restart()
wait_until("cy knows that all have it", "90s", function()
  return cy:delivery(partial, ana).outcome == "delivered" and cy:delivery(partial, bo).outcome == "delivered"
end)
for _, message in ipairs{ hello, without, partial } do expect.shown_once({ ana, bo, cy, dee }, message) end
