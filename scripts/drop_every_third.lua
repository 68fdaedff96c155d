-- Loses every third datagram on its way out, on each link. The room works all the same, only later.
--   moot chat --script scripts/drop_every_third.lua

moot.on("datagram", function(datagram)
  if datagram.way == "out" and datagram.n % 3 == 0 then
    return "drop"
  end
end)
