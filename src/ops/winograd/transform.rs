//! Between a tensor and its planes (`shaders/winograd_planes.wgsl` and
//! `shaders/winograd_pixels.wgsl`).

use super::filtering::{Filtering, Matrix};
use crate::ops::conv::Target;
use crate::ops::scalar::literal;
use crate::ops::{Epilogue, Launch, tile, word, workgroups_of};
use crate::recording::Kernel;

/// A tensor of the convolution and its planes. `count` images (of the weight: input
/// channels) have `channels` and `tiles`; the pixels of phase p of tile t begin at
/// `t * step * stride + p - pad` and lie `stride` apart.
pub(super) struct Tensor {
    pub(super) count: usize,
    pub(super) channels: usize,
    pub(super) size: [usize; 2],
    /// Of image, channel, row and column.
    pub(super) strides: [usize; 4],
    pub(super) tiles: [usize; 2],
    pub(super) step: usize,
    pub(super) stride: usize,
    pub(super) pad: [usize; 2],
    /// Strides of plane, image, tile and phase in the planes.
    pub(super) planes: [usize; 4],
}

impl Tensor {
    /// A thread has four channels of one phase of one tile.
    fn threads(&self, tiles: [usize; 2]) -> usize {
        let phases = self.stride * self.stride;
        self.count * tiles[0] * tiles[1] * phases * (self.channels / 4)
    }

    /// Constants of both shaders.
    fn constants(&self) -> Vec<(&'static str, u32)> {
        let [image, channel, row, column] = self.strides;
        let vector = channel == 1
            && [image, row, column]
                .into_iter()
                .all(|s| s.is_multiple_of(4));
        let mut constants = vec![
            ("VECTOR", u32::from(vector)),
            ("QUADS", word(self.channels / 4)),
            ("TILES_H", word(self.tiles[0])),
            ("TILES_W", word(self.tiles[1])),
            ("STEP", word(self.step)),
            ("STRIDE", word(self.stride)),
            ("PAD_H", word(self.pad[0])),
            ("PAD_W", word(self.pad[1])),
            ("SIZE_H", word(self.size[0])),
            ("SIZE_W", word(self.size[1])),
            ("WORKGROUP", tile::WORKGROUP),
        ];
        let strides = ["PIXEL_N", "PIXEL_C", "PIXEL_H", "PIXEL_W"];
        constants.extend(strides.into_iter().zip(self.strides.map(word)));
        let planes = ["PLANE", "PLANE_N", "PLANE_TILE", "PLANE_PHASE"];
        constants.extend(planes.into_iter().zip(self.planes.map(word)));
        constants
    }

    /// Bindings: the planes, the self.
    pub(super) fn launch_to_planes(&self, filtering: Filtering, matrix: &Matrix) -> Launch {
        let mut constants = self.constants();
        let threads = self.threads(self.tiles);
        let workgroups = workgroups_of(threads, tile::WORKGROUP);
        constants.extend([
            ("COUNT", word(threads)),
            ("TAKEN", word(matrix[0].len())),
            ("SIDE", word(filtering.side())),
            ("GRID_X", workgroups[0]),
        ]);
        Launch {
            kernel: Kernel {
                file: "winograd_planes.wgsl",
                variant: filtering.name(),
                constants,
                snippets: vec![("transform", function(matrix))],
                reads_step: false,
            },
            workgroups,
        }
    }

    /// Bindings: the tensor, which is what a convolution of this kind computes, the
    /// planes and the epilogue's extras.
    pub(super) fn launch_from_planes(
        &self,
        filtering: Filtering,
        matrix: &Matrix,
        kind: Target,
        epilogue: &Epilogue,
    ) -> Launch {
        // Those of the image overlap.
        let neighbours = kind == Target::Transpose;
        let mut constants = self.constants();
        let grid = if neighbours {
            let pixels_of_a_phase = self.size.map(|size| size.div_ceil(self.stride));
            pixels_of_a_phase.map(|pixels| pixels.div_ceil(self.step))
        } else {
            self.tiles
        };
        let threads = self.threads(grid);
        let workgroups = workgroups_of(threads, tile::WORKGROUP);
        let given = matrix.len() - usize::from(neighbours);
        constants.extend([
            ("COUNT", word(threads)),
            ("GRID_H", word(grid[0])),
            ("GRID_W", word(grid[1])),
            ("TAKEN", word(filtering.side() + usize::from(neighbours))),
            ("GIVEN", word(given)),
            ("SIDE", word(filtering.side())),
            ("WEIGHT", u32::from(kind == Target::WeightGrad)),
            ("ENDS_WITH_PLANES", u32::from(grid == self.tiles)),
        ]);
        let mut launch = tile::launch(
            "winograd_pixels.wgsl",
            filtering.name(),
            constants,
            workgroups,
            epilogue,
            2,
        );
        let transform = if neighbours {
            function_with_neighbour(matrix)
        } else {
            function(matrix)
        };
        launch.kernel.snippets.push(("transform", transform));
        launch
    }
}

/// WGSL: a row of a matrix by the vectors `v`.
fn sum(row: &[f64]) -> String {
    let mut terms = String::new();
    for (index, &number) in row.iter().enumerate().filter(|(_, number)| **number != 0.0) {
        let sign = match (number < 0.0, terms.is_empty()) {
            (true, _) => "- ",
            (false, true) => "",
            (false, false) => "+ ",
        };
        let space = if terms.is_empty() { "" } else { " " };
        let factor = if number.abs() == 1.0 {
            String::new()
        } else {
            format!(" * {}", literal(number.abs() as f32))
        };
        terms += &format!("{space}{sign}v[{index}]{factor}");
    }
    terms
}

/// WGSL: the matrix as a function of as many vectors as it has columns.
fn function(matrix: &Matrix) -> String {
    let rows: Vec<String> = matrix.iter().map(|row| sum(row)).collect();
    format!(
        "fn transform(v: array<vec4<f32>, {}>, late: bool) -> array<vec4<f32>, {}> {{\n    return array({});\n}}",
        matrix[0].len(),
        matrix.len(),
        rows.join(", ")
    )
}

/// WGSL: the matrix, of whose results all but the last are given, or `late` all but
/// the first. A last vector is what a neighbour adds to the first or last result.
fn function_with_neighbour(matrix: &Matrix) -> String {
    let side = matrix.len();
    let mut code = format!(
        "fn transform(v: array<vec4<f32>, {}>, late: bool) -> array<vec4<f32>, {}> {{\n",
        side + 1,
        side - 1
    );
    for (index, row) in matrix.iter().enumerate() {
        // The one number of a neighbour's row that is not zero.
        let neighbour = match index {
            0 => matrix[side - 1][side - 1],
            last if last == side - 1 => matrix[0][0],
            _ => 0.0,
        };
        let row: Vec<f64> = row.iter().copied().chain([neighbour]).collect();
        code += &format!("    let q{index} = {};\n", sum(&row));
    }
    let chosen: Vec<String> = (1..side)
        .map(|late| format!("select(q{}, q{late}, late)", late - 1))
        .collect();
    code + &format!("    return array({});\n}}", chosen.join(", "))
}
