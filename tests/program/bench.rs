//! `gpugan bench` on this machine's adapter.

use std::path::Path;
use std::process::Output;

use gpugan::bench::{Row, measure_step};

use crate::adapter::open;
use crate::preset::{blueprint, changed};
use crate::run::{as_users_do, program};

fn bench(args: &[&str]) -> Output {
    as_users_do().arg("bench").args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn rows(text: &str) -> Vec<Row> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect()
}

/// Percent of the ceiling that a kernel reaches, both at their best.
fn share(row: &Row, ceiling: &Row) -> f64 {
    let best = |row: &Row| row.gflops.unwrap() * row.ms_median / row.ms_min;
    100.0 * best(row) / best(ceiling)
}

#[test]
fn rows_have_rates_below_the_ceiling_and_are_saved_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures.jsonl");
    let file_name = file.to_str().unwrap();
    let measured = || {
        let arguments = ["matmul 512", "--json", "--save", file_name];
        rows(&text(&bench(&arguments)))
    };
    // Another program may slow the ceiling and leave the kernels alone, but not
    // each time.
    let rows = (0..4)
        .map(|_| measured())
        .find(|rows| rows[4..].iter().all(|row| share(row, &rows[0]) < 105.0))
        .expect("rates below the ceiling");
    let cases: Vec<&str> = rows.iter().map(|row| row.case.as_str()).collect();
    assert_eq!(cases[0], "ceiling: multiply and add");
    assert_eq!(
        cases[4..],
        ["matmul 512^3", "matmul 512^3, d x0", "matmul 512^3, d x1"]
    );
    for row in &rows {
        assert!(!row.adapter.is_empty() && !row.driver.is_empty(), "{row:?}");
        assert!(row.ms_min > 0.0 && row.ms_median >= row.ms_min, "{row:?}");
    }
    for row in &rows[4..] {
        // 2 x 512^3 in ms_median.
        let gflops = (2 << 27) as f64 / row.ms_median * 1e-6;
        assert!((row.gflops.unwrap() / gflops - 1.0).abs() < 1e-6, "{row:?}");
        let ceiling = rows[0].gflops.unwrap();
        let percent = row.percent_of_ceiling.unwrap();
        assert!((percent - 100.0 * gflops / ceiling).abs() < 1e-3, "{row:?}");
        assert!(percent > 0.0, "{row:?}");
        assert!(row.variant.contains("matmul_tile"), "{row:?}");
    }

    // A file whose times are a tenth makes all that is measured now slower.
    let faster: String = rows
        .into_iter()
        .map(|row| Row {
            ms_median: row.ms_median / 10.0,
            ms_min: row.ms_min / 10.0,
            spread: 0.0,
            ..row
        })
        .map(|row| serde_json::to_string(&row).unwrap() + "\n")
        .collect();
    std::fs::write(&file, faster).unwrap();
    let compared = text(&bench(&["matmul 512", "--compare", file_name]));
    assert!(!compared.contains("not the same"), "{compared}");
    let slower = |line: &&str| line.starts_with("matmul 512^3") && line.ends_with("SLOWER");
    assert_eq!(compared.lines().filter(slower).count(), 3, "{compared}");
    assert!(
        compared
            .lines()
            .last()
            .unwrap()
            .starts_with("7 cases in both")
    );
    let beside = text(&bench(&["--compare", file_name, "--compare", file_name]));
    assert!(
        beside.starts_with("A: ") && beside.contains("\nB: "),
        "{beside}"
    );
    let last = beside.lines().last().unwrap();
    assert_eq!(last, "7 cases in both, 0 only in A, 0 only in B");
    let thrice = ["--compare", file_name].repeat(3);
    assert_eq!(bench(&thrice).status.code(), Some(2));
}

