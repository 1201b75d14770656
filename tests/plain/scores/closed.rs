//! Values that are known without a program: Gaussians, perfect samplers, sets
//! that are too small.

use gpugan::graph::{Graph, Role};
use gpugan::metrics::frechet::{self, Moments};
use gpugan::metrics::{
    Features, Metric, Rows, Samples, Score, inception, kernel, measure, memory, modes, neighbours,
    ssim, wasserstein,
};
use gpugan::nn;
use gpugan::random;
use gpugan::reference::{Tensor, evaluate};

use super::normal;
use crate::near::assert_near;

fn gaussian(mean: &[f64], covariance: Vec<f64>) -> Moments {
    Moments {
        count: 1000,
        mean: mean.to_vec(),
        covariance,
    }
}

fn diagonal(entries: &[f64]) -> Vec<f64> {
    let n = entries.len();
    let mut matrix = vec![0.0; n * n];
    for (i, &entry) in entries.iter().enumerate() {
        matrix[i * n + i] = entry;
    }
    matrix
}

#[test]
fn gaussians_have_their_frechet_distances() {
    let n = 64;
    let shift: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin()).collect();
    let (zero, one) = (vec![0.0; n], vec![1.0; n]);
    let standard = gaussian(&zero, diagonal(&one));
    // N(0, I) and N(mu, I): |mu|^2.
    let squares: f64 = shift.iter().map(|x| x * x).sum();
    let shifted = gaussian(&shift, diagonal(&one));
    assert_near(
        "shift",
        frechet::distance(&standard, &shifted),
        squares,
        1e-9,
    );
    // Diagonal covariances: the sum of (s1 - s2)^2 of the deviations; 0 is one.
    let a: Vec<f64> = (0..n).map(|i| (i % 5) as f64).collect();
    let b: Vec<f64> = (0..n).map(|i| 0.3 + (i % 7) as f64).collect();
    let variances = |s: &[f64]| diagonal(&s.iter().map(|x| x * x).collect::<Vec<_>>());
    let wanted: f64 = a.iter().zip(&b).map(|(x, y)| (x - y).powi(2)).sum();
    let [of_a, of_b] = [&a, &b].map(|s| gaussian(&zero, variances(s)));
    assert_near("deviations", frechet::distance(&of_a, &of_b), wanted, 1e-9);
    assert_near("either way", frechet::distance(&of_b, &of_a), wanted, 1e-9);
    assert!(frechet::distance(&of_b, &of_b) < 1e-9);
}

#[test]
fn moments_are_those_of_the_samples() {
    let rows = Rows {
        values: vec![1.0, 2.0, 3.0, 6.0, 5.0, 7.0],
        width: 2,
    };
    let moments = Moments::of(&rows).unwrap();
    assert_eq!(moments.mean, [3.0, 5.0]);
    assert_eq!(moments.covariance, [4.0, 5.0, 5.0, 7.0]);
}

#[test]
fn perfect_samplers_meet_their_ceilings() {
    let [real, fake] = [1, 2].map(|stream| normal(2000, 4, stream));
    let found = kernel::distance(&real, &fake).unwrap();
    // Unbiased: within three standard errors of 0.
    assert!(found.value.abs() < 3.0 * found.spread.unwrap(), "{found:?}");
    let shares = neighbours::compare(&real, &fake).unwrap();
    // Naeem et al. 2020: density 1, coverage 1 - 2^-5 for k = 5.
    assert_near("density", shares.density, 1.0, 0.05);
    assert_near("coverage", shares.coverage, 1.0 - 0.5_f64.powi(5), 0.02);
    // The same sets in the same order, and a shifted one, which nothing covers.
    let shares = neighbours::compare(&real, &real).unwrap();
    assert_eq!([shares.precision, shares.recall, shares.coverage], [1.0; 3]);
    let far = Rows {
        values: real.values.iter().map(|x| x + 100.0).collect(),
        width: 4,
    };
    let shares = neighbours::compare(&real, &far).unwrap();
    assert_eq!(
        [
            shares.precision,
            shares.recall,
            shares.density,
            shares.coverage
        ],
        [0.0; 4]
    );
}

#[test]
fn class_counts_have_their_divergences() {
    // One mode of ten: log 10. All, evenly: 0.
    let even = [100; 10];
    let mut one = [0; 10];
    one[3] = 500;
    let found = modes::compare(&even, &one).unwrap();
    assert_eq!(found.captured, 1);
    assert_near("one mode", found.reverse_kl, 10_f64.ln(), 1e-12);
    assert_eq!(modes::compare(&even, &even).unwrap().reverse_kl, 0.0);
    // A perfect sampler of 26,000 over 1,000 classes: .0192.
    let draws = (0..26_000_u32).map(|i| (random::uniform(i, 0, 0, 3) * 1000.0) as usize);
    let counts = modes::histogram(draws, 1000);
    let found = modes::compare(&[1000; 1000], &counts).unwrap();
    assert_eq!(found.captured, 1000);
    assert_near("expected", found.expected, 0.0192, 1e-3);
    assert_near("perfect sampler", found.reverse_kl, found.expected, 0.1);
}

