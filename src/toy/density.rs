//! Densities on a lattice, and what the best discriminator says there.

use super::Distribution;
use crate::adversarial::Loss;
use crate::adversarial::loss::{Form, weighted};

/// Half the side of what is shown: [-1.9, 1.9] in each coordinate.
pub const REACH: f64 = 1.9;

/// Deviation of the normal kernel that smooths all densities: about a cell of the
/// plane's lattice, the finest that it can show.
pub const BANDWIDTH: f64 = 0.04;

/// Where p and q together are less than this there is no telling them apart.
const LEAST: f64 = 1e-3;

/// The middles of equal cells that cover a line or a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lattice {
    /// Coordinates of a point, 1 or 2.
    pub dimensions: usize,
    /// Cells along an axis.
    pub side: usize,
}

impl Lattice {
    /// Length of a cell.
    pub fn cell(self) -> f64 {
        2.0 * REACH / self.side as f64
    }

    /// Length, or area, of a cell.
    pub fn volume(self) -> f64 {
        self.cell().powi(self.dimensions as i32)
    }

    /// Number of cells.
    pub fn count(self) -> usize {
        self.side.pow(self.dimensions as u32)
    }

    /// The middle of a cell along an axis.
    pub fn at(self, index: usize) -> f64 {
        -REACH + self.cell() * (index as f64 + 0.5)
    }

    /// All middles `[count, dimensions]`; the first coordinate runs fastest.
    pub fn points(self) -> Vec<f64> {
        (0..self.count())
            .flat_map(|cell| {
                let index = [cell % self.side, cell / self.side];
                index[..self.dimensions].to_vec()
            })
            .map(|index| self.at(index))
            .collect()
    }

    /// The density of a distribution, smoothed by the kernel, where it is known.
    pub fn exact(self, data: &Distribution) -> Option<Vec<f64>> {
        let data = data.smoothed(BANDWIDTH)?;
        let points = self.points();
        points
            .chunks(self.dimensions)
            .map(|point| data.density(point))
            .collect()
    }

    /// The density of samples `[N, dimensions]`, smoothed by the kernel. Samples
    /// beyond the lattice are missing from its integral.
    pub fn estimated(self, samples: &[f32]) -> Vec<f64> {
        let mut density = vec![0.0; self.count()];
        let points = samples.chunks_exact(self.dimensions);
        let share = 1.0 / (points.len().max(1) as f64 * self.volume());
        for point in points {
            // Each sample is shared by the cells around it, or the smoothed
            // density would have the lattice in it.
            self.deposit(point, share, &mut density);
        }
        let kernel = self.kernel();
        for axis in 0..self.dimensions {
            density = self.smooth(&density, &kernel, self.side.pow(axis as u32));
        }
        density
    }

    /// Adds `share` to the cells around a point, by how near they are.
    fn deposit(self, point: &[f32], share: f64, density: &mut [f64]) {
        let mut corners = vec![(0, share)];
        for (axis, &x) in point.iter().enumerate() {
            let place = (f64::from(x) + REACH) / self.cell() - 0.5;
            let (low, part) = (place.floor(), place - place.floor());
            corners = corners
                .iter()
                .flat_map(|&(cell, weight)| {
                    [(low, 1.0 - part), (low + 1.0, part)].map(|(index, part)| {
                        // NaN lies in no cell.
                        let inside = (0.0..self.side as f64).contains(&index);
                        let step =
                            self.side.pow(axis as u32) * if inside { index as usize } else { 0 };
                        (cell + step, if inside { weight * part } else { 0.0 })
                    })
                })
                .collect();
        }
        for (cell, weight) in corners {
            density[cell] += weight;
        }
    }

    /// Weights of the kernel at whole cells from -4 deviations to 4, with sum 1.
    /// Sharing a sample between cells has smoothed by a sixth of a squared cell
    /// at most, on average, which the kernel leaves out.
    fn kernel(self) -> Vec<f64> {
        let variance = (BANDWIDTH / self.cell()).powi(2) - 1.0 / 6.0;
        let reach = (4.0 * variance.sqrt()).ceil() as i32;
        let weights = (-reach..=reach).map(|i| (-f64::from(i * i) / (2.0 * variance)).exp());
        let weights: Vec<f64> = weights.collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }

