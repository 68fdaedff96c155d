-- Tells on this node's log what a person should look at: a member that is gone, with who says so, and a message of whose
-- delivery nobody knows.
--   moot node --script scripts/watcher.lua

local missing = {}

moot.on("member", function(member)
  if member.state == "unreachable" then
    missing[member.id] = true
    local voices = {}
    for _, report in ipairs(moot.why(member.id).verdict.reports) do
      voices[#voices + 1] = report.nick
    end
    local by = #voices > 0 and (", says " .. table.concat(voices, " and ")) or ""
    moot.log(member.nick .. " is unreachable" .. by)
  elseif missing[member.id] then
    missing[member.id] = nil
    moot.log(member.nick .. (member.state == "alive" and " is back" or " has left"))
  end
end)

moot.on("delivery", function(delivery)
  if delivery.outcome == "unknown" then
    moot.log("nobody knows whether " .. delivery.nick .. " has " .. delivery.handle .. "; moot why " .. delivery.handle)
  end
end)
