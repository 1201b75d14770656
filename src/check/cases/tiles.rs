//! Which tiles of matrix products and convolutions which case runs on.

use crate::check::Case;
use crate::ops::Rung;

/// Cases, and the numbers of the tiles they run on besides, as
/// [`Rung::Tiled`] counts them. Drivers take long to compile a tile, so no case
/// runs on all; together these run on every tile that any of the list can run
/// on, in each of its kernels.
const TILES: [(&str, &[usize]); 46] = [
    ("matmul 0x5x3 by 3x7'", &[1]),
    ("matmul 0x5x3' by 3x7", &[1]),
    ("matmul 0x17x19 by 19x13'", &[1]),
    ("matmul 0x17x19' by 19x13", &[1]),
    ("matmul 0x8x16 by 16x12", &[1]),
    ("matmul 0x8x16' by 16x12'", &[2]),
    ("matmul 3x5x3 by 3x7", &[2]),
    ("matmul 3x5x3' by 3x7'", &[5]),
    ("matmul 2x8x12 by 12x4'", &[13]),
    ("matmul 2x8x12' by 12x4", &[9]),
    ("matmul 0x257x2 by 2x3", &[4, 6]),
    ("matmul 0x3x257 by 257x2", &[12]),
    ("matmul 0x4x1 by 1x12", &[0]),
    ("matmul 0x64x100 by 100x1", &[4]),
    ("matmul 0x9x33 by 33x40", &[4]),
    ("matmul 0x3x1031 by 1031x5", &[4, 5, 6]),
    ("matmul 0x36x128 by 128x20", &[8, 10, 5, 6]),
    ("matmul 5x1x2 by 2x3", &[1]),
    ("matmul 1x9x9 by 9x9", &[1]),
    ("matmul of a tensor with itself", &[1]),
    ("conv odd", &[4, 13]),
    ("conv k4 s2 p1", &[7]),
    ("conv of colours", &[1]),
    ("conv to colours", &[2]),
    ("conv to one logit", &[3]),
    ("conv deep", &[8, 3, 5, 7, 9]),
    ("conv k5 s2x1", &[1, 6, 14, 18, 19]),
    ("conv with rest", &[0]),
    ("conv of single taps with gaps", &[1]),
    ("conv with pads beyond the kernel", &[4]),
    ("conv dilated", &[5, 10]),
    ("conv dilated s2", &[4]),
    ("conv in whole groups", &[0]),
    ("conv k2x5", &[3]),
    ("conv of many pixels", &[6, 11, 12]),
    ("conv of many pixels to one channel", &[6, 16, 22]),
    ("conv transpose k4 s2 p1", &[5]),
    ("conv transpose of one pixel", &[1]),
    ("conv transpose to colours", &[10]),
    ("conv transpose with uneven pads", &[1]),
    ("conv transpose with gaps", &[1]),
    ("conv transpose to one channel", &[10]),
    ("matmul skinny 64x8192x1", &[6]),
    ("conv k4s2p1 64->128 at 16x16", &[6, 10, 14, 18]),
    ("conv k3s1p1 64->64 at 16x16", &[0, 6, 9, 12, 16]),
    ("conv k3s1p1 256->256 at 8x8", &[7, 12, 17, 22]),
];

/// Cases of each kernel that Winograd's filtering is for, which run on both of its
/// sizes besides, an image at a time where bindings can begin with each.
const FILTERED: [&str; 11] = [
    "conv k3 of a part of a tile",
    "conv k3 with uneven pads",
    "conv of many pixels",
    "conv k4 s2 p1",
    "conv k4 s2 with rest",
    "conv k4 s2 with uneven pads",
    "conv transpose k4 s2 with uneven pads",
    "conv k3s1p1 64->64 at 16x16",
    "conv k4s2p1 64->128 at 16x16",
    "conv, bias and residual in parts",
    "conv and a number for each image",
];

/// The case on the plain variant, too.
pub(super) fn on_plain(case: Case) -> Case {
    case.also_on(Rung::Plain)
}

/// The case on its tiles, too.
pub(super) fn on_tiles(case: Case) -> Case {
    let tiles = TILES.iter().find(|(name, _)| *name == case.name);
    let tiles = tiles.map_or(&[][..], |(_, tiles)| tiles);
    let filtered: &[u32] = match FILTERED.contains(&&*case.name) {
        true => &[2, 4],
        false => &[],
    };
    tiles
        .iter()
        .map(|&tile| Rung::Tiled(tile))
        .chain(filtered.iter().map(|&outputs| Rung::Winograd(outputs)))
        .fold(case, Case::also_on)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::check::{Family, cases};
    use crate::graph::{Group, Places, Role, Shape};
    use crate::ops::Facts;
    use crate::plan::Plan;

    /// As many as any contraction can choose from: two of a workgroup, two of a
    /// subgroup, twenty of a thread, four that are split.
    const MOST: usize = 28;

    /// Kernel file, variant, rows and columns of a tile, slices of its depth.
    type Tile = (&'static str, &'static str, u32, u32, u32);

    /// The tiles of all contractions of a case.
    fn tiles(case: &Case, rung: Rung, facts: &Facts) -> BTreeSet<Tile> {
        let derived = case.derive().expect("a case");
        let (program, outputs) = derived.program().expect("a program");
        let inputs: Vec<(String, Shape)> = derived
            .inputs
            .iter()
            .map(|(id, tensor)| {
                let name = derived.graph.state_info(*id).name.clone();
                (name, tensor.shape.clone())
            })
            .collect();
        let mut places = Places::default();
        places
            .add_group(Group::Role(Role::Input), &inputs)
            .expect("new names");
        places
            .add_group(Group::Role(Role::Output), &outputs)
            .expect("new names");
        let facts = Facts { rung, ..*facts };
        let plan = Plan::new(&program, &places, &facts).expect("a plan");
        plan.recording
            .dispatches()
            .filter_map(|dispatch| {
                let kernel = &dispatch.kernel;
                let constant = |name| {
                    let found = kernel.constants.iter().find(|(key, _)| *key == name);
                    found.map(|&(_, value)| value)
                };
                Some((
                    kernel.file,
                    kernel.variant,
                    constant("TILE_ROWS")?,
                    constant("TILE_COLUMNS")?,
                    constant("SLICES").unwrap_or(1),
                ))
            })
            .collect()
    }

    #[test]
    fn every_tile_is_run_by_some_case() {
        let list = cases();
        for facts in [Facts::SOFTWARE, Facts::CARD] {
            let [mut run, mut possible] = [BTreeSet::new(), BTreeSet::new()];
            for case in &list {
                let rungs = case.rungs().expect("a case");
                let tiled = rungs.iter().filter(|rung| matches!(rung, Rung::Tiled(_)));
                run.extend(tiled.flat_map(|&rung| tiles(case, rung, &facts)));
                if matches!(case.family, Family::MatMul | Family::Convolution) {
                    let any = (0..MOST).map(Rung::Tiled);
                    possible.extend(any.flat_map(|rung| tiles(case, rung, &facts)));
                }
            }
            let missing: Vec<&Tile> = possible.difference(&run).collect();
            assert!(missing.is_empty(), "no case runs on {missing:?}");
        }
    }

    #[test]
    fn every_entry_is_a_case_that_contracts() {
        let list = cases();
        for (name, tiles) in TILES {
            let case = list.iter().find(|case| case.name == name);
            let case = case.unwrap_or_else(|| panic!("no case {name}"));
            let rungs = case.rungs().expect("a case");
            assert!(rungs.len() > tiles.len(), "{name}: {rungs:?}");
        }
    }
}