    /// Values smoothed along the axis whose neighbours are `stride` apart.
    fn smooth(self, values: &[f64], kernel: &[f64], stride: usize) -> Vec<f64> {
        let reach = kernel.len() / 2;
        (0..values.len())
            .map(|cell| {
                let index = cell / stride % self.side;
                let first = reach.saturating_sub(index);
                let last = kernel.len().min(self.side - index + reach);
                kernel[first..last]
                    .iter()
                    .zip(first..)
                    .map(|(weight, tap)| weight * values[cell + tap * stride - reach * stride])
                    .sum()
            })
            .collect()
    }
}

/// The best discriminator against a density p of the data and q of a fixed
/// generator, and its loss, of the losses that have one ([`Form`]). A
/// discriminator of packs that sees one point `pack` times has the powers of p
/// and q in the place of them.
#[derive(Clone, Copy, Debug)]
pub struct Optimum {
    form: Form,
    label: f64,
    pack: usize,
}

impl Optimum {
    /// Of a loss.
    pub fn new(config: &Loss) -> Self {
        Self {
            form: config.kind.facts().form,
            label: config.real_label,
            pack: config.pack,
        }
    }

    /// Whether D is a probability, of which the sigmoid is shown. A relativistic
    /// logit means nothing without the other batch.
    pub fn is_probability(&self) -> bool {
        self.form == Form::Entropy
    }

    /// What D* may be, where there is one.
    pub fn range(&self) -> Option<[f64; 2]> {
        match self.form {
            Form::Relative | Form::Gap => None,
            Form::Margin => Some([-1.0, 1.0]),
            Form::Entropy | Form::Square => Some([0.0, 1.0]),
        }
    }

    /// D*(x) where p and q tell; `None` of losses that have no D*.
    pub fn surface(&self, p: &[f64], q: &[f64]) -> Option<Vec<f64>> {
        share(p, q, self.pack)
            .map(|share| self.form.best(share, self.label))
            .collect()
    }

    /// The integral of the loss of D*; `None` of losses that have no D* and of
    /// packs, whose densities have more coordinates.
    pub fn loss(&self, lattice: Lattice, p: &[f64], q: &[f64]) -> Option<f64> {
        if self.pack > 1 || !self.form.has_optimum() {
            return None;
        }
        let at = p.iter().zip(q);
        let sum: Option<f64> = at
            .map(|(&p, &q)| self.form.best_loss(p, q, self.label))
            .sum();
        Some(sum? * lattice.volume())
    }

    /// The discriminator's loss at the joint optimum q = p, without `d_weight`.
    pub fn joint(&self) -> f64 {
        self.form.joint(self.label)
    }
}

/// `p^n / (p^n + q^n)`, NaN where neither is.
pub fn share(p: &[f64], q: &[f64], n: usize) -> impl Iterator<Item = f64> {
    p.iter().zip(q).map(move |(&p, &q)| {
        if p + q < LEAST {
            return f64::NAN;
        }
        let odds = (q / p).powi(n as i32);
        1.0 / (1.0 + odds)
    })
}

