-- Runs once in each new sandbox, before any script. Owns the standard library as scripts see it: what is missing, what
-- is sorted, what is counted, and what cannot be caught. Its errors name the line of the script that called.

local rust = ...

local where = rust.where
local raw_type, raw_error, raw_select, raw_tostring = type, error, select, tostring
local raw_getmetatable, raw_setmetatable, raw_rawget = getmetatable, setmetatable, rawget
local raw_pcall, raw_tonumber = pcall, tonumber
local raw_string, raw_table, raw_coroutine, raw_utf8 = string, table, coroutine, utf8
local sub, find, gsub_plain = string.sub, string.find, string.gsub
local concat, pack, unpack = table.concat, table.pack, table.unpack
local raw_resume, raw_yield, raw_create = coroutine.resume, coroutine.yield, coroutine.create

-- A script that has used up what it may is stopped by a yield that nobody resumes: there is no error that it could catch,
-- and nothing of it runs any more, not even what it had to close. So nothing here calls a script's function through C,
-- where it could not yield.

local function stop()
  while true do
    raw_yield()
  end
end

local function charge(amount)
  if rust.charge(amount) then
    stop()
  end
end

local function recheck(is_ok, message)
  if rust.recheck(is_ok, message) then
    stop()
  end
end

-- Errors ---------------------------------------------------------------------------------------------------------------

-- The next line of a script, outwards, is the one to blame.
local function misuse(message)
  raw_error(where() .. message, 0)
end

local function bad_argument(name, number, problem)
  misuse("bad argument #" .. number .. " to '" .. name .. "' (" .. problem .. ")")
end

local function name_of_type(count, value)
  return count > 0 and raw_type(value) or "no value"
end

-- Where an error was raised that is no text, and so names no line itself.
local raised_at = ""

function error(message, level)
  if level == nil then
    level = 1
  elseif raw_type(level) ~= "number" then
    bad_argument("error", 2, "number expected, got " .. raw_type(level))
  end
  if raw_type(message) ~= "string" then
    raised_at = where()
  end
  -- This function is one more between who raised it and who is to blame.
  raw_error(message, level > 0 and level + 1 or 0)
end

-- What the library itself complains about has no line, or one of ours; the script is to blame. What a function of the
-- script's raised has its own.
local function blamed(ok, message, ...)
  if ok then
    return message, ...
  end
  recheck(ok, message)
  if raw_type(message) == "string" then
    local _, till = find(message, "^%[moot%]:%d+: ")
    if till then
      misuse(sub(message, till + 1))
    elseif not find(message, "^[^:\n]+:%d+: ") then
      misuse(message)
    end
  end
  raw_error(message, 0)
end

-- What ran out stays so: nobody may catch it and go on.
local function checked(ok, ...)
  recheck(ok, ...)
  return ok, ...
end

function pcall(...)
  return checked(raw_pcall(...))
end

-- The handler is called after the error, not within it.
function xpcall(f, handler, ...)
  if raw_type(handler) ~= "function" then
    bad_argument("xpcall", 2, "function expected, got " .. raw_type(handler))
  end
  local function handled(ok, ...)
    if ok then
      return true, ...
    end
    return false, raw_select(2, pcall(handler, ...))
  end
  return handled(pcall(f, ...))
end

-- Coroutines -----------------------------------------------------------------------------------------------------------

-- A yield that begins with this is a question to whoever runs the script, and passes through the script's coroutines.
local ASK = {}

local function passed(co, ok, first, ...)
  recheck(ok, first)
  if first == ASK then
    return passed(co, raw_resume(co, raw_yield(ASK, ...)))
  end
  return ok, first, ...
end

local function unwrapped(ok, ...)
  if ok then
    return ...
  end
  blamed(false, (...))
end

