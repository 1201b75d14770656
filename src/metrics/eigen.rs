//! Matrices with no negative eigenvalue, in f64: a factor, and the eigenvalues (Golub
//! and Van Loan, Matrix Computations, sections 4.2, 8.3 and 8.4). For the 2048 features
//! of Inception they take seconds.

use super::parallel::each;

/// Halvings of the interval that an eigenvalue is in: down to the last digit, and past
/// all digits where it is 0.
const HALVINGS: usize = 100;

/// Rows `[n, n]` whose products with each other are a matrix `a` of no negative
/// eigenvalue: `a = f^T f`, by Cholesky's method with the largest pivot first. Pivots
/// that rounding has left of 0 give rows of zeros.
pub(super) fn factor(a: &[f64], n: usize) -> Vec<f64> {
    let mut rows = vec![0.0; n * n];
    // What the rows so far leave of the diagonal.
    let mut left: Vec<f64> = (0..n).map(|i| a[i * n + i]).collect();
    let largest = left.iter().copied().fold(0.0, f64::max);
    for k in 0..n {
        let (place, pivot) =
            (0..n).map(|i| (i, left[i])).fold(
                (0, 0.0),
                |best, next| if next.1 > best.1 { next } else { best },
            );
        if pivot <= largest * f64::EPSILON * n as f64 {
            break;
        }
        let (before, row) = rows.split_at_mut(k * n);
        let row = &mut row[..n];
        row.copy_from_slice(&a[place * n..][..n]);
        for earlier in before.chunks_exact(n) {
            add(row, -earlier[place], earlier);
        }
        let root = pivot.sqrt();
        for (x, left) in row.iter_mut().zip(&mut left) {
            *x /= root;
            *left -= *x * *x;
        }
        // Exactly, so that it is not chosen again.
        left[place] = 0.0;
    }
    rows
}

/// Eigenvalues of a symmetric matrix `[n, n]`, the smallest first; negative ones count
/// as 0.
pub(super) fn values(a: Vec<f64>, n: usize) -> Vec<f64> {
    let (diagonal, beside) = tridiagonal(a, n);
    // Gershgorin's bound.
    let reach = |i: usize| {
        let before = if i > 0 { beside[i - 1].abs() } else { 0.0 };
        diagonal[i] + before + beside[i].abs()
    };
    let bound = (0..n).map(reach).fold(0.0, f64::max);
    each(n, |index| {
        let (mut low, mut high) = (0.0, bound);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            match below(&diagonal, &beside, middle) > index {
                true => high = middle,
                false => low = middle,
            }
        }
        0.5 * (low + high)
    })
}

/// How many eigenvalues of a tridiagonal matrix are below `x`: the negative pivots of
/// the matrix less `x` (Sylvester's law of inertia).
fn below(diagonal: &[f64], beside: &[f64], x: f64) -> usize {
    let mut count = 0;
    let mut taken = 0.0;
    for (d, e) in diagonal.iter().zip(beside) {
        let pivot = d - x - taken;
        count += usize::from(pivot < 0.0);
        // Of a pivot of 0 any tiny one is as good.
        let divisor = if pivot == 0.0 {
            f64::MIN_POSITIVE
        } else {
            pivot
        };
        taken = e * e / divisor;
    }
    count
}

/// A tridiagonal matrix with the same eigenvalues, by Householder's reflections: its
/// diagonal, and what is beside each element of it, of the last 0.
fn tridiagonal(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut diagonal, mut beside) = (vec![0.0; n], vec![0.0; n]);
    for k in 0..n {
        diagonal[k] = a[k * n + k];
        let mut v = a[k * n + k + 1..(k + 1) * n].to_vec();
        let length = dot(&v, &v).sqrt();
        if length == 0.0 {
            continue;
        }
        // Away from the axis that it is reflected onto, so that nothing cancels.
        beside[k] = -length.copysign(v[0]);
        v[0] -= beside[k];
        let half = 0.5 * dot(&v, &v);
        let rest = |row: usize| (k + 1 + row) * n + k + 1..(k + 2 + row) * n;
        let mut p = vec![0.0; v.len()];
        for (row, factor) in v.iter().enumerate() {
            add(&mut p, factor / half, &a[rest(row)]);
        }
        let along = 0.5 * dot(&v, &p) / half;
        add(&mut p, -along, &v);
        for row in 0..v.len() {
            let of = &mut a[rest(row)];
            add(of, -v[row], &p);
            add(of, -p[row], &v);
        }
    }
    (diagonal, beside)
}

/// Adds a multiple of `x` to `to`.
pub(super) fn add(to: &mut [f64], factor: f64, x: &[f64]) {
    for (sum, x) in to.iter_mut().zip(x) {
        *sum += factor * x;
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    /// The products of random rows `[n, n]`, of which only the first `rank` are not 0.
    fn products(n: usize, rank: usize) -> Vec<f64> {
        let element = |place: usize| random::normal(place as u32, 0, 0, 0);
        let of = |i: usize, j: usize| -> f64 {
            (0..rank)
                .map(|k| element(k * n + i) * element(k * n + j))
                .sum()
        };
        let places = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        places.map(|(i, j)| of(i, j)).collect()
    }

    #[test]
    fn the_products_of_a_factor_are_the_matrix() {
        for (n, rank) in [(1, 1), (2, 1), (7, 7), (40, 40), (40, 23), (3, 0)] {
            let a = products(n, rank);
            let rows = factor(&a, n);
            for i in 0..n {
                for j in 0..n {
                    let sum: f64 = (0..n).map(|k| rows[k * n + i] * rows[k * n + j]).sum();
                    let off = (sum - a[i * n + j]).abs();
                    assert!(off < 1e-11, "{n}, {rank}: {i} {j} {off}");
                }
            }
        }
    }

    /// The path of n points: its second differences have eigenvalues 2 - 2 cos; turned
    /// by a reflection, they are a full matrix with the same ones.
    #[test]
    fn eigenvalues_of_a_path_are_those_of_its_cosines() {
        for n in [1_usize, 2, 3, 40] {
            let path = |i: usize, j: usize| match i.abs_diff(j) {
                0 => 2.0,
                1 => -1.0,
                _ => 0.0,
            };
            let v: Vec<f64> = (0..n).map(|i| random::normal(i as u32, 1, 0, 0)).collect();
            let squares = dot(&v, &v);
            let mirror = |i: usize, j: usize| f64::from(i == j) - 2.0 * v[i] * v[j] / squares;
            let mut a = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..n {
                    for k in 0..n {
                        for l in 0..n {
                            a[i * n + j] += mirror(i, k) * path(k, l) * mirror(l, j);
                        }
                    }
                }
            }
            for (index, found) in values(a, n).into_iter().enumerate() {
                let angle = std::f64::consts::PI * (index + 1) as f64 / (n + 1) as f64;
                let off = (found - (2.0 - 2.0 * angle.cos())).abs();
                assert!(off < 1e-13, "{n}: {index} {off}");
            }
        }
    }
}
