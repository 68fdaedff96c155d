//! Spans of time and shares of a whole, as people say them. Owns the rounding: never more digits than help.

use crate::base::PerMille;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A span in milliseconds: `4.1 s`, `42 s`, `3 min`, `5 h`, `9 d`. Each unit lasts until two of the next.
#[must_use]
pub fn age(ms: u64) -> String {
    if ms < 10 * SECOND_MS {
        return format!("{}.{} s", ms / SECOND_MS, ms % SECOND_MS / 100);
    }
    if ms < 2 * MINUTE_MS {
        return format!("{} s", ms / SECOND_MS);
    }
    if ms < 2 * HOUR_MS {
        return format!("{} min", ms / MINUTE_MS);
    }
    if ms < 2 * DAY_MS {
        return format!("{} h", ms / HOUR_MS);
    }
    format!("{} d", ms / DAY_MS)
}

/// A span in microseconds: `0.8 ms`, `23 ms`, and from a second on as [`age`].
#[must_use]
pub fn latency(us: u64) -> String {
    if us < 10_000 {
        return format!("{}.{} ms", us / 1_000, us % 1_000 / 100);
    }
    if us < 1_000_000 {
        return format!("{} ms", us / 1_000);
    }
    age(us / 1_000)
}

/// A share: `0 %`, `1.5 %`, `20 %`.
#[must_use]
pub fn percent(share: PerMille) -> String {
    let (whole, tenth) = (share.0 / 10, share.0 % 10);
    if tenth == 0 { format!("{whole} %") } else { format!("{whole}.{tenth} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_the_unit_that_a_person_would_choose() {
        let said = [0, 4_130, 9_999, 10_000, 119_999, 120_000, 7_199_999, 7_200_000, 172_800_000].map(age);
        assert_eq!(said, ["0.0 s", "4.1 s", "9.9 s", "10 s", "119 s", "2 min", "119 min", "2 h", "2 d"]);
    }

    #[test]
    fn a_latency_below_ten_milliseconds_has_a_tenth() {
        assert_eq!(
            [800, 9_999, 23_400, 999_999, 1_200_000].map(latency),
            ["0.8 ms", "9.9 ms", "23 ms", "999 ms", "1.2 s"]
        );
    }

    #[test]
    fn a_share_has_a_tenth_only_where_there_is_one() {
        assert_eq!([0, 15, 200, 1000].map(PerMille).map(percent), ["0 %", "1.5 %", "20 %", "100 %"]);
    }
}
