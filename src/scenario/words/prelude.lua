-- Waiting, and what else must be Lua because it yields. Runs once, before the scenario; what it is given never
-- reaches the scenario itself.
local raw = ...
local yield = raw.park

function wait(span)
  local till = raw.till("wait", span)
  repeat yield(till, false) until raw.now() >= till
end

function wait_until(what, limit, is_true)
  local till = raw.wait_begins(what, limit, is_true)
  local since = raw.now()
  raw.listen()
  while not is_true() do
    if raw.now() >= till then raw.wait_failed(what, since) end
    yield(till, true)
    raw.listen()
  end
  raw.wait_done(what, since)
end

function expect.settled(limit)
  local till = raw.till("expect.settled", limit or raw.settle_within())
  raw.settle_begins()
  while not raw.is_settled() do
    if raw.now() >= till then raw.not_settled() end
    yield(till, true)
  end
  raw.settle_done()
end

function expect.refused(fn, words)
  local done, problem = pcall(fn)
  raw.refused(done, problem, words)
end

function spawn(fn, ...)
  raw.spawn(fn, ...)
end
