//! What became slower, and two runs beside each other.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use super::report::{Row, cell};
use crate::console::counted;

/// A case counts as slower where its least time now exceeds the median then by
/// this much and by the spread of both.
const MARGIN: f64 = 0.1;

/// The last row of each case, in the order in which these stand.
fn last_of_each(rows: &[Row]) -> Vec<&Row> {
    let mut known = HashSet::new();
    let last = rows.iter().rev().filter(|row| known.insert(&row.case));
    let mut last: Vec<&Row> = last.collect();
    last.reverse();
    last
}

/// The cases that both have, in the order of the first, each case once.
fn in_both<'a>(first: &[&'a Row], second: &[&'a Row]) -> Vec<[&'a Row; 2]> {
    let second: HashMap<&str, &Row> = second.iter().map(|row| (&*row.case, *row)).collect();
    let pairs = first.iter().filter_map(|row| {
        let other = second.get(&*row.case)?;
        Some([*row, *other])
    });
    pairs.collect()
}

/// A line that says what of adapter, driver and timer differs between rows then and now;
/// empty where nothing does.
fn other_place(both: &[[&Row; 2]]) -> String {
    let differing = both.iter().find_map(|&[now, then]| {
        let parts = [
            ("adapter", &now.adapter, &then.adapter),
            ("driver", &now.driver, &then.driver),
            ("timer", &now.timer, &then.timer),
        ];
        let names = parts.into_iter().filter(|(_, now, then)| now != then);
        let names: Vec<&str> = names.map(|(name, ..)| name).collect();
        (!names.is_empty()).then(|| (names.join(" and "), now, then))
    });
    differing.map_or_else(String::new, |(names, now, then)| {
        format!(
            "\nnot the same {names}: then {}, now {}\n",
            then.place(),
            now.place()
        )
    })
}

