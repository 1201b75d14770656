//! Eigenvalues of symmetric matrices by Jacobi's rotations (Golub and Van Loan,
//! Matrix Computations, section 8.5): slow for thousands of rows, but accurate
//! to the last digits, and features have tens to hundreds.

/// Sweeps after which rounding is all that is left; 6 to 10 are usual.
const SWEEPS: usize = 60;

/// A symmetric matrix taken apart.
pub(super) struct Eigen {
    /// Eigenvalues, in no order.
    pub(super) values: Vec<f64>,
    /// Row `i` is the unit eigenvector of value `i`.
    pub(super) vectors: Vec<f64>,
}

/// Eigenvalues and vectors of a symmetric matrix `[n, n]`.
pub(super) fn symmetric(mut a: Vec<f64>, n: usize) -> Eigen {
    let mut vectors = vec![0.0; n * n];
    for i in 0..n {
        vectors[i * n + i] = 1.0;
    }
    let total: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..SWEEPS {
        let beside: f64 = (0..n)
            .flat_map(|p| (p + 1..n).map(move |q| (p, q)))
            .map(|(p, q)| a[p * n + q].powi(2))
            .sum();
        if beside <= total * 1e-32 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut vectors, n, p, q);
            }
        }
    }
    Eigen {
        values: (0..n).map(|i| a[i * n + i]).collect(),
        vectors,
    }
}

/// Makes element (p, q) 0.
fn rotate(a: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    let apq = a[p * n + q];
    if apq == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    // The smaller root; where theta overflows when squared it is 1 / (2 theta).
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    turn(vectors, n, p, q, c, s);
    turn(a, n, p, q, c, s);
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
}

/// Turns rows p and q.
fn turn(a: &mut [f64], n: usize, p: usize, q: usize, c: f64, s: f64) {
    let (above, below) = a.split_at_mut(q * n);
    let (rows_p, rows_q) = (&mut above[p * n..][..n], &mut below[..n]);
    for (x, y) in rows_p.iter_mut().zip(rows_q) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn a_matrix_is_the_sum_of_its_parts() {
        for n in [1, 2, 7, 40] {
            let mut a = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    let x = random::normal((i * n + j) as u32, 0, 0, 0);
                    a[i * n + j] = x;
                    a[j * n + i] = x;
                }
            }
            let eigen = symmetric(a.clone(), n);
            for i in 0..n {
                for j in 0..n {
                    let sum: f64 = (0..n)
                        .map(|k| {
                            let v = &eigen.vectors[k * n..][..n];
                            eigen.values[k] * v[i] * v[j]
                        })
                        .sum();
                    assert!(
                        (sum - a[i * n + j]).abs() < 1e-12 * n as f64,
                        "{n}: {i} {j}"
                    );
                }
            }
        }
    }
}
