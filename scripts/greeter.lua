-- Greets everybody who comes into the room, once a day at most, and says who else is there.
--   moot node --script scripts/greeter.lua

local greeted = {}

moot.on("member", function(member)
  local me = moot.status().node.id
  if member.state ~= "alive" or member.id == me or greeted[member.id] then
    return
  end
  greeted[member.id] = true
  moot.after("24h", function() greeted[member.id] = nil end)

  local others = {}
  for _, other in ipairs(moot.members()) do
    if other.state == "alive" and other.id ~= me and other.id ~= member.id then
      others[#others + 1] = other.nick
    end
  end
  local company = #others > 0 and ("; here are " .. table.concat(others, ", ")) or ""
  moot.tell(member.nick, "welcome, " .. member.nick .. company)
end)
