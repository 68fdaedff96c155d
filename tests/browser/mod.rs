//! A page in headless Chromium: a probe of the test runs in it and hands back what it found as JSON. Owns the
//! browser's process and its flags; a machine without a browser fails the test and says what to install.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

/// A page is small and local; this is for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// Without a network, without a profile that was there before, and as root in a container too.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1400,1000",
];

/// Where the probe leaves its answer, in a page that no browser shows to anybody.
const MARKS: (&str, &str) = ("<pre id=\"probe\">", "</pre>");

/// Opens `html` and evaluates `probe`, the body of a function that returns a value, once the page is there.
pub fn probe(html: &str, probe: &str) -> Value {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("page.html");
    // The watch stands first, so that it sees what fails in the page itself.
    let watch =
        "<script>window.failures = []; window.onerror = (what) => { window.failures.push(String(what)); };</script>";
    let script = format!(
        "<script>window.onload = () => {{ const pre = document.createElement('pre'); pre.id = 'probe'; let answer;
         try {{ answer = (() => {{ {probe} }})(); }} catch (error) {{ answer = {{ failed: String(error) }}; }}
         pre.textContent = JSON.stringify(answer); document.body.append(pre); }};</script></body>"
    );
    let page = html.replacen("<head>", &format!("<head>{watch}"), 1).replacen("</body>", &script, 1);
    std::fs::write(&file, page).expect("written");
    let dom = dump(&file, &dir.path().join("profile"));
    let answer = dom.split_once(MARKS.0).and_then(|(_, rest)| rest.split_once(MARKS.1)).map(|(answer, _)| answer);
    let answer = answer.unwrap_or_else(|| panic!("the probe left no answer in {} bytes of page", dom.len()));
    let plain = answer.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&plain).unwrap_or_else(|error| panic!("{error}: {plain}"))
}

/// The page as the browser holds it after its scripts ran.
fn dump(file: &Path, profile: &Path) -> String {
    let browser = browser();
    let child = Command::new(&browser)
        .args(FLAGS)
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("file://{}", file.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", browser.display()));
    let output = within_patience(child);
    assert!(output.status.success(), "chromium failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a page is UTF-8")
}

/// What `child` prints until its end; ends it when that takes too long.
fn within_patience(mut child: Child) -> Output {
    let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let (printed, complained) = (read_aside(stdout), read_aside(stderr));
    let Ok(stdout) = printed.recv_timeout(PATIENCE) else {
        child.kill().expect("it is a child of this test");
        child.wait().expect("it was killed");
        panic!("chromium was not done after {} s", PATIENCE.as_secs());
    };
    let stderr = complained.recv_timeout(PATIENCE).unwrap_or_default();
    Output { status: child.wait().expect("it is a child of this test"), stdout, stderr }
}

/// Reads to the end on a thread of its own.
fn read_aside(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (said, heard) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if pipe.read_to_end(&mut bytes).is_ok() {
            // Nobody listens any more when the test gave up.
            said.send(bytes).ok();
        }
    });
    heard
}

fn browser() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|dir| NAMES.map(|name| dir.join(name)))
        .chain([PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")])
        .find(|file| file.is_file());
    found.expect("this test looks at the page in Chromium, and there is none: .ci/setup installs it on Debian, as apt-get install chromium does")
}
