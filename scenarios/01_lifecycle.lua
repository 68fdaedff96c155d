-- One node's life, alone: a home is made, its process starts, says what it is, is killed, starts again as the same member in a
-- later run, and leaves. Nothing that was said is lost, and nothing is claimed of others who are not there.
scenario{
  name = "lifecycle",
  about = "a node starts, works alone, is killed, is itself again, and leaves",
  swarm = true,
}
local ana = room.homes{ "ana" }
expect.is_false(ana:is_running(), "a home does not run by itself")

ana:start()
wait("1s")
local first = ana:status().node
expect.equal(first.id, ana.id)
expect.equal(first.nick, "ana")
expect.equal(#ana:members(), 1, "who is alone")
expect.equal(ana:member(ana).state, "alive")

-- Alone, a message is stored here and goes to nobody.
local note = ana:say("a note to myself")
wait_until("the note is on the disk", "10s", function() return ana:shows(note) end)
expect.equal(#ana:why(note).deliveries, 0, "receivers")

ana:crash()
expect.equal(ana:log()[1].text, "a note to myself", "the log while the process is down")

ana:start()
wait("2s")
local second = ana:status().node
expect.equal(second.id, first.id, "the same member")
expect.is_true(second.incarnation > first.incarnation, "in a later run")
expect.equal(#ana:log(), 1, "messages")
expect.shown_once(ana, note)

ana:leave()
wait_until("its process has ended", "10s", function() return not ana:is_running() end)