coroutine = {
  isyieldable = raw_coroutine.isyieldable,
  running = raw_coroutine.running,
  status = raw_coroutine.status,
  yield = raw_yield,
  -- A new coroutine begins to count anew, so that much is charged for it.
  create = function(...)
    charge(rust.stride)
    return blamed(raw_pcall(raw_create, ...))
  end,
  wrap = function(...)
    charge(rust.stride)
    local co = blamed(raw_pcall(raw_create, ...))
    return function(...)
      return unwrapped(passed(co, raw_resume(co, ...)))
    end
  end,
  resume = function(co, ...)
    if raw_type(co) ~= "thread" then
      bad_argument("resume", 1, "coroutine expected")
    end
    return passed(co, raw_resume(co, ...))
  end,
}

local function answered(ok, ...)
  if ok then
    return ...
  end
  recheck(false, (...))
  misuse((...))
end

-- A function that is answered by whoever runs the script.
function rust.make_asked(name)
  return function(...)
    local refusal = rust.asks_refused()
    if refusal then
      misuse(name .. " " .. refusal)
    end
    return answered(raw_yield(ASK, name, ...))
  end
end

-- A function that is answered at once.
function rust.make_checked(body)
  return function(...)
    return answered(body(...))
  end
end

rust.ASK = ASK

-- Values ---------------------------------------------------------------------------------------------------------------

local function text_of(value)
  local kind = raw_type(value)
  local own = kind == "table" and rust.metafield(value, "__tostring")
  local text
  if own then
    text = own(value)
    if raw_type(text) ~= "string" then
      misuse("'__tostring' must return a string")
    end
    return text
  end
  text = raw_tostring(value)
  if kind == "table" or kind == "function" or kind == "thread" or kind == "userdata" then
    text = gsub_plain(text, ": 0x%x+$", "")
    text = gsub_plain(text, ": builtin: %x+$", "")
  elseif value ~= value then
    text = "nan"
  end
  return text
end

function tostring(...)
  if raw_select("#", ...) == 0 then
    bad_argument("tostring", 1, "value expected")
  end
  return text_of((...))
end

