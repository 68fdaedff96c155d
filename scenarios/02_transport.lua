-- Two nodes exchange frames over one socket each, on a link that loses, repeats and reorders datagrams. What arrives is whole,
-- once, and where it belongs: a heartbeat with the membership, a message with the messages. The link says how it is doing.
scenario{
  name = "transport",
  about = "frames cross a bad link whole and once, and go to who they are for",
}
net.default{ delay = "20ms", jitter = "20ms", loss = 0.1, duplicate = 0.1 }
local ana, bo = room.nodes{ "ana", "bo" }
wait_until("they meet", "30s", room.converged)

-- 16,000 bytes do not fit a datagram: they travel in fifteen, any of which may be lost.
local long = ana:tell(bo, string.rep("0123456789abcdef", 1000))
local short = ana:say("a short one")
wait_until("both have arrived", "60s", function() return bo:shows(long) and bo:shows(short) end)
local log = bo:log()
expect.equal(#log, 2, "messages")
for _, message in ipairs(log) do
  local is_long = message.kind == "private"
  expect.equal(message.text, is_long and long.text or short.text, message.kind)
end
wait_until("both are known to have arrived", "60s", function()
  return ana:delivery(long, bo).outcome == "delivered" and ana:delivery(short, bo).outcome == "delivered"
end)

-- What the link did, by the nodes' own counts.
wait_until("a datagram came twice and was taken once", "120s", function() return bo:status().counters.replayed > 0 end)
expect.shown_once(bo, long)
expect.shown_once(bo, short)
wait_until("the loss is measured", "120s", function() return (ana:member(bo).loss or 0) > 0 end)
local link = ana:why(bo).link
expect.is_true(link.hears_me, "bo is known to hear ana")
expect.is_true(link.rtt_us >= 1000, "the round trip is measured")
expect.equal(ana:status().counters.tag_failed, 0, "datagrams that do not prove to be bo's")