#[test]
fn sure_and_even_classes_score_their_number() {
    let sure: Vec<f64> = (0..100)
        .flat_map(|i| (0..10).map(move |class| f64::from(u8::from(i % 10 == class))))
        .collect();
    let found = inception::score(&sure, 10).unwrap();
    assert_near("sure", found.value, 10.0, 1e-12);
    let unsure = vec![0.1; 1000];
    assert_near(
        "unsure",
        inception::score(&unsure, 10).unwrap().value,
        1.0,
        1e-12,
    );
}

/// A folder with a folder for each class is read class by class.
#[test]
fn images_in_the_order_of_their_classes_score_as_others() {
    let sorted: Vec<f64> = (0..200)
        .flat_map(|i| (0..10).map(move |class| f64::from(u8::from(i / 20 == class))))
        .collect();
    assert_near(
        "sorted",
        inception::score(&sorted, 10).unwrap().value,
        1.0,
        1e-12,
    );
    let spread = inception::spread(&sorted, 10);
    assert_eq!(spread.len(), sorted.len());
    assert_near(
        "spread",
        inception::score(&spread, 10).unwrap().value,
        10.0,
        1e-12,
    );
}

#[test]
fn equal_images_are_at_no_distance_and_alike() {
    let shape = [3, 16, 14];
    let noise = |stream: u32| -> Vec<u8> {
        (0..20 * 3 * 16 * 14_u32)
            .map(|i| (random::uniform(i, stream, 0, 0) * 256.0) as u8)
            .collect()
    };
    let (x, y) = (noise(0), noise(1));
    let same = wasserstein::distances(&x, &x, shape).unwrap();
    assert!(same.iter().all(|&d| d == 0.0), "{same:?}");
    let flat = vec![100; x.len()];
    let far = wasserstein::distances(&x, &flat, shape).unwrap();
    assert!(far.iter().all(|&d| d > 500.0), "{far:?}");
    assert_eq!(ssim::similarity(&x[..672], &x[..672], shape), 1.0);
    let alike = ssim::diversity(&flat, shape, 50).unwrap();
    assert_near("flat images", alike.value, 1.0, 1e-9);
    assert!(ssim::diversity(&x, shape, 50).unwrap().value < 0.3);
    // Copies, and images no nearer than unseen ones.
    let copies = memory::compare(&x, memory::Unseen::Images(&y), &x, 672).unwrap();
    assert_eq!((copies.ratio, copies.copies), (0.0, 20));
    let fresh = memory::compare(&noise(2), memory::Unseen::Images(&y), &x, 672).unwrap();
    assert_near("fresh noise", fresh.ratio, 1.0, 0.05);
    assert_eq!(fresh.copies, 0);
}

/// `count` images of noise with features of normal numbers.
fn samples(count: usize, stream: u32) -> Samples {
    let pixels = (0..count as u32 * 784).map(|i| (random::uniform(i, stream, 0, 5) * 256.0) as u8);
    let mut classes = vec![0; 2];
    classes[0] = count;
    Samples {
        shape: [1, 28, 28],
        stack: 1,
        pixels: pixels.collect(),
        features: normal(count, 8, stream),
        probabilities: vec![0.5; 2 * count],
        classes,
    }
}

#[test]
fn few_samples_give_warnings_and_no_nan() {
    let real = samples(40, 1);
    for count in [0, 1, 2, 3, 5, 8, 9, 30] {
        let scores = measure(
            &Metric::ALL,
            "test-features",
            &real,
            None,
            &samples(count, 2),
        );
        for score in &scores {
            assert!(score.value.is_none_or(f64::is_finite), "{count}: {score:?}");
            assert!(
                score.spread.is_none_or(f64::is_finite),
                "{count}: {score:?}"
            );
            assert!(
                score.value.is_some() || !score.note.is_empty(),
                "{count}: {score:?}"
            );
            let text = serde_json::to_string(score).unwrap();
            assert!(!text.contains("NaN"), "{text}");
        }
        let by_name = |name: &str| scores.iter().find(|s| s.name == name).expect(name);
        let frechet = by_name("frechet(test-features)");
        // Eight features need nine samples.
        assert_eq!(frechet.value.is_some(), count > 8, "{count}: {frechet:?}");
        assert!(frechet.note.contains("samples"), "{frechet:?}");
        assert_eq!(by_name("kernel(test-features)").value.is_some(), count >= 2);
        assert!(!scores.iter().any(|s| s.name.to_lowercase().contains("fid")));
    }
    // Those of one network alone have their published names.
    let fake = samples(20, 2);
    let of_inception = measure(&Metric::ALL, Features::Inception, &real, None, &fake);
    let names = of_inception.iter().map(|score| score.name.as_str());
    let named: Vec<&str> = names.filter(|name| !name.contains('(')).collect();
    assert_eq!(
        named,
        ["fid", "kid", "is", "swd", "ms-ssim", "memorisation"]
    );
    let better = |name: &str| of_inception.iter().find(|score| score.name == name);
    let sign = |name: &str| {
        better(name)
            .and_then(Score::loss)
            .map(f64::is_sign_negative)
    };
    assert_eq!([sign("fid"), sign("is")], [Some(false), Some(true)]);
    // Asked for the one, the other is given.
    let scores = measure(&[Metric::Frechet], "f", &real, None, &samples(5, 2));
    let names: Vec<_> = scores.iter().map(|score| score.name.as_str()).collect();
    assert_eq!(names, ["frechet(f)", "kernel(f)"]);
}

