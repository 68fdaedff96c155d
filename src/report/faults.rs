//! Faults that come together, said together: a partition is many cuts, and one thing to whoever reads of it. Owns
//! the summing up; a lone fault keeps its own words.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{Line, What};

/// What stands at the first of the faults that were put on (or taken off) together, and where each of them stands.
pub(super) struct Faults {
    /// By the index of the first line of each group.
    words: BTreeMap<usize, String>,
    /// The lines that say no more than the first of their group.
    silent: BTreeSet<usize>,
}

/// What a rule that cuts one direction is called, before and between the names.
const CUT: (&str, &str) = ("cut from ", " to ");
/// More than this are counted.
const FAULTS_MAX: usize = 3;

impl Faults {
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut faults = Self { words: BTreeMap::new(), silent: BTreeSet::new() };
        let mut group: Vec<(usize, &Line, &str)> = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let What::Fault { text, .. } = &line.what else { continue };
            if group.last().is_some_and(|(_, last, _)| !goes_with(last, line)) {
                faults.close(&std::mem::take(&mut group));
            }
            group.push((index, line, text));
        }
        faults.close(&group);
        faults
    }

    /// The words of the fault at `index`, and of those that came with it; `None` where another line says it.
    pub(super) fn words(&self, index: usize) -> Option<&str> {
        self.words.get(&index).map(String::as_str)
    }

    pub(super) fn is_silent(&self, index: usize) -> bool {
        self.silent.contains(&index)
    }

    fn close(&mut self, group: &[(usize, &Line, &str)]) {
        let [(first, ..), rest @ ..] = group else { return };
        let texts: Vec<&str> = group.iter().map(|(_, _, text)| *text).collect();
        self.words.insert(*first, summed_up(&texts));
        self.silent.extend(rest.iter().map(|(index, ..)| *index));
    }
}

fn goes_with(last: &Line, line: &Line) -> bool {
    let is_on = |line: &Line| matches!(line.what, What::Fault { is_on: true, .. });
    last.at == line.at && last.node == line.node && is_on(last) == is_on(line)
}

fn summed_up(texts: &[&str]) -> String {
    if let Some(sides) = sides(texts) {
        return sides;
    }
    let shown = texts.iter().take(FAULTS_MAX).copied().collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(FAULTS_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `cut between ana, bo and cy, dee`, where the cuts are just those from each of one side to each of the other and back.
fn sides(texts: &[&str]) -> Option<String> {
    let pairs: Option<BTreeSet<(&str, &str)>> =
        texts.iter().map(|text| text.strip_prefix(CUT.0)?.split_once(CUT.1)).collect();
    let pairs = pairs?;
    let names: BTreeSet<&str> = pairs.iter().flat_map(|&(from, to)| [from, to]).collect();
    let first = *names.first()?;
    let (there, here): (Vec<&str>, Vec<&str>) = names.iter().partition(|&&name| pairs.contains(&(first, name)));
    let is_whole = here
        .iter()
        .all(|here| there.iter().all(|there| pairs.contains(&(*here, *there)) && pairs.contains(&(*there, *here))));
    if !is_whole || pairs.len() != 2 * here.len() * there.len() {
        return None;
    }
    Some(format!("cut between {} and {}", here.join(", "), there.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_one_fault_and_a_one_way_cut_keeps_its_words() {
        let both = ["cut from ana to cy", "cut from cy to ana", "cut from bo to cy", "cut from cy to bo"];
        assert_eq!(summed_up(&both), "cut between ana, bo and cy");
        assert_eq!(summed_up(&both[..1]), "cut from ana to cy");
        assert_eq!(summed_up(&both[..3]), "cut from ana to cy, cut from cy to ana, cut from bo to cy");
        assert_eq!(
            summed_up(&["loss 5%", "delay 2s", "delay 1s", "loss 6%"]),
            "loss 5%, delay 2s, delay 1s and 1 more"
        );
    }
}