/// The Jensen-Shannon divergence in nats, 0 to log 2; what is missing from the
/// integral of q lies where p is 0.
pub fn jensen_shannon(lattice: Lattice, p: &[f64], q: &[f64]) -> f64 {
    let against_middle = |a: f64, b: f64| weighted(a, 2.0 * a / (a + b));
    let sum: f64 = p
        .iter()
        .zip(q)
        .map(|(&p, &q)| against_middle(p, q) + against_middle(q, p))
        .sum();
    let beyond = 1.0 - q.iter().sum::<f64>() * lattice.volume();
    0.5 * (sum * lattice.volume() + beyond.max(0.0) * std::f64::consts::LN_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adversarial::LossKind;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const LINE: Lattice = Lattice {
        dimensions: 1,
        side: 2000,
    };

    /// A normal density on the line, unsmoothed.
    fn normal(mean: f64, deviation: f64) -> Vec<f64> {
        let modes = vec![vec![mean]];
        let data = Distribution::Mixture { modes, deviation };
        let density = LINE.points().into_iter().map(|x| data.density(&[x]));
        density.collect::<Option<_>>().expect("a known density")
    }

    fn optimum(change: impl FnOnce(&mut Loss)) -> Optimum {
        let mut config = Loss::default();
        change(&mut config);
        Optimum::new(&config)
    }

    /// Goodfellow et al. 2014, theorem 1: V(D*, G) = 2 JSD - log 4.
    #[test]
    fn the_best_value_is_that_of_the_divergence() {
        let unit = 0.25;
        for (mean, deviation, jsd) in [
            (1.0, 1.0, 0.11142),
            (2.0, 1.0, 0.33683),
            (0.0, 2.0, 0.09273),
        ] {
            let p = normal(-0.5 * mean * unit, unit);
            let q = normal(0.5 * mean * unit, unit * deviation);
            let found = jensen_shannon(LINE, &p, &q);
            assert!((found - jsd).abs() < 1e-4, "{found} for {jsd}");
            let loss = optimum(|_| {}).loss(LINE, &p, &q).expect("a best D");
            assert!((loss - (4f64.ln() - 2.0 * found)).abs() < 2e-4, "{loss}");
        }
        let p = normal(0.0, unit);
        assert!(jensen_shannon(LINE, &p, &p).abs() < 1e-12);
        let beyond = vec![0.0; LINE.count()];
        let apart = jensen_shannon(LINE, &p, &beyond);
        assert!((apart - 2f64.ln()).abs() < 1e-6, "{apart}");
    }

    #[test]
    fn every_loss_has_its_joint_optimum_where_the_densities_meet() {
        let p = normal(0.0, 0.25);
        let losses: [fn(&mut Loss); 5] = [
            |_| {},
            |loss| loss.real_label = 0.9,
            |loss| loss.kind = LossKind::LeastSquares,
            |loss| loss.kind = LossKind::Hinge,
            |loss| {
                loss.kind = LossKind::LeastSquares;
                loss.real_label = 0.8;
            },
        ];
        let joint = losses.map(|change| {
            let optimum = optimum(change);
            let loss = optimum.loss(LINE, &p, &p).expect("a best D");
            assert!((loss - optimum.joint()).abs() < 1e-6, "{loss}");
            let surface = optimum.surface(&p, &p).expect("a best D");
            let middle = surface[LINE.side / 2];
            (optimum.joint(), middle)
        });
        for ((loss, answer), (of, at)) in joint.iter().zip([
            (4f64.ln(), 0.5),
            (1.37628, 0.45),
            (0.25, 0.5),
            (2.0, 1.0),
            (0.16, 0.4),
        ]) {
            assert!((loss - of).abs() < 1e-5, "{loss} for {of}");
            assert!((answer - at).abs() < 1e-12, "{answer} for {at}");
        }
        let critic = optimum(|loss| loss.kind = LossKind::Wasserstein);
        assert!(critic.surface(&p, &p).is_none() && critic.loss(LINE, &p, &p).is_none());
    }

    #[test]
    fn a_pack_of_one_point_is_surer() {
        let packed = optimum(|loss| loss.pack = 2);
        let surface = packed
            .surface(&[0.8, 1e-9], &[0.4, 1e-9])
            .expect("a best D");
        assert!((surface[0] - 0.8).abs() < 1e-12, "{surface:?}");
        assert!(surface[1].is_nan(), "nobody is there");
        assert!(packed.loss(LINE, &[], &[]).is_none());
    }

    /// The estimate of a million points has the smoothed density of the data.
    #[test]
    fn estimates_follow_the_exact_density() {
        for (name, side, count) in [("gaussians", 384, 1_000_000), ("ring8", 96, 1_000_000)] {
            let data = Distribution::open(name).expect("a known name");
            let lattice = Lattice {
                dimensions: data.dimensions(),
                side,
            };
            let exact = lattice.exact(&data).expect("a known density");
            let mut rng = StdRng::seed_from_u64(5);
            let estimated = lattice.estimated(&data.batch(count, &mut rng));
            let most = exact.iter().copied().fold(0.0, f64::max);
            for (exact, estimated) in exact.iter().zip(&estimated) {
                assert!(
                    (exact - estimated).abs() < 0.03 * most,
                    "{exact} {estimated}"
                );
            }
            for density in [exact, estimated] {
                let sum = density.iter().sum::<f64>() * lattice.volume();
                assert!((sum - 1.0).abs() < 1e-3, "{name}: {sum}");
            }
        }
    }
}