/// `(softmax - one hot) / N`, and the loss itself, through the nodes and `vjp`.
#[test]
fn cross_entropy_has_its_value_and_gradient() {
    let (batch, classes) = (3, 5);
    let mut graph = Graph::new();
    let x = graph.declare("x", [batch, classes], Role::Input).unwrap();
    let labels = graph.declare("labels", [batch, 1], Role::Input).unwrap();
    let (logits, chosen) = (graph.state(x), graph.state(labels));
    let loss = nn::cross_entropy(&mut graph, logits, chosen).unwrap();
    let accuracy = nn::accuracy(&mut graph, logits, chosen).unwrap();
    let gradient = graph.gradient(loss, &[logits]).unwrap()[0];
    // One row so large that its exponential would overflow.
    let mut values: Vec<f64> = (0..15).map(|i| ((i * 7) % 11) as f64 * 0.4 - 2.0).collect();
    values[5] = 1000.0;
    let right = [2_usize, 0, 4];
    let states = [
        (x, Tensor::new([batch, classes], values.clone()).unwrap()),
        (
            labels,
            Tensor::new([batch, 1], right.map(|l| l as f64).to_vec()).unwrap(),
        ),
    ];
    let roots = [loss, accuracy, gradient];
    let found = evaluate(&graph, &roots, &states.into(), 0, 0).unwrap();
    let (mut wanted_loss, mut hits, mut wanted) = (0.0, 0.0, Vec::new());
    for (row, &label) in values.chunks_exact(classes).zip(&right) {
        let largest = row.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = row.iter().map(|v| (v - largest).exp()).sum();
        wanted_loss += (sum.ln() + largest - row[label]) / batch as f64;
        hits += f64::from(u8::from(row[label] == largest)) / batch as f64;
        wanted.extend(row.iter().enumerate().map(|(class, v)| {
            let one_hot = f64::from(u8::from(class == label));
            ((v - largest).exp() / sum - one_hot) / batch as f64
        }));
    }
    assert_near("loss", found[0].data[0], wanted_loss, 1e-9);
    assert_near("accuracy", found[1].data[0], hits, 1e-6);
    for (found, wanted) in found[2].data.iter().zip(&wanted) {
        assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
    }
}

/// What a classifier with weights that are not numbers says is no score: its
/// Fréchet distance would be 0 and its precision 1.
#[test]
fn features_that_are_not_finite_have_no_scores() {
    let set = |value: f32| Samples {
        shape: [1, 2, 2],
        stack: 1,
        pixels: (0..40 * 4).map(|i| (i * 37 % 251) as u8).collect(),
        features: Rows {
            values: (0..40 * 2).map(|i| value + (i % 7) as f32).collect(),
            width: 2,
        },
        probabilities: vec![0.5; 80],
        classes: vec![20, 20],
    };
    let numbers = measure(&Metric::ALL, "f", &set(0.0), None, &set(1.0));
    let of_features = |name: &str| name.contains("(f)");
    assert!(
        numbers
            .iter()
            .filter(|s| of_features(&s.name))
            .all(|s| s.value.is_some())
    );
    for [real, fake] in [[f32::NAN, f32::NAN], [0.0, f32::INFINITY], [f32::NAN, 0.0]] {
        let scores = measure(&Metric::ALL, "f", &set(real), None, &set(fake));
        for score in scores {
            if of_features(&score.name) {
                assert_eq!(score.value, None, "{}", score.name);
                assert!(score.note.contains("not finite"), "{}", score.note);
                assert_eq!(score.loss(), None);
            } else {
                assert!(!score.note.contains("not finite"), "{}", score.name);
            }
        }
    }
    // What was written as a score and is none never decides.
    let mut score = numbers[0].clone();
    for value in [f64::NAN, f64::NEG_INFINITY] {
        score.value = Some(value);
        assert_eq!(score.loss(), None);
    }
}