#[test]
fn mistakes_end_with_one_line_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    std::fs::write(&broken, "{\"case\": 1}\n").unwrap();
    let broken = broken.to_str().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let empty = empty.to_str().unwrap();
    for (args, start) in [
        (&["matmull"][..], "error: no case name contains 'matmull'"),
        (
            &["conv", "--batch", "3"],
            "error: --preset, --batch and --set",
        ),
        (&["step", "--batch", "0"], "error: batch = 0"),
        (&["conv", "--compare", broken], "error: "),
        (&["conv", "--compare", "no/such/file"], "error: cannot read"),
        (&["--compare", empty, "--compare", empty], "error: "),
        (&["conv", "--compare", empty], "error: "),
        (
            &["conv", "--save", "no/file"],
            "error: --save no/file lies in",
        ),
        (
            &["scaling", "--plot", "no/a.png"],
            "error: --plot no/a.png lies",
        ),
        (
            &["--tune", "--save", empty],
            "error: --save and --compare do",
        ),
        (
            &["--tune", "--compare", empty],
            "error: --save and --compare do",
        ),
        (
            &["conv", "--json", "--compare", empty],
            "error: --compare prints",
        ),
        (
            &["--json", "--compare", empty, "--compare", empty],
            "error: --compare prints",
        ),
        (
            &["conv", "--compare", empty, "--compare", empty],
            "error: --compare given twice",
        ),
        (
            &["--save", empty, "--compare", empty, "--compare", empty],
            "error: --compare given twice",
        ),
    ] {
        let output = bench(args);
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {line}");
        assert!(line.starts_with(start), "{args:?}: {line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    assert!(!Path::new("no").exists());
    let listed = text(&bench(&["--list"]));
    assert!(
        listed
            .lines()
            .any(|line| line == "conv k4s2p1 64->128 at 16x16")
    );
}

#[test]
fn a_step_is_counted_as_it_is_planned() {
    let config = changed("dcgan28", &["batch=4", "model.width=8"]);
    let gpu = open();
    let figures = measure_step(&gpu, &config).unwrap();
    let plan = blueprint(&config, 1, &gpu.facts.kernel_facts());
    let planned = |name: &str| plan.recording(name).unwrap().dispatches().count();
    // An update of D is one dispatch; G's averages weights and statistics too.
    assert_eq!([planned("update D"), planned("update G")], [1, 3]);
    let passes = planned("d") + planned("g");
    assert_eq!(
        figures.dispatches,
        passes + planned("update D") + planned("update G")
    );
    assert_eq!(figures.bytes, plan.memory.total());
    let kernels: f64 = figures.families.iter().map(|(_, seconds, _)| seconds).sum();
    // Kernels take a part of the step; idle replays, next to nothing.
    assert!(
        kernels > 0.0 && kernels < 1.5 * figures.times.median(),
        "{figures:?}"
    );
    assert!(
        figures.host.as_secs_f64() < figures.times.median(),
        "{figures:?}"
    );

    let parts: Vec<&str> = figures.recordings.iter().map(|(name, _)| &**name).collect();
    assert_eq!(parts, ["d", "update D", "g", "update G"]);
    let sum: f64 = figures
        .recordings
        .iter()
        .map(|(_, times)| times.min())
        .sum();
    let whole = figures.times.median();
    assert!(sum > 0.2 * whole && sum < 2.0 * whole, "{figures:?}");
    let rows = figures.rows().into_iter().map(|row| row.case);
    // Steps of other presets have rows of other names.
    let step = "step dcgan28 width 8 batch 4";
    let rows: Vec<String> = rows
        .map(|case| case.strip_prefix(step).unwrap_or("?").to_owned())
        .collect();
    assert_eq!(rows[..5], ["", ": d", ": update D", ": g", ": update G"]);
    assert_eq!(rows.len(), 5 + figures.families.len());
    assert!(!rows.contains(&"?".to_owned()), "{rows:?}");
}

#[test]
fn points_of_a_scaling_are_saved_without_json() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let output = program()
        .args([
            "bench",
            "scaling",
            "--plot",
            &at("plot.png"),
            "--save",
            &at("saved"),
        ])
        .args(SMALL)
        .output()
        .unwrap();
    let table = text(&output);
    let saved = rows(&std::fs::read_to_string(at("saved")).unwrap());
    let lines = table.lines().filter(|line| line.trim_end().ends_with('%'));
    assert_eq!(saved.len(), lines.count(), "{table}");
    assert_eq!(saved.len(), 9, "{table}");
    for row in saved {
        assert!(row.case.starts_with("scaling mlp batch "), "{row:?}");
        assert!(!row.adapter.is_empty() && row.ms_median > 0.0, "{row:?}");
    }
}

/// The plan of a small run, with what this cache folder holds.
fn plan(cache: &Path) -> String {
    let output = program()
        .env("XDG_CACHE_HOME", cache)
        .args(["train", "--dry-run", "--dump-plan"])
        .args(SMALL)
        .output()
        .unwrap();
    text(&output)
}

const SMALL: [&str; 10] = [
    "--preset",
    "mlp",
    "--batch",
    "2",
    "--set",
    "model.hidden_g=[8]",
    "--set",
    "model.maxout_units=4",
    "--set",
    "model.maxout_pieces=2",
];

#[cfg(target_os = "linux")]
#[test]
fn what_won_by_tuning_is_used_and_a_damaged_file_ignored() {
    let home = tempfile::tempdir().unwrap();
    let usual = plan(home.path());
    let output = program()
        .env("XDG_CACHE_HOME", home.path())
        .args(["bench", "--tune"])
        .args(SMALL)
        .output()
        .unwrap();
    let told = text(&output);
    let path = told
        .lines()
        .last()
        .unwrap()
        .strip_prefix("saved to ")
        .unwrap();
    assert!(path.starts_with(home.path().to_str().unwrap()), "{path}");
    let mut kept: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let winners = kept["winners"].as_array_mut().unwrap();
    // A line each, behind two of the adapter and an empty one.
    assert_eq!(winners.len(), told.lines().count() - 4, "{told}");

    // As if the plain variant had won everywhere.
    for winner in winners {
        winner[1] = "Plain".into();
    }
    std::fs::write(path, kept.to_string()).unwrap();
    assert!(usual.contains("_tile/"), "{usual}");
    assert!(!plan(home.path()).contains("_tile/"));
    std::fs::write(path, "{\"winners\": 3}").unwrap();
    assert_eq!(plan(home.path()), usual);
}
