//! How good samples of a mixture are, by the protocol of Srivastava et al. 2017
//! (VEEGAN): a sample is of high quality within three deviations of its nearest
//! mode, and a mode is captured that has one such sample.

use super::Distribution;

/// What samples are worth.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Coverage {
    /// Modes with a sample of high quality.
    pub modes: usize,
    /// Share of samples of high quality.
    pub quality: f64,
    /// Kullback-Leibler divergence, in nats, of the samples' share of each mode
    /// from equal shares; samples count for their nearest mode.
    pub reverse_kl: f64,
}

/// Deviations from its mode within which a sample is of high quality.
const REACH: f64 = 3.0;

/// The score of samples `[N, dimensions]`; `None` where there are no modes.
pub fn score(data: &Distribution, samples: &[f32]) -> Option<Coverage> {
    let Distribution::Mixture { modes, deviation } = data else {
        return None;
    };
    let mut shares = vec![0.0; modes.len()];
    let mut captured = vec![false; modes.len()];
    let mut good = 0;
    let points = samples.chunks_exact(data.dimensions());
    let count = points.len();
    for point in points {
        let distance = |mode: &[f64]| {
            let squares = mode.iter().zip(point);
            let sum: f64 = squares.map(|(m, &x)| (f64::from(x) - m).powi(2)).sum();
            sum.sqrt()
        };
        let nearest = modes
            .iter()
            .map(|mode| distance(mode))
            .enumerate()
            .min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((mode, distance)) = nearest else {
            continue;
        };
        shares[mode] += 1.0 / count as f64;
        if distance <= REACH * deviation {
            good += 1;
            captured[mode] = true;
        }
    }
    let divergence = shares
        .iter()
        .filter(|&&share| share > 0.0)
        .map(|share| share * (share * modes.len() as f64).ln());
    Some(Coverage {
        modes: captured.iter().filter(|&&known| known).count(),
        quality: f64::from(good) / count as f64,
        reverse_kl: divergence.sum::<f64>().max(0.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const SAMPLES: usize = 2500;

    /// Of a normal distribution in the plane 98.889 % lie within three
    /// deviations; the reverse divergence is near (modes - 1) / (2 samples).
    #[test]
    fn a_perfect_sampler_meets_the_ceilings() {
        for (name, modes) in [("ring8", 8), ("grid25", 25)] {
            let data = Distribution::open(name).expect("a known name");
            let mut rng = StdRng::seed_from_u64(7);
            let score = score(&data, &data.batch(SAMPLES, &mut rng)).expect("modes");
            assert_eq!(score.modes, modes);
            // Three standard errors of a share of 2500.
            assert!((score.quality - 0.98889).abs() < 0.0063, "{score:?}");
            assert!(score.reverse_kl < 0.0075, "{score:?}");
        }
    }

    #[test]
    fn a_collapsed_sampler_has_one_mode() {
        let data = Distribution::open("ring8").expect("a known name");
        let samples = [std::f32::consts::SQRT_2, 0.0].repeat(SAMPLES);
        let score = score(&data, &samples).expect("modes");
        assert_eq!((score.modes, score.quality), (1, 1.0));
        assert!((score.reverse_kl - 8f64.ln()).abs() < 1e-9);
    }
}
