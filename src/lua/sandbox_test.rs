//! The sandbox under attack: each way out of it, each way to be different from run to run, and each way to go on after
//! something ran out. A test that takes for ever is a test that fails.

use mlua::{IntoLuaMulti, MultiValue, Value};

use super::{Limit, Misuse, Progress, Sandbox, ScriptError};
use crate::base::Rng;
use crate::base::limits::HOOK_INSTRUCTIONS_MAX;

fn sandbox() -> Sandbox {
    Sandbox::new(Rng::from_seed([7; 32]))
}

fn run(source: &str) -> Result<Vec<String>, ScriptError> {
    let sandbox = sandbox();
    let chunk = sandbox.load("test.lua", source.as_bytes())?;
    sandbox.call(HOOK_INSTRUCTIONS_MAX, &chunk, ())?;
    Ok(sandbox.take_log())
}

/// What it printed.
fn printed(source: &str) -> Vec<String> {
    run(source).unwrap_or_else(|error| panic!("{error}\n{source}"))
}

fn failure(source: &str) -> String {
    run(source).expect_err(source).to_string()
}

fn limit(source: &str) -> Option<Limit> {
    run(source).expect_err(source).limit()
}

#[test]
fn there_is_no_way_out() {
    let names = "io os debug package require load loadstring loadfile dofile next collectgarbage warn string.dump \
                 coroutine.close";
    for name in names.split_whitespace() {
        assert_eq!(printed(&format!("print({name})")), ["nil"], "{name}");
    }
    let globals = "for name in pairs(_G) do print(name) end";
    assert_eq!(
        printed(globals).join(" "),
        "_G _VERSION assert coroutine error getmetatable ipairs math pairs pcall print rawequal rawget rawlen rawset \
         select setmetatable string table tonumber tostring type utf8 xpcall"
    );
}

#[test]
fn compiled_lua_is_no_script() {
    assert_eq!(failure("\u{1b}Lua"), "test.lua: that is compiled Lua; a script is the source");
    let sandbox = sandbox();
    let long = vec![b' '; 1024 * 1024 + 1];
    let error = sandbox.load("test.lua", &long).unwrap_err();
    assert_eq!(error.to_string(), "test.lua: the script is longer than 1048576 bytes");
}

