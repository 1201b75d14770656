//! Minimal filtering in one dimension: F(m, r), m outputs of a filter of r taps
//! from m + r - 1 multiplications (Winograd 1980; Lavin and Gray 2015,
//! arXiv 1509.09308), by the points of Toom and Cook.

/// Where polynomials are evaluated besides infinity: the smallest numbers, since
/// their powers are what rounding is multiplied by.
const POINTS: [f64; 5] = [0.0, 1.0, -1.0, 2.0, -2.0];

/// Rows of numbers.
pub(super) type Matrix = Vec<Vec<f64>>;

/// F(`outputs`, `taps`): y = At ((G w) * (Bt x)), the star element by element, is
/// y[i] = sum over k of x[i + k] w[k].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Filtering {
    pub(super) outputs: usize,
    pub(super) taps: usize,
}

impl Filtering {
    /// Multiplications, and inputs.
    pub(super) fn side(self) -> usize {
        self.outputs + self.taps - 1
    }

    /// What plans and profiles call it.
    pub(super) fn name(self) -> &'static str {
        match (self.outputs, self.taps) {
            (2, 2) => "F(2,2)",
            (2, 3) => "F(2,3)",
            (4, 2) => "F(4,2)",
            _ => "F(4,3)",
        }
    }

    fn points(self) -> &'static [f64] {
        &POINTS[..self.side() - 1]
    }

    /// Powers of the points, of infinity the last alone: side x `count`.
    fn powers(self, count: usize) -> Matrix {
        let finite = self.points().iter().map(|point| {
            let powers = std::iter::successors(Some(1.0), |power| Some(power * point));
            powers.take(count).collect()
        });
        let infinite = (1..=count).map(|power| f64::from(u8::from(power == count)));
        finite.chain([infinite.collect()]).collect()
    }

    /// At: outputs x side.
    pub(super) fn outputs_matrix(self) -> Matrix {
        transposed(&self.powers(self.outputs))
    }

    /// G: side x taps. The divisors of the interpolation are here, where they are
    /// least work.
    pub(super) fn taps_matrix(self) -> Matrix {
        let mut matrix = self.powers(self.taps);
        for (row, point) in matrix.iter_mut().zip(self.points()) {
            let others = self.points().iter().filter(|other| *other != point);
            let divisor: f64 = others.map(|other| point - other).product();
            row.iter_mut().for_each(|number| *number /= divisor);
        }
        matrix
    }

    /// Bt: side x side. A row holds the coefficients of the polynomial that is zero
    /// at all other finite points.
    pub(super) fn inputs_matrix(self) -> Matrix {
        let without = |skipped: Option<f64>| {
            let roots = self.points().iter().filter(|root| Some(**root) != skipped);
            let mut row = vec![0.0; self.side()];
            row[0] = 1.0;
            for root in roots {
                for power in (0..row.len()).rev() {
                    let lower = power.checked_sub(1).map_or(0.0, |lower| row[lower]);
                    row[power] = lower - root * row[power];
                }
            }
            row
        };
        let finite = self.points().iter().map(|&point| without(Some(point)));
        finite.chain([without(None)]).collect()
    }
}

/// Rows become columns.
pub(super) fn transposed(matrix: &Matrix) -> Matrix {
    let columns = matrix.first().map_or(0, Vec::len);
    (0..columns)
        .map(|column| matrix.iter().map(|row| row[column]).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(matrix: &Matrix, vector: &[f64]) -> Vec<f64> {
        let dot = |row: &Vec<f64>| row.iter().zip(vector).map(|(a, b)| a * b).sum();
        matrix.iter().map(dot).collect()
    }

    #[test]
    fn every_filtering_is_a_filter() {
        for (outputs, taps) in [(2, 2), (4, 2), (2, 3), (4, 3)] {
            let filtering = Filtering { outputs, taps };
            let x: Vec<f64> = (0..filtering.side())
                .map(|i| (i * i % 7) as f64 - 2.5)
                .collect();
            let w: Vec<f64> = (0..taps).map(|i| 1.5 - i as f64).collect();
            let inputs = times(&filtering.inputs_matrix(), &x);
            let weights = times(&filtering.taps_matrix(), &w);
            let products: Vec<f64> = inputs.iter().zip(&weights).map(|(a, b)| a * b).collect();
            let y = times(&filtering.outputs_matrix(), &products);
            for (i, y) in y.iter().enumerate() {
                let want: f64 = w.iter().zip(&x[i..]).map(|(w, x)| w * x).sum();
                assert!((y - want).abs() < 1e-12, "F({outputs}, {taps}): {y} {want}");
            }
        }
    }

    /// What the adjoint for the image takes from a neighbour's tile.
    #[test]
    fn the_first_and_the_last_input_go_into_one_product_each() {
        for outputs in [2, 4] {
            let matrix = Filtering { outputs, taps: 2 }.inputs_matrix();
            for (row, numbers) in matrix.iter().enumerate() {
                assert_eq!(numbers[0] != 0.0, row == 0, "{matrix:?}");
                assert_eq!(numbers[outputs] != 0.0, row == outputs, "{matrix:?}");
            }
            assert_eq!(matrix[outputs][outputs], 1.0);
        }
    }
}
