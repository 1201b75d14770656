//! The bit-equal twin of the GPU's counter-based generator: pcg4d (Jarzynski
//! and Olano 2020, "Hash Functions for GPU Rendering") of (element, stream,
//! counter, seed). Equal arguments give equal numbers, on every machine and in
//! any order.

/// 2^-24: uniform numbers are 24-bit integers times this.
const STEP: f32 = 1.0 / (1 << 24) as f32;

/// Four words that look random. `element` is the row-major place in the
/// logical tensor, `stream` tells the run's random tensors apart, `counter` is
/// the step's number.
pub fn bits(element: u32, stream: u32, counter: u32, seed: u32) -> [u32; 4] {
    let mut v =
        [element, stream, counter, seed].map(|x| x.wrapping_mul(1664525).wrapping_add(1013904223));
    mix(&mut v);
    v = v.map(|x| x ^ (x >> 16));
    mix(&mut v);
    v
}

fn mix(v: &mut [u32; 4]) {
    for (target, a, b) in [(0, 1, 3), (1, 2, 0), (2, 0, 1), (3, 1, 2)] {
        v[target] = v[target].wrapping_add(v[a].wrapping_mul(v[b]));
    }
}

/// A multiple of 2^-24 in `[0, 1)`, exact in f32.
pub fn uniform(element: u32, stream: u32, counter: u32, seed: u32) -> f32 {
    let [x, ..] = bits(element, stream, counter, seed);
    (x >> 8) as f32 * STEP
}

