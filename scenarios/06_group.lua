-- A message to the room reaches everyone directly, the one who is away later, and nobody twice.
scenario{
  name = "group",
  about = "group messages go from node to node, reach who was away when it returns, and show once",
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

dee:crash()
local without = bo:say("dee is away")
wait("5s")
expect.shown_once({ ana, bo, cy }, without)
expect.not_shown(dee, without)

dee:restart()
wait_until("dee shows what it missed", "60s", function() return dee:shows(without) end)
expect.shown_once({ ana, bo, cy, dee }, hello)
expect.shown_once({ ana, bo, cy, dee }, without)