#[test]
fn pairs_goes_in_one_order() {
    let source = r#"
        local named = function(name) return setmetatable({ name = name }, { __order = "name" }) end
        local t = { [3] = 1, x = 2, [1.5] = 3, [-1] = 4, [true] = 5, [false] = 6, a = 7, [2^53] = 8, ["10"] = 9,
                    [named("bo")] = 10, [named("ana")] = 11 }
        local seen = {}
        for key, value in pairs(t) do seen[#seen + 1] = type(key) == "table" and key.name or tostring(key) end
        print(table.concat(seen, " "))
    "#;
    assert_eq!(printed(source), ["-1 1.5 3 9007199254740992 10 a x false true ana bo"]);
    assert_eq!(
        failure("for _ in pairs{ [print] = 1 } do end"),
        "test.lua:1: pairs cannot order keys that are of type function; use names or numbers as keys, or keep a list"
    );
    assert_eq!(failure("pairs()"), "test.lua:1: bad argument #1 to 'pairs' (table expected, got no value)");
    let own = "for k, v in pairs(setmetatable({}, { __pairs = function() return function(_, k) if not k then return 1, 2 end end end })) do print(k, v) end";
    assert_eq!(printed(own), ["1\t2"]);
    let removed = "local t = { a = 1, b = 2, c = 3 } for k in pairs(t) do print(k) t.b = nil end";
    assert_eq!(printed(removed), ["a", "c"]);
}

#[test]
fn no_address_is_ever_seen() {
    let source = r#"
        local co = coroutine.create(function() end)
        print({}, print, function() end, co, setmetatable({}, { __name = "thing" }))
        print(string.format("%s %5s %s", {}, true, print))
        print(("%s"):format({}), tostring(setmetatable({}, { __tostring = function() return "mine" end })))
        print(select(2, pcall(error, {})), select(2, pcall(function() return {} .. "" end)))
    "#;
    let all = printed(source);
    assert_eq!(all[0], "table\tfunction\tfunction\tthread\tthing");
    assert_eq!(all[1], "table  true function");
    assert_eq!(all[2], "table\tmine");
    assert!(!all.join("").contains("0x"), "{all:?}");
    assert_eq!(
        failure("string.format('%p', {})"),
        "test.lua:1: string.format: %p would show an address, which differs from run to run"
    );
    assert_eq!(failure("string.format('%-10.3p', {})"), failure("string.format('%p', {})"));
    assert!(!failure("error({})").contains("0x"));
    assert!(!failure("error(print)").contains("0x"));
}

#[test]
fn chance_comes_from_the_seed() {
    let source = "print(math.random(), math.random(6), math.random(-3, 3), math.random(0), math.random(math.mininteger, math.maxinteger))";
    assert_eq!(printed(source), printed(source));
    let other = Sandbox::new(Rng::from_seed([8; 32]));
    let chunk = other.load("test.lua", source.as_bytes()).unwrap();
    other.call(HOOK_INSTRUCTIONS_MAX, &chunk, ()).unwrap();
    assert_ne!(other.take_log(), printed(source));
    assert_eq!(
        failure("math.randomseed(1)"),
        "test.lua:1: math.randomseed: the seed comes with the run, so that the run can be repeated; leave it out"
    );
    assert_eq!(failure("math.random(0, -1)"), "test.lua:1: bad argument #2 to 'random' (interval is empty)");
    printed(
        "for _ = 1, 1000 do local r = math.random() assert(r >= 0 and r < 1) r = math.random(3, 5) assert(r >= 3 and r <= 5 and math.type(r) == 'integer') end",
    );
}

#[test]
fn sorting_is_stable_and_the_same_each_time() {
    let source = r#"
        local t = {}
        for i = 1, 300 do t[i] = { key = i % 3, at = i } end
        table.sort(t, function(a, b) return a.key < b.key end)
        for i = 2, #t do assert(t[i - 1].key < t[i].key or t[i - 1].at < t[i].at) end
        local words = { "c", "a", "b" } table.sort(words) print(table.concat(words))
        local one = {} table.sort(one) one[1] = 1 table.sort(one) print(#one)
    "#;
    assert_eq!(printed(source), ["abc", "1"]);
    assert_eq!(failure("table.sort{ 1, 'a' }"), "test.lua:1: attempt to compare string with number");
    assert_eq!(failure("table.sort(1)"), "test.lua:1: bad argument #1 to 'sort' (table expected, got number)");
}

#[test]
fn a_loop_without_end_is_stopped_at_its_line() {
    assert_eq!(
        failure("local x = 1\nwhile true do\n  x = x + 1\nend").split_once(' ').unwrap().1,
        "stopped, because it ran too long; is there a loop that does not end?"
    );
    assert!(failure("local x = 1\nwhile true do\nend").starts_with("test.lua:2: "));
}

#[test]
fn nothing_catches_the_end_of_the_instructions() {
    for attempt in [
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() end) end",
        "xpcall(function() while true do end end, function() while true do end end) while true do end",
        "pcall(pcall, pcall, function() while true do end end) print('went on') while true do end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "local f = coroutine.wrap(function() pcall(function() while true do end end) while true do end end) pcall(f) f()",
        "while true do local t <close> = setmetatable({}, { __close = function() while true do end end }) end",
        "pcall(function() local t <close> = setmetatable({}, { __close = function() error('instead') end }) while true do end end) while true do end",
        "local t = setmetatable({}, { __index = function(t, k) while true do end end }) while true do pcall(function() return t.x end) end",
        "local t = setmetatable({}, { __tostring = function(t) while true do end end }) while true do pcall(tostring, t) end",
        "error(setmetatable({}, { __tostring = function(t) while true do end end }))",
        "while true do pcall(table.sort, { 3, 2, 1 }, function() while true do end end) end",
        "while true do pcall(string.gsub, 'abc', '.', function() while true do end end) end",
        "for _ in pairs(setmetatable({}, { __pairs = function() while true do end end })) do end",
        "local function f() return pcall(f) end while true do f() end",
        "local function f() pcall(f) pcall(f) end f()",
        "local function again() return xpcall(again, again) end while true do again() end",
        "while true do coroutine.wrap(function() local x = 1 end)() end",
        "string.rep = nil pcall = nil while true do end",
        "goto a ::a:: goto a",
    ] {
        assert_eq!(limit(attempt), Some(Limit::Instructions), "{attempt}");
    }
}

#[test]
fn what_takes_long_in_one_instruction_is_counted_too() {
    for attempt in [
        "(('a'):rep(200)):find(('a*'):rep(20) .. 'b')",
        "(('a'):rep(5000)):find('.-.-.-.-b')",
        "(('a'):rep(5000)):match('(.-)(.-)(.-)%1b')",
        "for _ in (('a'):rep(5000)):gmatch('a-a-a-b') do end",
        "(('a'):rep(5000)):gsub('a*a*a*b', '')",
        "(('('):rep(20000)):find(('%b()'):rep(3))  for _ = 1, 100000 do (('('):rep(20000)):find('%b()') end",
        "(''):rep(math.maxinteger, 'x')",
        "('x'):rep(math.maxinteger)",
        "table.move({}, 1, 1 << 60, 1, {})",
        "table.move({}, 1, 1 << 60, 2)",
        "table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 'x')",
        "table.remove(setmetatable({}, { __len = function() return 1 << 60 end }), 1)",
        "table.concat(setmetatable({}, { __index = function() return '' end }), '', 1, 1 << 60)",
        "table.unpack({}, 1, 1 << 60)",
        "table.sort(setmetatable({}, { __len = function() return 1 << 60 end, __index = function() return 1 end }))",
        "local s = ('x'):rep(1000000) while true do utf8.len(s) end",
        "local s = ('x'):rep(1000000) while true do s:find('y', 1, true) end",
        "local s = '' while true do s = s .. 'x' end",
        "local s = ('x'):rep(1000000) while true do local t = s .. 'y' end",
        "local s = ('x'):rep(1000000) while true do local t = s:upper() end",
        "local s = ('x'):rep(8000000) while true do local t = s .. 'y' end",
    ] {
        assert_eq!(limit(attempt), Some(Limit::Instructions), "{attempt}");
    }
    assert_eq!(printed("print((''):rep(math.maxinteger) == '', ('ab'):rep(3, '-'))"), ["true\tab-ab-ab"]);
}

#[test]
fn nothing_catches_the_end_of_the_memory() {
    for attempt in [
        "local t = {} for i = 1, 40 do t[i] = ('x'):rep(1000):rep(1000) .. i end",
        "while true do pcall(function() local s = ('x'):rep(2000):rep(1000) while true do s = s .. s end end) end",
        "pcall(function() local s = ('x'):rep(2000):rep(1000) while true do s = s .. s end end) print('went on')",
        "xpcall(function() local s = ('x'):rep(2000):rep(1000) while true do s = s .. s end end, print) print('went on')",
        "coroutine.resume(coroutine.create(function() local s = ('x'):rep(2000):rep(1000) while true do s = s .. s end end)) print('went on')",
        "pcall(coroutine.wrap(function() local s = ('x'):rep(2000):rep(1000) while true do s = s .. s end end)) print('went on')",
        "local t = {} for i = 1, 40 do t[i] = ('x'):rep(1000):rep(1000) .. i end",
    ] {
        assert_eq!(limit(attempt), Some(Limit::Memory), "{attempt}");
    }
    assert_eq!(
        failure("\nlocal s = ('x'):rep(2000):rep(1000) pcall(function() while true do s = s .. s end end)"),
        "test.lua:2: stopped, because it needs more than 32 MiB of memory; does it call itself without end?"
    );
}

#[test]
fn a_sandbox_goes_on_after_a_limit() {
    let sandbox = sandbox();
    let load = |source: &str| sandbox.load("test.lua", source.as_bytes()).unwrap();
    assert!(sandbox.call(HOOK_INSTRUCTIONS_MAX, &load("while true do end"), ()).is_err());
    assert!(sandbox.call(HOOK_INSTRUCTIONS_MAX, &load("local s = 'x' while true do s = s .. s end"), ()).is_err());
    sandbox.call(HOOK_INSTRUCTIONS_MAX, &load("for i = 1, 10000 do end print('still here')"), ()).unwrap();
    assert_eq!(sandbox.take_log(), ["still here"]);
}

/// What a script closes runs while it is stopped by an error, and uncounted where that comes from a hook of Lua's.
#[test]
fn nothing_of_a_stopped_script_runs_any_more() {
    let evil = "local evil = setmetatable({}, { __close = function() while true do end end }) ";
    for attempt in [
        "local t <close> = evil while true do end",
        "for _ in function() return 1 end, nil, nil, evil do end",
        "pcall(function() local t <close> = evil while true do end end)",
        "coroutine.resume(coroutine.create(function() local t <close> = evil while true do end end))",
        "coroutine.wrap(function() local t <close> = evil while true do end end)()",
        "local t <close> = evil coroutine.wrap(function() local t <close> = evil while true do end end)()",
        "local t <close> = evil; (('a'):rep(5000)):find('.-.-.-.-b')",
        "local t <close> = evil local u = ('x'):rep(1 << 60)",
        "local t <close> = evil for _, v in ipairs(setmetatable({}, { __index = function() local t <close> = evil while true do end end })) do end",
        "tostring(setmetatable({}, { __tostring = function() local t <close> = evil while true do end end }))",
        "return '1' + setmetatable({}, { __add = function() local t <close> = evil while true do end end })",
        "table.unpack(setmetatable({}, { __len = function() local t <close> = evil while true do end end }))",
    ] {
        assert_eq!(limit(&format!("{evil}{attempt}")), Some(Limit::Instructions), "{attempt}");
    }
    for call in ["concat(t, '', 1, 9)", "unpack(t, 1, 9)", "insert(t, 1, 1)", "remove(t, 1)", "move(t, 1, 9, 2)"] {
        let body = "function() local t <close> = evil while true do end end";
        let source = format!(
            "{evil}local t = setmetatable({{}}, {{ __len = function() return 9 end, __index = {body}, __newindex = {body} }}) table.{call}"
        );
        assert_eq!(limit(&source), Some(Limit::Instructions), "{call}");
    }
    let sandbox = sandbox();
    let call = |source: &str| {
        let chunk = sandbox.load("test.lua", source.as_bytes()).unwrap();
        sandbox.call(HOOK_INSTRUCTIONS_MAX, &chunk, ())
    };
    assert!(call("co = coroutine.create(function() local t <close> = setmetatable({}, { __close = print }) while true do end end) coroutine.resume(co)").is_err());
    call("print(coroutine.status(co), coroutine.close)").unwrap();
    assert_eq!(sandbox.take_log(), ["suspended\tnil"]);
}

#[test]
fn tables_with_metamethods_work_as_in_lua() {
    let source = r##"
        local seen = {}
        local function through() return setmetatable({}, {
            __index = function(_, k) return seen[k] end,
            __newindex = function(_, k, v) seen[k] = v end,
            __len = function() return #seen end,
        }) end
        local t = through()
        table.insert(t, "a") table.insert(t, "c") table.insert(t, 2, "b")
        print(table.concat(t, ","), table.concat(t, "-", 2), select("#", table.unpack(t)), table.unpack(t, 2, 3))
        print(table.remove(t, 1), table.remove(t), #t, table.concat(t))
        table.move(t, 1, 1, 2) print(table.concat(seen))
        for i, v in ipairs(t) do print(i, v) end
        print("10" + 1, 1 + "0x10", "3" * "4", -"2", "7" // 2, "2" ^ 3)
        print("1" + setmetatable({}, { __add = function(a, b) return "added" end }))
    "##;
    assert_eq!(
        printed(source),
        ["a,b,c\tb-c\t3\tb\tc", "a\tc\t1\tb", "bb", "1\tb", "2\tb", "11\t17\t12\t-2\t3\t8.0", "added"]
    );
    assert_eq!(failure("return 'x' + 1"), "test.lua:1: attempt to perform arithmetic on a string value");
    assert_eq!(failure("return 1 + {}"), "test.lua:1: attempt to perform arithmetic on a table value");
    assert_eq!(failure("return '1' // 0"), "test.lua:1: attempt to divide by zero");
}

#[test]
fn a_handler_sees_the_error_and_its_own_errors_stay_inside() {
    assert_eq!(printed("print(xpcall(error, function(e) return 'handled ' .. e end, 'it', 0))"), ["false\thandled it"]);
    assert_eq!(printed("print(xpcall(error, function(e) error('worse', 0) end, 'it'))"), ["false\tworse"]);
    assert_eq!(printed("print(xpcall(function(...) return ... end, print, 1, nil))"), ["true\t1\tnil"]);
}

#[test]
fn finalizers_and_weak_tables_are_refused() {
    assert_eq!(
        failure("setmetatable({}, { __gc = function() while true do end end })"),
        "test.lua:1: setmetatable: __gc does nothing here; use a <close> variable, or call what cleans up"
    );
    assert!(failure("setmetatable({}, { __mode = 'k' })").starts_with("test.lua:1: setmetatable: weak tables"));
    // One that is added later is never called.
    assert_eq!(
        printed(
            "local m = {} for _ = 1, 1000 do setmetatable({}, m) end m.__gc = function() print('!') end for _ = 1, 20000 do local t = {} end print('ok')"
        ),
        ["ok"]
    );
}

#[test]
fn deep_recursion_is_stopped() {
    assert!(limit("local function f() return 1 + f() end f()").is_some());
    assert!(limit("local function f() return 1 + f() end pcall(f) print('went on')").is_some());
    let nested = format!("return {}1{}", "(".repeat(300), ")".repeat(300));
    assert_eq!(failure(&nested), "test.lua: C stack overflow");
}

#[test]
fn strange_errors_come_out_in_one_line() {
    assert_eq!(failure("error('boom')"), "test.lua:1: boom");
    assert_eq!(failure("error('boom', 0)"), "test.lua: boom");
    assert_eq!(failure("error('two\\nlines')"), "test.lua:1: two lines");
    assert_eq!(failure("error()"), "test.lua:1: an error that is no text: nil");
    assert_eq!(failure("\nerror({})"), "test.lua:2: an error that is no text: table");
    assert_eq!(failure("local function f() error('boom', 2) end\nf()"), "test.lua:2: boom");
    assert_eq!(failure("error('boom', 'x')"), "test.lua:1: bad argument #2 to 'error' (number expected, got string)");
    assert_eq!(
        failure("error(setmetatable({}, { __tostring = function() return 'mine' end }))"),
        "test.lua:1: an error that is no text: mine"
    );
    assert_eq!(
        failure("error(setmetatable({}, { __tostring = function() error('again') end }))"),
        "test.lua:1: an error that is no text: a table"
    );
    assert_eq!(
        failure("error(setmetatable({}, { __tostring = function() return {} end }))"),
        "test.lua:1: an error that is no text: a table"
    );
    assert_eq!(failure("local t = nil\nreturn t.x"), "test.lua:2: attempt to index a nil value (local 't')");
    assert_eq!(failure("x = = 1"), "test.lua:1: unexpected symbol near '='");
    assert_eq!(
        failure("coroutine.yield(1)"),
        "test.lua: coroutine.yield outside of a coroutine: nothing would let it go on"
    );
}

#[test]
fn library_errors_blame_the_line_of_the_script() {
    for (source, told) in [
        ("\nstring.rep()", "test.lua:2: bad argument #1 to 'string.rep' (string expected, got no value)"),
        ("\ntable.concat({ {} })", "test.lua:2: invalid value (table) at index 1 in table for 'concat'"),
        ("\ntable.insert(1, 2)", "test.lua:2: bad argument #1 to 'table.insert' (table expected, got number)"),
        ("\nsetmetatable(1, {})", "test.lua:2: bad argument #1 to 'setmetatable' (table expected, got number)"),
        ("\ntonumber()", "test.lua:2: bad argument #1 to 'tonumber' (value expected)"),
        ("\ntostring()", "test.lua:2: bad argument #1 to 'tostring' (value expected)"),
        ("\nlocal s = ('x'):find()", "test.lua:2: bad argument #2 to 'find' (string expected, got no value)"),
        ("\nlocal s = ('x'):find('[')", "test.lua:2: malformed pattern (missing ']')"),
        ("\nlocal s = ('x'):gsub('x', '%2')", "test.lua:2: invalid capture index %2 in replacement string"),
        ("\nlocal s = ('x'):gsub('x', function() return {} end)", "test.lua:2: invalid replacement value (a table)"),
        ("\ncoroutine.create(1)", "test.lua:2: bad argument #1 to 'coroutine.create' (function expected, got number)"),
        ("\ncoroutine.resume(1)", "test.lua:2: bad argument #1 to 'resume' (coroutine expected)"),
        ("\nutf8.len(1, 5)", "test.lua:2: bad argument #2 to 'utf8.len' (initial position out of bounds)"),
        (
            "\ntostring(setmetatable({}, { __tostring = function() return {} end }))",
            "test.lua:2: '__tostring' must return a string",
        ),
    ] {
        assert_eq!(failure(source), told, "{source}");
    }
}

#[test]
fn coroutines_work_as_they_do_in_lua() {
    let source = r#"
        local numbers = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
        print(numbers(), numbers(), numbers())
        local co = coroutine.create(function(a, b) local c = coroutine.yield(a + b) error("in " .. c) end)
        print(coroutine.resume(co, 1, 2))
        print(coroutine.resume(co, "it"))
        print(coroutine.status(co), coroutine.resume(co))
        print(pcall(coroutine.wrap(function() error("out") end)))
        local over = coroutine.wrap(function() end)
        print(over(), pcall(function() over() end))
        print(select('#', coroutine.resume(coroutine.create(function() return nil, nil end))))
    "#;
    assert_eq!(
        printed(source),
        [
            "1\t2\t3",
            "true\t3",
            "false\ttest.lua:4: in it",
            "dead\tfalse\tcannot resume dead coroutine",
            "false\ttest.lua:8: out",
            "nil\tfalse\ttest.lua:10: cannot resume dead coroutine",
            "3"
        ]
    );
}

#[test]
fn the_log_is_bounded() {
    let lines = printed("for i = 1, 150 do print(i) end");
    assert_eq!(lines.len(), 101);
    assert_eq!(lines[100], "and 50 more lines, which are too many at once");
    let long = printed("print(('é'):rep(4000))");
    assert!(long[0].len() <= 4 * 1024 + 3 && long[0].ends_with("é…"), "{}", long[0].len());
}

fn asking() -> Sandbox {
    let sandbox = sandbox();
    let ask = sandbox.asked("ask").unwrap();
    sandbox.lua().globals().set("ask", ask).unwrap();
    sandbox
}

/// Answers each question with its argument doubled, until the script is over.
fn answered(source: &str) -> Result<Vec<String>, ScriptError> {
    let sandbox = asking();
    let chunk = sandbox.load("test.lua", source.as_bytes())?;
    let (task, mut progress) = sandbox.begin(HOOK_INSTRUCTIONS_MAX, &chunk, ())?;
    while let Progress::Asked(mut question) = progress {
        assert_eq!(question.name, "ask");
        let answer = question.args.integer("number", 1, 100).map(|number| number * 2);
        progress = sandbox.answer(&task, answer)?;
    }
    Ok(sandbox.take_log())
}

#[test]
fn a_question_is_answered_from_outside() {
    assert_eq!(answered("print(ask(1), ask(2))").unwrap(), ["2\t4"]);
    let inside = r#"
        print(pcall(ask, 5))
        print(coroutine.wrap(function() coroutine.yield(ask(6)) end)())
        local co = coroutine.create(function(...) local got = ask(...) return coroutine.yield(got) end)
        print(coroutine.resume(co, 7))
        print(coroutine.resume(co, "last"))
        table.sort({ 2, 1 }, function(a, b) return ask(a) < ask(b) end)
        print((("12"):gsub("%d", function(digit) return ask(tonumber(digit)) end)))
    "#;
    assert_eq!(answered(inside).unwrap(), ["true\t10", "12", "true\t14", "true\tlast", "24"]);
}

#[test]
fn a_refused_question_is_an_error_at_the_line_that_asked() {
    assert_eq!(answered("\nask(0)").unwrap_err().to_string(), "test.lua:2: ask: number must be from 1 to 100, not 0");
    assert_eq!(
        answered("\nask('x')").unwrap_err().to_string(),
        "test.lua:2: ask: number must be a whole number, not a string"
    );
    assert_eq!(
        answered("print(pcall(ask, 0))").unwrap(),
        ["false\ttest.lua:1: ask: number must be from 1 to 100, not 0"]
    );
    let inside = "coroutine.wrap(function()\nask(0) end)()";
    assert_eq!(answered(inside).unwrap_err().to_string(), "test.lua:2: ask: number must be from 1 to 100, not 0");
}

#[test]
fn a_question_that_nobody_could_answer_is_an_error() {
    let sandbox = asking();
    sandbox.refuse_asks(Some("cannot be used in a test"));
    let chunk = sandbox.load("test.lua", b"\nask(1)").unwrap();
    let error = sandbox.call(HOOK_INSTRUCTIONS_MAX, &chunk, ()).unwrap_err();
    assert_eq!(error.to_string(), "test.lua:2: ask cannot be used in a test");
}

#[test]
fn yielding_past_the_last_coroutine_is_an_error() {
    let told = answered("coroutine.yield(1)").unwrap_err().to_string();
    assert_eq!(told, "test.lua: coroutine.yield outside of a coroutine: nothing would let it go on");
}

#[test]
fn the_budget_goes_on_over_a_question() {
    let source = "while true do ask(1) end";
    assert_eq!(answered(source).unwrap_err().limit(), Some(Limit::Instructions));
    assert_eq!(answered("while true do pcall(ask, 0) end").unwrap_err().limit(), Some(Limit::Instructions));
}

/// Calls `function` of ours from a script.
fn called<R: IntoLuaMulti>(
    source: &str,
    body: impl Fn(&mut super::Args) -> Result<R, Misuse> + Send + 'static,
) -> Result<Vec<String>, ScriptError> {
    let sandbox = sandbox();
    let function = sandbox.function("net.cut", move |_, mut args| body(&mut args)).unwrap();
    sandbox.lua().globals().set("cut", function).unwrap();
    let chunk = sandbox.load("test.lua", source.as_bytes())?;
    sandbox.call(HOOK_INSTRUCTIONS_MAX, &chunk, ())?;
    Ok(sandbox.take_log())
}

#[test]
fn wrong_arguments_are_told_in_one_sentence() {
    let read = |source: &str| {
        called(source, |args| {
            let fields = args.fields("cut", &["delay", "jitter", "loss"])?;
            args.end()?;
            let delay = fields.duration("delay")?.map_or_else(String::new, |delay| format!("{delay:?}"));
            Ok((delay, fields.number("loss")?))
        })
        .map_or_else(|error| error.to_string(), |lines| lines.join("\n"))
    };
    for (source, told) in [
        ("print(cut{ delay = '200ms', loss = 0.5 })", "200ms\t0.5"),
        ("print(cut{ delay = 1.5 })", "1.5s\tnil"),
        ("print(cut{ delay = 2 })", "2s\tnil"),
        ("cut{ dealy = 1 }", "test.lua:1: net.cut: unknown field 'dealy'; known are delay, jitter, loss"),
        ("cut{ zz = 1, aa = 1 }", "test.lua:1: net.cut: unknown field 'aa'; known are delay, jitter, loss"),
        ("cut{ 1 }", "test.lua:1: net.cut: unknown field [1]; known are delay, jitter, loss"),
        ("cut()", "test.lua:1: net.cut: cut must be a table, not nil"),
        ("cut({}, 1)", "test.lua:1: net.cut: 1 argument too many"),
        (
            "cut{ delay = true }",
            "test.lua:1: net.cut: delay must be a duration as \"30s\", or a number of seconds, not a boolean",
        ),
        (
            "cut{ delay = 'soon' }",
            "test.lua:1: net.cut: delay is 'soon', and must be a duration as \"30s\", or a number of seconds",
        ),
        ("cut{ delay = -1 }", "test.lua:1: net.cut: delay must not be negative"),
        (
            "cut{ delay = 0/0 }",
            "test.lua:1: net.cut: delay must be a duration as \"30s\", or a number of seconds, not NaN",
        ),
        ("cut{ loss = '5%' }", "test.lua:1: net.cut: loss must be a number, not a string"),
    ] {
        assert_eq!(read(source), told, "{source}");
    }
}

#[test]
fn values_pass_both_ways() {
    let lines = called("print(cut('a', 2))", |args| Ok((args.text("what")?, args.integer("n", 0, 9)?, Value::Nil)));
    assert_eq!(lines.unwrap(), ["a\t2\tnil"]);
    let nothing = called("print(select('#', cut()))", |args| {
        assert!(args.is_empty());
        Ok(MultiValue::new())
    });
    assert_eq!(nothing.unwrap(), ["0"]);
}

#[test]
fn patterns_match_as_in_lua() {
    for (expression, told) in [
        ("('hello world'):find('o w')", "5\t7"),
        ("('hello'):find('l')", "3\t3"),
        ("('hello'):find('xyz')", "nil"),
        ("('hello'):find('')", "1\t0"),
        ("('hello'):find('', 10)", "nil"),
        ("('hello'):find('', 6)", "6\t5"),
        ("('hello'):find('l', -2)", "4\t4"),
        ("('a.b'):find('.', 1, true)", "2\t2"),
        ("('aXb'):find('%u')", "2\t2"),
        ("('key = value'):match('^(%w+)%s*=%s*(%w+)$')", "key\tvalue"),
        ("('2024-01-02'):match('(%d+)-(%d+)-(%d+)')", "2024\t01\t02"),
        ("('abc'):match('()b()')", "2\t3"),
        ("('f(a(b)c)d'):match('%b()')", "(a(b)c)"),
        ("('THE (quick) fox'):find('%f[%a]%a+%f[%A]')", "1\t3"),
        ("('  trim  '):match('^%s*(.-)%s*$')", "trim"),
        ("('abcabc'):match('(abc)%1')", "abc"),
        ("('[]'):match('[]]')", "]"),
        ("('a-z'):match('[a%-z]+')", "a-z"),
        ("('x^y'):match('[%^x]+')", "x^"),
        ("('abc'):match('[^a]+')", "bc"),
        ("('aaa'):match('a-')", ""),
        ("('aaab'):match('a-b')", "aaab"),
        ("('ab'):match('ab?c?')", "ab"),
        ("('hello world'):gsub('o', '0')", "hell0 w0rld\t2"),
        ("('hello'):gsub('', '-')", "-h-e-l-l-o-\t6"),
        ("('hello'):gsub('l', '%0%0', 1)", "helllo\t1"),
        ("('hello world'):gsub('(%w+) (%w+)', '%2 %1')", "world hello\t1"),
        ("('$name is $age'):gsub('%$(%w+)', { name = 'bo', age = 7 })", "bo is 7\t2"),
        ("('abc'):gsub('%w', function(c) return c ~= 'b' and c:upper() end)", "AbC\t3"),
        ("('abc def'):gsub('^%a', 'X')", "Xbc def\t1"),
        ("('abc'):gsub('b*', '-')", "-a-c-\t3"),
        ("('100%'):gsub('%%', '%%%%')", "100%%\t1"),
        ("('x'):gsub('x', '%1')", "x\t1"),
    ] {
        assert_eq!(printed(&format!("print({expression})")), [told], "{expression}");
    }
    assert_eq!(printed("for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do print(k, v) end"), ["a\t1", "b\t2"]);
    assert_eq!(printed("for w in ('one two'):gmatch('%a*') do print('<' .. w .. '>') end"), ["<one>", "<two>"]);
}