/// Standard normal by Box and Muller's transform, within ±5.77. The two
/// uniforms are those of the GPU; logarithm, root and cosine are f64 here, so
/// the GPU's number differs by its rounding.
pub fn normal(element: u32, stream: u32, counter: u32, seed: u32) -> f64 {
    let [x, y, ..] = bits(element, stream, counter, seed);
    // In (0, 1], so that the logarithm is finite.
    let u1 = f64::from(((x >> 8) + 1) as f32 * STEP);
    let u2 = f64::from((y >> 8) as f32 * STEP);
    (-2.0 * u1.ln()).sqrt() * (std::f64::consts::TAU * u2).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers per sample of the statistical tests.
    const COUNT: u32 = 1 << 16;

    /// (element, stream, counter, seed), words and normal number, computed by
    /// a Python script from the paper's listing with unbounded integers.
    type Golden = ([u32; 4], [u32; 4], f64);
    const GOLDEN: [Golden; 7] = [
        (
            [0, 0, 0, 0],
            [0x0f02f829, 0x2d568769, 0x32b0c43b, 0xd32548ea],
            1.0531741140252446,
        ),
        (
            [1, 0, 0, 0],
            [0x0b3cefc3, 0xa31dc1d5, 0x5ffbe5a5, 0x623d099e],
            -1.6277527798304359,
        ),
        (
            [0, 1, 0, 0],
            [0x2a9d71a8, 0xa13cdd97, 0xe9c89c0e, 0xc4b7884c],
            -1.297729078181321,
        ),
        (
            [0, 0, 1, 0],
            [0x2eda6c9d, 0x681d2eed, 0x306c117d, 0xb0607dce],
            -1.5351815236944915,
        ),
        (
            [0, 0, 0, 1],
            [0x8d9effe2, 0xa833f3dc, 0x8246b1b2, 0x58ab6650],
            -0.6000234925148493,
        ),
        (
            [12345, 7, 1000, 42],
            [0x295caf41, 0xcac01ebb, 0x375d3a8b, 0xd6630282],
            0.4979685984716067,
        ),
        (
            [u32::MAX; 4],
            [0x974ed892, 0xc015dc67, 0x9f955760, 0xa1bba208],
            0.002149252347277248,
        ),
    ];

    #[test]
    fn words_and_numbers_are_the_golden_ones() {
        for ([element, stream, counter, seed], words, number) in GOLDEN {
            assert_eq!(bits(element, stream, counter, seed), words);
            assert_eq!(
                f64::from(uniform(element, stream, counter, seed)) * 16777216.0,
                f64::from(words[0] >> 8)
            );
            let difference = normal(element, stream, counter, seed) - number;
            assert!(difference.abs() < 1e-14, "{number} differs by {difference}");
        }
    }

    fn mean(values: impl Iterator<Item = f64>) -> f64 {
        values.sum::<f64>() / f64::from(COUNT)
    }

    /// Asserts a mean within 4.5 standard errors: a fair generator fails one
    /// such test of 150,000.
    fn assert_mean(what: &str, got: f64, expected: f64, deviation: f64) {
        let limit = 4.5 * deviation / f64::from(COUNT).sqrt();
        assert!(
            (got - expected).abs() < limit,
            "{what}: {got} is further than {limit} from {expected}"
        );
    }

    #[test]
    fn uniform_numbers_have_the_moments_and_fill_the_interval_evenly() {
        for (stream, counter, seed) in [(0, 0, 0), (3, 0, 1), (0, 1000, 1), (5, 70_000, 12)] {
            let draw = |i| f64::from(uniform(i, stream, counter, seed));
            assert!((0..COUNT).all(|i| (0.0..1.0).contains(&draw(i))));
            assert_mean(
                "mean",
                mean((0..COUNT).map(draw)),
                0.5,
                12f64.sqrt().recip(),
            );
            let squares = mean((0..COUNT).map(|i| (draw(i) - 0.5).powi(2)));
            assert_mean("variance", squares, 1.0 / 12.0, 180f64.sqrt().recip());
            let mut bins = [0.0; 256];
            (0..COUNT).for_each(|i| bins[(draw(i) * 256.0) as usize] += 1.0);
            // 255 degrees of freedom: mean 255, deviation sqrt(510).
            let chi2: f64 = bins.iter().map(|n: &f64| (n - 256.0).powi(2) / 256.0).sum();
            assert!((chi2 - 255.0).abs() < 4.5 * 510f64.sqrt(), "chi2 {chi2}");
        }
    }

    #[test]
    fn normal_numbers_have_the_first_four_moments() {
        let power = |k| mean((0..COUNT).map(|i| normal(i, 1, 2, 3).powi(k)));
        // Deviations of x^k: square roots of E x^2k - (E x^k)^2.
        assert_mean("mean", power(1), 0.0, 1.0);
        assert_mean("variance", power(2), 1.0, 2f64.sqrt());
        assert_mean("third moment", power(3), 0.0, 15f64.sqrt());
        assert_mean("fourth moment", power(4), 3.0, 96f64.sqrt());
        let tail = mean((0..COUNT).map(|i| f64::from(u8::from(normal(i, 1, 2, 3) > 2.0))));
        assert_mean("share above 2", tail, 0.0227501, 0.149);
    }

    #[test]
    fn every_bit_is_set_half_the_time() {
        for word in 0..4 {
            for bit in 0..32 {
                let set = mean((0..COUNT).map(|i| f64::from(bits(i, 0, 1, 2)[word] >> bit & 1)));
                assert_mean(&format!("word {word} bit {bit}"), set, 0.5, 0.5);
            }
        }
    }

    #[test]
    fn neighbours_along_each_argument_are_independent() {
        let draw = |[element, stream, counter, seed]: [u32; 4]| {
            (f64::from(uniform(element, stream, counter, seed)) - 0.5) * 12f64.sqrt()
        };
        // Element, stream, counter and seed of the base, walked along each
        // argument in turn and compared with a neighbour along each.
        for walked in 0..4 {
            for shifted in 0..4 {
                for step in [1, 2, 64, 1024] {
                    let products = (0..COUNT).map(|i| {
                        let mut here = [9, 3, 17, 5];
                        here[walked] += i;
                        let mut there = here;
                        there[shifted] += step;
                        draw(here) * draw(there)
                    });
                    let what = format!("walk {walked}, shift {shifted} by {step}");
                    assert_mean(&what, mean(products), 0.0, 1.0);
                }
            }
        }
    }

    #[test]
    fn the_two_uniforms_of_a_normal_number_are_independent() {
        let product = mean((0..COUNT).map(|i| {
            let [x, y, ..] = bits(i, 0, 1, 2).map(|word| f64::from(word) / 2f64.powi(32) - 0.5);
            12.0 * x * y
        }));
        assert_mean("correlation", product, 0.0, 1.0);
    }
}
