//! `gpugan adapters`: what there is to run on.

use super::{ADAPTER, group};
use crate::error::Result;
use crate::gpu::{self, Features, Selector};

/// Arguments of `gpugan adapters`.
#[derive(Debug, clap::Parser)]
pub struct AdaptersArgs {
    /// Print all that is known of each adapter, as a JSON array
    #[arg(long, help_heading = group::OUTPUT)]
    json: bool,
}
/// Prints every adapter of this machine.
///
/// # Errors
/// [`crate::Error::Usage`] where there is none, [`crate::Error::Io`] where
/// standard output cannot be written.
pub fn run(args: &AdaptersArgs) -> Result<()> {
    let all = gpu::list();
    Selector::Best.choose(&all)?;
    let named = std::env::var(ADAPTER).ok();
    let named = named.filter(|name| !name.trim().is_empty());
    let used = Selector::named(named.as_deref()).choose(&all).ok();
    let used = used.map(|facts| facts.index);
    if args.json {
        return crate::console::print(&format!("{:#}\n", serde_json::json!(all)));
    }
    let header = [
        "",
        "name",
        "backend",
        "type",
        "driver",
        "MiB/tensor",
        "subgroup",
        "features",
    ]
    .map(str::to_owned);
    let mut rows = vec![header];
    for facts in &all {
        let default = if Some(facts.index) == used { "*" } else { "" };
        rows.push([
            format!("{}{default}", facts.index),
            facts.name.clone(),
            facts.backend.clone(),
            facts.device_type.to_string(),
            format!("{} {}", facts.driver, facts.driver_info)
                .trim()
                .to_owned(),
            (facts.limits.max_storage_binding >> 20).to_string(),
            match (facts.subgroup_min, facts.subgroup_max) {
                (least, most) if least == most => least.to_string(),
                (least, most) => format!("{least} to {most}"),
            },
            features(&facts.features),
        ]);
    }
    let last = match (named, used) {
        (None, _) => "* is used unless --adapter says otherwise".to_owned(),
        (Some(name), Some(_)) => {
            format!("* is used, as {ADAPTER} = {name} asks for, unless --adapter says otherwise")
        }
        (Some(name), None) => format!("{ADAPTER} = {name} is none of them"),
    };
    crate::console::print(&(table(&rows) + &last + "\n"))
}

/// The abilities that an adapter has, by name.
fn features(features: &Features) -> String {
    let all = [
        ("timestamps", features.timestamps),
        ("pipeline-cache", features.pipeline_cache),
        ("subgroup", features.subgroup),
        ("f16", features.f16),
        ("int64", features.int64),
    ];
    let has: Vec<&str> = all
        .iter()
        .filter(|(_, has)| *has)
        .map(|(name, _)| *name)
        .collect();
    has.join(" ")
}

/// Rows with their columns aligned.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| -> String {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
