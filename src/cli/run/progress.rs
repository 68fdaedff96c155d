//! The bar that shows how far a sweep is. Owns the screen while runs go on; on anything but a terminal there is
//! none.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressStyle};

use super::super::out::{Form, Output};

pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Of one run, whose length nobody knows.
    pub(super) fn of_one(file: &str, output: Output) -> Self {
        if !is_wanted(output) {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_message(file.to_owned());
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        Self(bar)
    }

    /// Of `seeds` runs.
    pub(super) fn of_many(file: &str, seeds: u64, output: Output) -> Self {
        if !is_wanted(output) {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{msg}  {bar:30} {pos}/{len} seeds, {eta} left")
            .expect("the template is a constant");
        let bar = ProgressBar::new(seeds).with_style(style).with_message(file.to_owned());
        bar.enable_steady_tick(std::time::Duration::from_millis(250));
        Self(bar)
    }

    pub(super) fn done(&self) {
        self.0.inc(1);
    }

    pub(super) fn says(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }

    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// Progress redraws a line, which only a person at a terminal wants.
fn is_wanted(output: Output) -> bool {
    let has_no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    output.form == Form::Text && output.may_redraw() && !has_no_color && io::stderr().is_terminal()
}
