//! The balance of the two players: learning rates and widths against each other on
//! eight points of a ring. One that overpowers the other is mended by the rate that
//! each learns with (Heusel et al. 2017).

use std::fs;
use std::process::Command;

use serde_json::Value;

/// What D has of what G has.
const RATIOS: [f64; 3] = [0.25, 1.0, 4.0];
const RATE: f64 = 1e-3;
const UNITS: f64 = 32.0;

/// How a training ended.
struct Row {
    rate: f64,
    width: f64,
    /// Modes of eight with a sample within three deviations.
    modes: u64,
    /// Mean probability, by D, of what is so: `(D(x) + 1 - D(G(z))) / 2`; 0 where it is
    /// sure and wrong, 1/2 where it can not tell, 1 where it is sure and right.
    right: f64,
}

/// A training with these ratios of D's learning rate and width to G's, whose products
/// stay.
fn ended(rate: f64, width: f64, steps: u64) -> Row {
    let outdir = tempfile::tempdir().unwrap();
    let [g, d] = [1.0 / width.sqrt(), width.sqrt()].map(|share| (UNITS * share).round());
    let set = [
        "loss.kind=non-saturating".to_owned(),
        "loss.penalty=none".to_owned(),
        "train.d_steps=1".to_owned(),
        format!("optimizer.g.lr={}", RATE / rate.sqrt()),
        format!("optimizer.d.lr={}", RATE * rate.sqrt()),
        format!("model.hidden_g=[{g},{g}]"),
        format!("model.hidden_d=[{d},{d}]"),
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_gpugan"))
        .args(["toy", "--quiet", "--data", "ring8", "--frames", "2"])
        .args(["--steps", &steps.to_string(), "--outdir"])
        .arg(outdir.path())
        .args(set.iter().flat_map(|key| ["--set", key.as_str()]))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{set:?}: {said}");
    let run = fs::read_dir(outdir.path()).unwrap().next().unwrap();
    let text = fs::read_to_string(run.unwrap().path().join("stats.jsonl")).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let number = |key: &str| {
        last[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key}: {last}"))
    };
    Row {
        rate,
        width,
        modes: number("modes") as u64,
        right: (number("d_real") + 1.0 - number("d_fake")) / 2.0,
    }
}

fn print(rows: &[Row]) {
    println!("rate D:G  width D:G  modes  D right");
    for row in rows {
        let Row {
            rate,
            width,
            modes,
            right,
        } = row;
        println!("{rate:8}  {width:9}  {modes:5}  {right:.3}");
    }
}

#[test]
#[ignore = "nine trainings of a minute"]
fn rates_and_widths_decide_who_wins() {
    let cells = RATIOS.map(|rate| RATIOS.map(|width| (rate, width)));
    let cells = cells.as_flattened().iter();
    let rows: Vec<Row> = cells
        .map(|&(rate, width)| ended(rate, width, 3000))
        .collect();
    print(&rows);
    let mean = |of: &dyn Fn(&&Row) -> bool| {
        let rows: Vec<&Row> = rows.iter().filter(of).collect();
        rows.iter().map(|row| row.right).sum::<f64>() / rows.len() as f64
    };
    // A faster D is surer; so is a wider one.
    assert!(mean(&|row| row.rate == 4.0) > mean(&|row| row.rate == 0.25));
    assert!(mean(&|row| row.width == 4.0) > mean(&|row| row.width == 0.25));
    assert!(rows.iter().any(|row| row.modes == 8));
}

#[test]
fn a_discriminator_that_learns_faster_is_surer() {
    let rows = [0.01, 100.0].map(|rate| ended(rate, 1.0, 60));
    print(&rows);
    assert!(rows[1].right > rows[0].right + 0.05);
}