function tonumber(...)
  local text = ...
  if raw_type(text) == "string" and raw_select("#", ...) == 1 and #text <= 64 then
    return raw_tonumber(text)
  elseif raw_type(text) == "string" then
    charge(#text // 16)
  end
  return blamed(raw_pcall(raw_tonumber, ...))
end

function print(...)
  local parts = pack(...)
  for i = 1, parts.n do
    parts[i] = tostring(parts[i])
  end
  rust.print(concat(parts, "\t", 1, parts.n))
end

-- Numbers in their order, then strings by their bytes, then false and true, then tables that say how they are ordered.
function pairs(...)
  local t = ...
  local own = raw_type(t) == "table" and rust.metafield(t, "__pairs")
  if own then
    local step, state, first = own(t)
    return step, state, first
  end
  if raw_type(t) ~= "table" then
    bad_argument("pairs", 1, "table expected, got " .. name_of_type(raw_select("#", ...), t))
  end
  local keys = answered(rust.sorted_keys(t))
  local at = 0
  return function()
    local key, value
    repeat
      at = at + 1
      key = keys[at]
      if key == nil then
        return nil
      end
      value = raw_rawget(t, key)
    until value ~= nil
    return key, value
  end, t, nil
end

local function next_in(t, i)
  i = i + 1
  local value = t[i]
  if value ~= nil then
    return i, value
  end
end

function ipairs(...)
  local t = ...
  local kind = raw_type(t)
  if kind ~= "table" and kind ~= "userdata" and kind ~= "string" then
    bad_argument("ipairs", 1, "table expected, got " .. name_of_type(raw_select("#", ...), t))
  end
  return next_in, t, 0
end

function setmetatable(...)
  local _, meta = ...
  if raw_type(meta) == "table" then
    if raw_rawget(meta, "__gc") ~= nil then
      misuse("setmetatable: __gc does nothing here; use a <close> variable, or call what cleans up")
    end
    if raw_rawget(meta, "__mode") ~= nil then
      misuse("setmetatable: weak tables (__mode) are not there; they would show when memory is collected")
    end
  end
  return blamed(raw_pcall(raw_setmetatable, ...))
end

-- What runs a script's function: whatever it raises comes out as a text.
function rust.entry(...)
  local results = pack(raw_pcall(...))
  if results[1] then
    return unpack(results, 2, results.n)
  end
  local message = results[2]
  recheck(false, message)
  if raw_type(message) ~= "string" then
    local ok, text = raw_pcall(text_of, message)
    message = raised_at .. "an error that is no text: " .. (ok and text or "a " .. raw_type(message))
  end
  raw_error(message, 0)
end

-- Tables ---------------------------------------------------------------------------------------------------------------

local function is_table(t)
  return raw_type(t) == "table"
end

local function is_number(n)
  return raw_type(n) == "number"
end

-- The argument as an integer; `default` where it is missing.
local function to_integer(name, number, value, default)
  if value == nil then
    return default
  end
  local integer = math.tointeger(value) or (raw_type(value) == "string" and math.tointeger(raw_tonumber(value)))
  if not integer then
    bad_argument(name, number, "number expected, got " .. raw_type(value))
  end
  return integer
end

-- A plain list of what `t` has from `i` to `j`, its metamethods included.
local function copied(t, i, j)
  local list = {}
  for at = i, j do
    list[at - i + 1] = t[at]
  end
  return list
end

-- Merges, so that what compares equal keeps its order, and the comparisons are the same each time.
local function merge_sort(list, count, is_less)
  local from, to = list, {}
  local width = 1
  while width < count do
    for low = 1, count, 2 * width do
      local left, left_end = low, low + width
      local right, right_end = left_end, low + 2 * width
      if left_end > count + 1 then left_end = count + 1 end
      if right_end > count + 1 then right_end = count + 1 end
      for at = low, right_end - 1 do
        if left < left_end and (right >= right_end or not is_less(from[right], from[left])) then
          to[at] = from[left]
          left = left + 1
        else
          to[at] = from[right]
          right = right + 1
        end
      end
    end
    from, to = to, from
    width = 2 * width
  end
  return from
end

local function by_value(a, b)
  return a < b
end

local function sort(t, is_less)
  local count = #t
  local list = {}
  for i = 1, count do
    list[i] = t[i]
  end
  list = merge_sort(list, count, is_less or by_value)
  for i = 1, count do
    t[i] = list[i]
  end
end

table = {
  pack = raw_table.pack,
  concat = function(...)
    local t, between, i, j = ...
    if not is_table(t) then
      return blamed(raw_pcall(concat, ...))
    end
    i, j = to_integer("concat", 3, i, 1), to_integer("concat", 4, j) or #t
    charge(j - i)
    if raw_getmetatable(t) == nil then
      return blamed(raw_pcall(concat, t, between, i, j))
    end
    return blamed(raw_pcall(concat, copied(t, i, j), between, 1, j - i + 1))
  end,
  insert = function(...)
    local t, at, value = ...
    local count = raw_select("#", ...)
    if not is_table(t) or count < 2 or count > 3 then
      return blamed(raw_pcall(raw_table.insert, ...))
    elseif raw_getmetatable(t) == nil then
      if count == 2 then
        return raw_table.insert(t, at)
      end
      charge(is_number(at) and #t - at or 0)
      return blamed(raw_pcall(raw_table.insert, ...))
    elseif count == 2 then
      t[#t + 1] = at
      return
    end
    local last = #t + 1
    at = to_integer("insert", 2, at)
    if at < 1 or at > last then
      bad_argument("table.insert", 2, "position out of bounds")
    end
    for i = last, at + 1, -1 do
      t[i] = t[i - 1]
    end
    t[at] = value
  end,
  move = function(...)
    local a, from, till, to, b = ...
    if raw_select("#", ...) < 5 or b == nil then
      b = a
    end
    if is_number(from) and is_number(till) then
      charge(till - from)
    end
    if not (is_table(a) and is_table(b)) or raw_getmetatable(a) == nil and raw_getmetatable(b) == nil then
      return blamed(raw_pcall(raw_table.move, ...))
    end
    from, till, to = to_integer("move", 2, from), to_integer("move", 3, till), to_integer("move", 4, to)
    if to > till or to <= from or a ~= b then
      for i = 0, till - from do
        b[to + i] = a[from + i]
      end
    else
      for i = till - from, 0, -1 do
        b[to + i] = a[from + i]
      end
    end
    return b
  end,
  remove = function(...)
    local t, at = ...
    if not is_table(t) or raw_getmetatable(t) == nil then
      charge(is_table(t) and is_number(at) and #t - at or 0)
      return blamed(raw_pcall(raw_table.remove, ...))
    end
    local count = #t
    at = to_integer("remove", 2, at, count)
    if at ~= count and (at < 1 or at > count + 1) then
      bad_argument("table.remove", 2, "position out of bounds")
    end
    local value = t[at]
    for i = at, count - 1 do
      t[i] = t[i + 1]
    end
    t[at > count and at or count] = nil
    return value
  end,
  sort = function(...)
    local t, is_less = ...
    if not is_table(t) then
      bad_argument("sort", 1, "table expected, got " .. name_of_type(raw_select("#", ...), t))
    end
    if is_less ~= nil and raw_type(is_less) ~= "function" then
      bad_argument("sort", 2, "function expected, got " .. raw_type(is_less))
    end
    blamed(raw_pcall(sort, t, is_less))
  end,
  unpack = function(...)
    local t, i, j = ...
    if not is_table(t) then
      return blamed(raw_pcall(unpack, ...))
    end
    i, j = to_integer("unpack", 2, i, 1), to_integer("unpack", 3, j) or #t
    charge(j - i)
    if raw_getmetatable(t) ~= nil then
      t, i, j = copied(t, i, j), 1, j - i + 1
    end
    return blamed(raw_pcall(unpack, t, i, j))
  end,
}

-- Strings --------------------------------------------------------------------------------------------------------------

local function to_text(name, number, value)
  if raw_type(value) == "string" then
    return value
  end
  if is_number(value) then
    return raw_tostring(value)
  end
  bad_argument(name, number, "string expected, got " .. (value == nil and "no value" or raw_type(value)))
end

-- From 1; past the end when there is nothing to look at.
local function start_in(text, init)
  if init > 0 then
    return init
  end
  if init == 0 or -init > #text then
    return 1
  end
  return #text + init + 1
end

-- start, end, captures: the first match from `from` on that does not end at `not_at`.
local function search(text, pattern, from, not_at)
  return answered(rust.search(text, pattern, from, not_at))
end

local function whole_or(text, start, stop, ...)
  if start == nil then
    return nil
  end
  if raw_select("#", ...) == 0 then
    return sub(text, start, stop)
  end
  return ...
end

local function expanded(template, text, start, stop, ...)
  local parts, from = {}, 1
  while true do
    local at = find(template, "%", from, true)
    if not at then
      break
    end
    parts[#parts + 1] = sub(template, from, at - 1)
    local what = sub(template, at + 1, at + 1)
    if what == "%" then
      parts[#parts + 1] = "%"
    elseif what == "0" then
      parts[#parts + 1] = sub(text, start, stop)
    elseif find(what, "^%d$") then
      local number, count = raw_tonumber(what), raw_select("#", ...)
      if number == 1 and count == 0 then
        parts[#parts + 1] = sub(text, start, stop)
      elseif number > count then
        misuse("invalid capture index %" .. number .. " in replacement string")
      else
        parts[#parts + 1] = (raw_select(number, ...))
      end
    else
      misuse("invalid use of '%' in replacement string")
    end
    from = at + 2
  end
  parts[#parts + 1] = sub(template, from)
  return concat(parts)
end

-- What takes the place of one match.
local function replacement(by, kind, text, start, stop, ...)
  local value
  if kind == "string" then
    return expanded(by, text, start, stop, ...)
  elseif kind == "table" then
    value = by[(whole_or(text, start, stop, ...))]
  else
    value = by(whole_or(text, start, stop, ...))
  end
  if not value then
    return sub(text, start, stop)
  end
  if raw_type(value) ~= "string" and not is_number(value) then
    misuse("invalid replacement value (a " .. raw_type(value) .. ")")
  end
  return raw_tostring(value)
end

string = {
  byte = raw_string.byte,
  char = raw_string.char,
  len = raw_string.len,
  lower = raw_string.lower,
  pack = raw_string.pack,
  reverse = raw_string.reverse,
  sub = raw_string.sub,
  unpack = raw_string.unpack,
  upper = raw_string.upper,
  packsize = function(...)
    local format = ...
    if raw_type(format) == "string" then
      charge(#format // 16)
    end
    return blamed(raw_pcall(raw_string.packsize, ...))
  end,
  find = function(text, pattern, init, is_plain)
    text, pattern = to_text("find", 1, text), to_text("find", 2, pattern)
    local from = start_in(text, to_integer("find", 3, init, 1))
    if from > #text + 1 then
      return nil
    end
    if is_plain then
      return rust.find_plain(text, pattern, from)
    end
    return search(text, pattern, from)
  end,
  match = function(text, pattern, init)
    text, pattern = to_text("match", 1, text), to_text("match", 2, pattern)
    local from = start_in(text, to_integer("match", 3, init, 1))
    if from > #text + 1 then
      return nil
    end
    return whole_or(text, search(text, pattern, from))
  end,
  gmatch = function(text, pattern, init)
    text, pattern = to_text("gmatch", 1, text), to_text("gmatch", 2, pattern)
    local from = start_in(text, to_integer("gmatch", 3, init, 1))
    local last
    local function step(start, stop, ...)
      if start == nil then
        from = #text + 2
        return nil
      end
      from, last = stop + 1, stop
      return whole_or(text, start, stop, ...)
    end
    return function()
      if from > #text + 1 then
        return nil
      end
      -- Here alone ^ is a letter like others: it would make the loop end after one match.
      return step(answered(rust.search(text, pattern, from, last, true)))
    end
  end,
  gsub = function(text, pattern, by, max)
    text, pattern = to_text("gsub", 1, text), to_text("gsub", 2, pattern)
    local kind = raw_type(by)
    if kind == "number" then
      by, kind = raw_tostring(by), "string"
    elseif kind ~= "string" and kind ~= "table" and kind ~= "function" then
      bad_argument("gsub", 3, "string/function/table expected, got " .. (by == nil and "no value" or kind))
    end
    max = to_integer("gsub", 4, max, #text + 1)
    local is_anchored = sub(pattern, 1, 1) == "^"
    local parts, count, from, last = {}, 0, 1, nil
    while count < max and from <= #text + 1 do
      local match = pack(search(text, pattern, from, last))
      local start, stop = match[1], match[2]
      if start == nil then
        break
      end
      count = count + 1
      parts[#parts + 1] = sub(text, from, start - 1)
      parts[#parts + 1] = replacement(by, kind, text, start, stop, unpack(match, 3, match.n))
      from, last = stop + 1, stop
      if is_anchored then
        break
      end
    end
    parts[#parts + 1] = sub(text, from)
    return concat(parts), count
  end,
  rep = function(...)
    local text, count, between = ...
    if raw_type(text) == "string" and is_number(count) and count > 0 then
      -- Nothing, a great many times, is nothing, and would take for ever.
      if #text == 0 and (between == nil or between == "") then
        return ""
      end
      charge(count // 16)
    end
    return blamed(raw_pcall(raw_string.rep, ...))
  end,
  format = function(...)
    local values = pack(...)
    local format = values[1]
    if raw_type(format) ~= "string" then
      return blamed(raw_pcall(raw_string.format, ...))
    end
    local at, number = 1, 1
    while true do
      local _, till, what = find(format, "%%[%-+ #0-9.]*(.)", at)
      if not till then
        break
      end
      at = till + 1
      if what == "p" then
        misuse("string.format: %p would show an address, which differs from run to run")
      end
      if what ~= "%" then
        number = number + 1
        if what == "s" and number <= values.n then
          values[number] = tostring(values[number])
        end
      end
    end
    return blamed(raw_pcall(raw_string.format, unpack(values, 1, values.n)))
  end,
}

local function by_length(body)
  return function(...)
    local text = ...
    if raw_type(text) == "string" then
      charge(#text // 16)
    end
    return blamed(raw_pcall(body, ...))
  end
end

utf8 = {
  char = raw_utf8.char,
  charpattern = raw_utf8.charpattern,
  codes = raw_utf8.codes,
  codepoint = by_length(raw_utf8.codepoint),
  len = by_length(raw_utf8.len),
  offset = by_length(raw_utf8.offset),
}

local of_strings = raw_getmetatable("")
of_strings.__index = string
of_strings.__metatable = "strings share it"

-- Texts count as the numbers that they are: "10" + 1. Lua's own way would call the other value's metamethod through C.
local operators = {
  __add = function(a, b) return a + b end,
  __sub = function(a, b) return a - b end,
  __mul = function(a, b) return a * b end,
  __div = function(a, b) return a / b end,
  __idiv = function(a, b) return a // b end,
  __mod = function(a, b) return a % b end,
  __pow = function(a, b) return a ^ b end,
  __unm = function(a) return -a end,
}
for name, operator in next, operators do
  of_strings[name] = function(a, b)
    local x, y = raw_tonumber(a), raw_tonumber(b)
    if x and y then
      return blamed(raw_pcall(operator, x, y))
    end
    local own = is_table(b) and rust.metafield(b, name)
    if own then
      return own(a, b)
    end
    misuse("attempt to perform arithmetic on a " .. raw_type(x and b or a) .. " value")
  end
end

-- Numbers --------------------------------------------------------------------------------------------------------------

function math.random(...)
  local count = raw_select("#", ...)
  local low, high = 1, nil
  if count == 0 then
    return (rust.random() >> 11) * 0x1p-53
  elseif count == 1 then
    high = to_integer("random", 1, (...), nil)
    if high == 0 then
      return rust.random()
    end
  elseif count == 2 then
    local a, b = ...
    low, high = to_integer("random", 1, a, nil), to_integer("random", 2, b, nil)
  else
    misuse("wrong number of arguments to 'random'")
  end
  if low == nil or high == nil then
    bad_argument("random", count, "number expected, got nil")
  end
  if low > high then
    bad_argument("random", count, "interval is empty")
  end
  return low + rust.random_upto(high - low)
end

function math.randomseed()
  misuse("math.randomseed: the seed comes with the run, so that the run can be repeated; leave it out")
end

-- What is not in this list is not there.
local KEPT = {
  _G = true, _VERSION = true, assert = true, coroutine = true, error = true, getmetatable = true, ipairs = true,
  math = true, pairs = true, pcall = true, print = true, rawequal = true, rawget = true, rawlen = true, rawset = true,
  select = true, setmetatable = true, string = true, table = true, tonumber = true, tostring = true, type = true,
  utf8 = true, xpcall = true,
}
local gone = {}
for name in next, _G do
  if not KEPT[name] then
    gone[#gone + 1] = name
  end
end
for _, name in ipairs(gone) do
  _G[name] = nil
end
