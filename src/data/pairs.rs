//! Two sides of one set: pairs by name, and two sets of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::folder::{self, Folder};
use super::found::{Kinds, heads, listed};
use super::opened::{Opened, name_of};
use super::source::Pictures;
use super::{Report, labels, shown};
use crate::error::{Error, Result};

/// What the pictures of a set are to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Images of one kind.
    #[default]
    Images,
    /// A folder with `A/` and `B/`, whose files pair by name.
    Pairs,
    /// Pictures whose left half is A and whose right half is B.
    SideBySide,
    /// A folder with `A/` and `B/` (or `trainA/` and `trainB/`) that do not pair.
    Unpaired,
}

/// Which side is the input of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A is the input, B the image.
    #[default]
    AToB,
    /// B is the input, A the image.
    BToA,
}

/// Both sides of a folder, in the same order where they `pair`.
///
/// # Errors
/// [`Error::Usage`] where a side is missing or empty, and where less than half
/// of the files pair.
pub(super) fn open(root: &Path, pair: bool) -> Result<[Opened; 2]> {
    let [root_a, root_b] = folders(root)?;
    let (mut reports_a, mut reports_b) = (Vec::new(), Vec::new());
    let (mut a, strays_a) = side(&root_a, &mut reports_a)?;
    let (mut b, strays_b) = side(&root_b, &mut reports_b)?;
    if pair {
        [a, b] = paired([a, b], &mut reports_b)?;
    }
    let opened = |folder: &Path, pictures: Folder, strays, reports| {
        let labels = labels::of_files(folder, &pictures.names(), None);
        let name = match pair {
            true => name_of(root),
            false => format!("{}-{}", name_of(root), name_of(folder)),
        };
        Opened {
            name,
            strays,
            reports,
            ..Opened::new(folder, Arc::new(pictures), labels)
        }
    };
    Ok([
        opened(&root_a, a, strays_a, reports_a),
        opened(&root_b, b, strays_b, reports_b),
    ])
}

/// The folders of both sides.
///
/// # Errors
/// [`Error::Usage`] where one is missing.
fn folders(root: &Path) -> Result<[PathBuf; 2]> {
    let names = [["A", "B"], ["trainA", "trainB"]];
    let folders = names.map(|pair| pair.map(|name| root.join(name)));
    let there = |pair: &[PathBuf; 2]| pair.iter().filter(|folder| folder.is_dir()).count();
    if let Some(pair) = folders.iter().find(|pair| there(pair) == 2) {
        return Ok(pair.clone());
    }
    let half = folders.iter().find(|pair| there(pair) == 1);
    let missing = half.map_or("A/ or B/".to_string(), |pair| {
        let missing = pair.iter().find(|folder| !folder.is_dir());
        missing.map_or(String::new(), |folder| shown(folder))
    });
    Err(Error::usage(
        format!(
            "--data {} needs two sides, but there is no folder {missing}",
            shown(root)
        ),
        "make folders A and B, or use another data.layout",
    ))
}

/// The pictures of one side.
///
/// # Errors
/// [`Error::Usage`] where it has none.
fn side(root: &Path, reports: &mut Vec<Report>) -> Result<(Folder, Kinds)> {
    let (pictures, strays) = folder::scan(root, reports)?;
    if pictures.len() == 0 {
        let others = match strays.is_empty() {
            true => "no files at all".to_string(),
            false => format!("only other files ({})", listed(&strays)),
        };
        return Err(Error::usage(
            format!("the side {} holds no pictures, but {others}", shown(root)),
            format!("put pictures there: {}", folder::KINDS),
        ));
    }
    Ok((pictures, strays))
}

/// Leaves of both sides the files that pair by name, their endings aside, in
/// the same order. What has no partner, or one of another size, is reported.
///
/// # Errors
/// [`Error::Usage`] where less than half has a partner.
fn paired([a, b]: [Folder; 2], reports: &mut Vec<Report>) -> Result<[Folder; 2]> {
    let by_name = |side: &Folder| -> BTreeMap<PathBuf, usize> {
        let names = side.files.iter().enumerate();
        names
            .map(|(item, file)| (file.with_extension(""), item))
            .collect()
    };
    let [of_a, of_b] = [by_name(&a), by_name(&b)];
    let mut first = None;
    for (side, own, other, partners) in [(&a, &of_a, &b, &of_b), (&b, &of_b, &a, &of_a)] {
        for (item, file) in side.files.iter().enumerate() {
            let name = file.with_extension("");
            let reason = if own[&name] != item {
                "has the same name as another file; remove one".to_string()
            } else if !partners.contains_key(&name) {
                let partner = other.root().unwrap_or(Path::new("")).join(&name);
                format!(
                    "has no partner {}.*; add it or remove this",
                    shown(&partner)
                )
            } else {
                continue;
            };
            let report = Report::new(side.path(item), reason);
            first.get_or_insert_with(|| report.to_string());
            reports.push(report);
        }
    }
    let partners = of_a
        .iter()
        .filter_map(|(name, a)| Some((a, of_b.get(name)?)));
    let (items_a, items_b): (Vec<_>, Vec<_>) = partners.unzip();
    let most = of_a.len().max(of_b.len());
    if 2 * items_a.len() < most {
        return Err(Error::usage(
            format!(
                "only {} of {most} files pair by name: {}",
                items_a.len(),
                first.unwrap_or_default()
            ),
            "give both files of a pair one name, such as A/1.png and B/1.jpg",
        ));
    }
    Ok([a.part(items_a.into_iter()), b.part(items_b.into_iter())])
}

/// Items whose sides have different sizes, with the reason.
pub(super) fn of_other_size(a: &dyn Pictures, b: &dyn Pictures) -> Vec<(usize, String)> {
    let [heads_a, heads_b] = [a, b].map(|side| heads(side, side.len()));
    let mut found = Vec::new();
    for (item, pair) in heads_a.into_iter().zip(heads_b).enumerate() {
        if let (Ok(one), Ok(two)) = pair
            && (one.width, one.height) != (two.width, two.height)
        {
            found.push((
                item,
                format!(
                    "is {}x{} and its partner {} {}x{}; make them one size",
                    two.width,
                    two.height,
                    shown(&a.path(item)),
                    one.width,
                    one.height
                ),
            ));
        }
    }
    found
}
