-- Answers every private message with what it says.
--   moot node --script scripts/echo.lua

moot.on("private", function(message)
  -- One that was said while this node was away comes late; nobody waits for that answer any more.
  if not message.recovered then
    moot.tell(message.nick, "you said: " .. message.text)
  end
end)
