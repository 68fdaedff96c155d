-- Nodes learn of each other from each other, and nobody holds the list. The first one is only the door: when it has left, any
-- other member is one. Each member is the same to all, by an id that outlives its processes.
scenario{
  name = "joining",
  about = "nodes join through any member, and each becomes known to all",
  swarm = true,
}
local ana, bo, cy, dee = room.homes{ "ana", "bo", "cy", "dee" }
net.default{ delay = "20ms", jitter = "10ms" }

-- bo and cy were told ana's address, and learn of each other from her.
for _, node in ipairs{ ana, bo, cy } do node:start() end
wait_until("three see three", "30s", room.converged)
expect.equal(bo:member(cy).id, cy.id)
expect.equal(cy:member(bo).nick, "bo")
local first = bo:member(ana).incarnation

-- The door closes.
ana:leave()
wait_until("ana has left", "30s", function()
  return bo:member(ana).state == "left" and cy:member(ana).state == "left"
end)
expect.equal(bo:why(ana).verdict.evidence[1].kind, "leave", "how bo knows")

-- dee knows nobody but ana; cy's address is enough.
dee:start()
dee:join(cy)
wait_until("three see three again", "60s", room.converged)
expect.equal(bo:member(dee).id, dee.id)
local hello = dee:say("is this the room?")
wait_until("both others have it", "30s", function() return bo:shows(hello) and cy:shows(hello) end)

-- Who left may come back, and is who it was.
ana:start()
wait_until("four see four", "60s", room.converged)
expect.equal(dee:member(ana).id, ana.id)
expect.is_true(bo:member(ana).incarnation > first, "in a later run")