/// A table of the cases that both have: then, now, their ratio, and a mark where
/// it became slower or faster; a summary is the last line. A line before the table says
/// where the two were measured on or by different things.
pub fn compare(then: &[Row], now: &[Row]) -> String {
    let both = in_both(&last_of_each(now), &last_of_each(then));
    let mut text = other_place(&both);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\n{} {:>9} {:>9} {:>7}",
        cell("case"),
        "then ms",
        "now ms",
        "ratio"
    );
    let (mut slower, mut faster) = (0, 0);
    for &[row, old] in &both {
        let margin = 1.0 + MARGIN + old.spread.max(row.spread);
        let verdict = if row.ms_min > old.ms_median * margin {
            slower += 1;
            "SLOWER"
        } else if row.ms_median * margin < old.ms_min {
            faster += 1;
            "faster"
        } else {
            ""
        };
        let line = format!(
            "{} {:>9.3} {:>9.3} {:>7.2}  {verdict}",
            cell(&row.case),
            old.ms_median,
            row.ms_median,
            row.ms_median / old.ms_median
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(
        text,
        "{} in both: {slower} slower, {faster} faster",
        counted(both.len(), "cases")
    );
    text
}

/// Two saved runs, such as of two adapters: the cases that both have with their median
/// times, the ratio of the second to the first, and what each is of its own ceiling.
pub fn beside(runs: [&[Row]; 2]) -> String {
    let mut text = String::new();
    for (letter, rows) in ["A", "B"].into_iter().zip(runs) {
        if let Some(row) = rows.first() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{letter}: {}", row.place());
        }
    }
    let _ = writeln!(
        text,
        "\n{} {:>9} {:>9} {:>7} {:>6} {:>6}",
        cell("case"),
        "A ms",
        "B ms",
        "B / A",
        "A",
        "B"
    );
    let [first, second] = runs.map(last_of_each);
    let both = in_both(&first, &second);
    for &[a, b] in &both {
        let share = |row: &Row| {
            let percent = row.percent_of_ceiling;
            percent.map_or(String::new(), |percent| format!("{percent:.0} %"))
        };
        let line = format!(
            "{} {:>9.3} {:>9.3} {:>7.2} {:>6} {:>6}",
            cell(&a.case),
            a.ms_median,
            b.ms_median,
            b.ms_median / a.ms_median,
            share(a),
            share(b)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    // Each case stands once in each, so no more are in both than in one.
    let [a, b] = [first, second].map(|rows| rows.len() - both.len());
    let both = counted(both.len(), "cases");
    let _ = writeln!(text, "{both} in both, {a} only in A, {b} only in B");
    text
}

#[cfg(test)]
mod tests {
    use super::super::measure::Times;
    use super::*;

    fn row(case: &str, ms: f64) -> Row {
        let times = Times::new(vec![ms * 1e-3; 3]).expect("three");
        Row::new(case, &times, String::new())
    }

    #[test]
    fn only_what_differs_by_more_than_the_noise_is_marked() {
        let then = [
            row("a", 1.0),
            row("b", 1.0),
            row("c", 1.0),
            row("gone", 1.0),
        ];
        let now = [
            row("a", 1.05),
            row("b", 1.5),
            row("c", 0.5),
            row("new", 9.0),
        ];
        let text = compare(&then, &now);
        let line = |name: &str| {
            let found = text.lines().find(|line| line.starts_with(name));
            found.map(str::to_owned).unwrap_or_default()
        };
        assert!(line("a ").ends_with("1.05"), "{text}");
        assert!(line("b ").ends_with("SLOWER"), "{text}");
        assert!(line("c ").ends_with("faster"), "{text}");
        assert!(line("gone").is_empty() && line("new").is_empty(), "{text}");
        assert!(
            text.ends_with("3 cases in both: 1 slower, 1 faster\n"),
            "{text}"
        );
        // The same times with a wide spread prove nothing.
        let noisy = Row {
            spread: 0.6,
            ..row("b", 1.5)
        };
        assert!(compare(&then, &[noisy]).ends_with("1 case in both: 0 slower, 0 faster\n"));
    }

    #[test]
    fn another_adapter_driver_or_timer_is_said_before_the_table() {
        let on = |adapter: &str, driver: &str, timer: &str| Row {
            adapter: adapter.to_owned(),
            driver: driver.to_owned(),
            timer: timer.to_owned(),
            ..row("a", 1.0)
        };
        let now = on("one", "1.0", "clock");
        let first = |then: Row| {
            let text = compare(&[then], std::slice::from_ref(&now));
            text.lines().nth(1).unwrap_or_default().to_owned()
        };
        assert!(first(now.clone()).starts_with("case "));
        assert_eq!(
            first(on("one", "2.0", "timestamps")),
            "not the same driver and timer: then one, 2.0; timed by timestamps, \
             now one, 1.0; timed by clock"
        );
        assert!(first(on("two", "1.0", "clock")).starts_with("not the same adapter: then two"));
    }

    #[test]
    fn of_a_case_that_stands_twice_the_last_row_counts() {
        let first = [row("a", 1.0), row("b", 4.0), row("a", 2.0), row("a", 3.0)];
        let second = [row("a", 9.0), row("c", 1.0), row("a", 6.0), row("c", 1.0)];
        let text = beside([&first, &second]);
        assert!(
            text.ends_with("1 case in both, 1 only in A, 1 only in B\n"),
            "{text}"
        );
        assert!(text.contains("3.000     6.000    2.00"), "{text}");
        let text = compare(&first, &second);
        assert!(
            text.ends_with("1 case in both: 1 slower, 0 faster\n"),
            "{text}"
        );
        assert!(text.contains("3.000     6.000    2.00"), "{text}");
    }

    #[test]
    fn two_adapters_stand_beside_each_other_case_by_case() {
        let on = |adapter: &str, row: Row| Row {
            adapter: adapter.to_owned(),
            driver: "1.0".to_owned(),
            timer: "clock".to_owned(),
            percent_of_ceiling: Some(41.7),
            ..row
        };
        let first = [on("one", row("a", 2.0)), on("one", row("b", 1.0))];
        let second = [on("two", row("c", 1.0)), on("two", row("a", 0.5))];
        let text = beside([&first, &second]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..2],
            ["A: one, 1.0; timed by clock", "B: two, 1.0; timed by clock"]
        );
        let cells: Vec<&str> = lines[4].split_whitespace().collect();
        assert_eq!(cells, ["a", "2.000", "0.500", "0.25", "42", "%", "42", "%"]);
        assert_eq!(lines[5], "1 case in both, 1 only in A, 1 only in B");
    }
}
