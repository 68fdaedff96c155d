//! The page of a run, as a browser sees it: its elements are counted against the trace that it was made from.

mod browser;
mod tape;

use folkmoot::check::{Line, What};
use folkmoot::report::{Finding, Verdict, diagram, page};
use serde_json::Value;

fn failed() -> Finding {
    Finding {
        verdict: Verdict::Failed,
        words: Vec::new(),
        replay: "moot run scenarios/a_false_claim.lua --seed 7".into(),
        failed_at: None,
    }
}

fn passed() -> Finding {
    Finding { verdict: Verdict::Passed, ..failed() }
}

/// How many elements each selector finds, what failed in the page, and what it loaded.
const COUNT: &str = "
    const of = (selector) => document.querySelectorAll(selector).length;
    const text = (selector) => document.querySelector(selector)?.textContent ?? '';
    return {
        failures: window.failures,
        loaded: performance.getEntriesByType('resource').map((entry) => entry.name),
        verdict: text('#verdict'),
        replay: text('#replay'),
        failure: text('.failure'),
        lanes: [...document.querySelectorAll('#space [role=group].lane')].map((lane) => lane.dataset.node),
        dropped: of('#space .flight.dropped .cross'),
        copies: of('#space .flight.copy'),
        arrived: of('#space .flight.arrived'),
        crashes: of('#space .event.ended'),
        bands: [...document.querySelectorAll('#space .band')].map((band) => band.dataset.fault),
        untitled: of('#space .flight:not(:has(> title))') + of('#space .event:not(:has(> title))'),
        subjects: [...document.querySelectorAll('#membership [data-subject]')].map((map) => map.dataset.subject),
        steps: of('#chain li'),
        rows: of('#matrix tbody tr'),
        cells: of('#matrix tbody td'),
        claimed: of('#matrix td[data-claim=delivered]'),
        wrong: of('#matrix td.false'),
        unproven: of('#matrix td.unproven'),
        gaps: of('#matrix td.gap'),
    };";

/// Pairs of labels on the space-time diagram of which one covers a part of the other.
const OVERLAPS: &str = "
    const boxes = [...document.querySelectorAll('#space text')].map((text) => [text.textContent, text.getBoundingClientRect()]);
    const overlaps = [];
    for (let i = 0; i < boxes.length; i += 1) {
        for (let j = i + 1; j < boxes.length; j += 1) {
            const [a, b] = [boxes[i][1], boxes[j][1]];
            const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (width > 2 && height > 2.5) overlaps.push(boxes[i][0] + ' / ' + boxes[j][0] + ' by ' + width + 'x' + height);
        }
    }
    return { labels: boxes.length, overlaps };";

/// Points at the first drop, then clicks on the violation.
const HANDS: &str = "
    const reader = document.querySelector('#reader');
    const at = (element, kind) => element.dispatchEvent(new MouseEvent(kind, { bubbles: true }));
    at(document.querySelector('#space .flight.dropped .hit'), 'mouseover');
    const pointed = reader.textContent;
    at(document.querySelector('#space .violated text'), 'click');
    const chain = [...document.querySelectorAll('#space .on')].map((g) => Number(g.dataset.n));
    const followed = reader.textContent;
    at(document.querySelector('#space'), 'click');
    return { pointed, followed, chain, released: document.querySelectorAll('#space .on').length };";

fn count(lines: &[Line], what: impl Fn(&What) -> bool) -> usize {
    lines.iter().filter(|line| what(&line.what)).count()
}

fn names(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

#[test]
fn the_page_of_a_failure_shows_what_the_trace_holds() {
    let tape = tape::a_false_claim();
    let found = browser::probe(&page(&tape.lines, &failed()), COUNT);
    assert_eq!((&found["failures"], &found["loaded"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert_eq!((&found["verdict"], &found["replay"]), (&"failed".into(), &failed().replay.into()));
    assert!(found["failure"].as_str().is_some_and(|text| text.contains("whose disk does not have it")), "{found}");
    assert_eq!(names(&found["lanes"]), ["ana", "bo", "cy"]);
    assert_eq!(found["dropped"], count(&tape.lines, |what| matches!(what, What::Dropped { .. })));
    assert_eq!(found["copies"], count(&tape.lines, |what| matches!(what, What::Arrived { copy: 1.., .. })));
    assert_eq!(found["crashes"], count(&tape.lines, |what| matches!(what, What::Ended { .. })));
    assert_eq!(names(&found["bands"]), ["cut from bo to ana"]);
    assert_eq!((&found["untitled"], &found["steps"]), (&0.into(), &4.into()));
    assert_eq!(names(&found["subjects"]), ["cy", "ana", "bo"], "the one about which most changed comes first");
    assert_eq!((&found["rows"], &found["cells"]), (&2.into(), &6.into()));
    assert_eq!(
        (&found["claimed"], &found["wrong"], &found["unproven"], &found["gaps"]),
        (&2.into(), &1.into(), &1.into(), &1.into())
    );
}

#[test]
fn a_click_follows_the_causes_back() {
    let tape = tape::a_false_claim();
    let found = browser::probe(&page(&tape.lines, &failed()), HANDS);
    assert!(found["pointed"].as_str().is_some_and(|text| text.contains("lost")), "{found}");
    assert!(found["followed"].as_str().is_some_and(|text| text.contains("because: ")), "{found}");
    let mut chain: Vec<u64> = found["chain"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
    chain.sort_unstable();
    let mut causes = Vec::new();
    let mut at = tape.lines.last().map(|line| line.n);
    while let Some(n) = at {
        causes.push(n);
        at = tape.lines[usize::try_from(n).unwrap() - 1].cause;
    }
    causes.reverse();
    assert_eq!(chain, causes);
    assert_eq!(found["released"], 0);
}

#[test]
fn no_label_covers_another_with_three_machines_or_with_twenty() {
    for (lines, finding) in [(tape::a_false_claim().lines, failed()), (tape::a_big_room(20).lines, passed())] {
        let found = browser::probe(&page(&lines, &finding), OVERLAPS);
        assert_eq!(names(&found["overlaps"]), [""; 0]);
        assert!(found["labels"].as_u64() > Some(40), "{found}");
    }
}

#[test]
fn the_page_of_a_big_room_stays_small_and_says_what_it_leaves_out() {
    let tape = tape::a_big_room(20);
    let html = page(&tape.lines, &passed());
    assert!(html.len() < 1_000_000, "{} bytes", html.len());
    let found = browser::probe(&html, COUNT);
    assert_eq!(found["lanes"].as_array().map(Vec::len), Some(20));
    assert_eq!((&found["verdict"], &found["steps"]), (&"passed".into(), &0.into()));
    assert_eq!(found["rows"], count(&tape.lines, |what| matches!(what, What::Accepted { .. })));
    assert!(html.contains("lines that matter less"));
}

#[test]
fn a_partition_and_a_crash_on_the_simulator_can_be_read() {
    let lines = tape::simulated::compound();
    let html = page(&lines, &passed());
    let found = browser::probe(&html, COUNT);
    assert_eq!(found["failures"], serde_json::json!([]));
    assert_eq!(names(&found["lanes"]), ["ana", "bo", "cy", "dee", "eve"]);
    assert_eq!(names(&found["bands"]), ["cut between ana, bo, cy and dee, eve"]);
    assert_eq!((&found["rows"], &found["wrong"]), (&4.into(), &0.into()));
    assert_eq!(names(&browser::probe(&html, OVERLAPS)["overlaps"]), [""; 0]);

    let text = diagram(&lines, &[]);
    for part in
        ["cut between ana, bo, cy and dee, eve is over", "recovered<br/>via", "cannot tell what became of", "dee, eve"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn text_of_a_person_is_text_on_the_page() {
    let tape = tape::a_false_claim();
    assert!(!page(&tape.lines, &failed()).contains("<b>#1"));
}

#[test]
fn a_diagram_folds_repeats_and_counts_what_it_leaves_out() {
    let text = diagram(&tape::a_false_claim().lines, &[]);
    assert!(text.contains("n0->>n1: private jiba, 4 times until 8.426 s"), "{text}");
    assert!(text.contains("n1-xn0: receipt (cut), 4 times until 8.446 s"), "{text}");
    assert!(text.contains("Left out: 4 heartbeats."), "{text}");
    let big = diagram(&tape::a_big_room(30).lines, &[]);
    assert!(big.contains("left out here"), "{big}");
    assert!(big.contains("18 machines"), "{big}");
    assert!(big.lines().count() < 250, "{}", big.lines().count());
}

#[test]
fn the_same_trace_gives_the_same_bytes() {
    let (one, two) = (tape::a_big_room(9), tape::a_big_room(9));
    assert_eq!(page(&one.lines, &passed()), page(&two.lines, &passed()));
    assert_eq!(diagram(&one.lines, &[]), diagram(&two.lines, &[]));
}
