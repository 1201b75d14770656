//! The variational autoencoder.

use gpugan::graph::StateId;
use gpugan::random::normal;

use super::{Tiny, all_images};

/// `count` standard normal numbers.
fn normals(count: usize, stream: u32) -> Vec<f64> {
    (0..count as u32).map(|i| normal(i, stream, 1, 7)).collect()
}

fn sum_of<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    values.into_iter().sum()
}

#[test]
fn the_divergence_is_that_of_the_posterior_from_the_prior() {
    let model = Tiny::new("vae", &["model.latent=3", "model.hidden=8"], [2, 3], 3.0);
    let images: Vec<f64> = (0..5 * 6)
        .map(|i| (f64::from(i) * 0.7).sin().abs())
        .collect();
    let eps = normals(5 * 3, 0);
    let inputs = [("images", images), ("eps", eps)];
    let build = model.step(5);
    let kl = build.result("kl").unwrap();
    let kl = 5.0 * model.evaluate(&build.graph, &[kl], &inputs)[0].data[0];
    let outputs = ["mean", "log_variance"];
    let [mean, log_variance] = model.look(("reconstruct", 5), outputs, &inputs);

    // Kingma and Welling 2013, appendix B.
    let element = |(m, v): (&f64, &f64)| 1.0 + v - m * m - v.exp();
    let closed = -0.5 * mean.iter().zip(&log_variance).map(element).sum::<f64>();
    // One number is rounded to f32.
    assert!((kl - closed).abs() < 1e-6 * closed, "{kl}, not {closed}");

    // E log q(z) / p(z), where the constants are the same.
    let draws = 20_000;
    let mut sum = 0.0;
    for (number, (m, v)) in mean.iter().zip(&log_variance).enumerate() {
        for eps in normals(draws, number as u32 + 1) {
            let z = m + (0.5 * v).exp() * eps;
            sum += 0.5 * (z * z - eps * eps - v);
        }
    }
    let sampled = sum / draws as f64;
    assert!(
        (sampled - closed).abs() < 0.01 * closed,
        "{sampled}, not {closed}"
    );
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let mut model = Tiny::new("vae", &["model.latent=2", "model.hidden=5"], [2, 3], 2.0);
    let images: Vec<f64> = (0..4 * 6)
        .map(|i| (f64::from(i) * 1.3).cos().abs())
        .collect();
    let inputs = [("images", images), ("eps", normals(4 * 2, 0))];
    let mut names: Vec<String> = model.weights.keys().cloned().collect();
    names.sort();
    assert_eq!(names.len(), 10);
    let networks = model.system.networks().unwrap();
    let system = model.system.clone();
    let mut build = gpugan::systems::Build::pass(&*system, &networks, 4);
    system.build("step", &mut build).unwrap();
    let loss = build.result("loss").unwrap();
    let graph = &mut build.graph;
    let ids: Vec<StateId> = names.iter().map(|n| graph.find_state(n).unwrap()).collect();
    let targets: Vec<_> = ids.iter().map(|&id| graph.state(id)).collect();
    let nodes = graph.gradient(loss, &targets).unwrap();
    let gradients = model.evaluate(graph, &nodes, &inputs);
    let step = 1e-5;
    for (name, gradient) in names.iter().zip(&gradients) {
        let largest = gradient
            .data
            .iter()
            .fold(0.0_f64, |most, x| most.max(x.abs()));
        assert!(largest > 1e-3, "{name}: {largest}");
        for place in 0..gradient.data.len() {
            let mut at = |change: f64| {
                model.weights.get_mut(name).unwrap().data[place] += change;
                let loss = model.evaluate(graph, &[loss], &inputs)[0].data[0];
                model.weights.get_mut(name).unwrap().data[place] -= change;
                loss
            };
            let difference = (at(step) - at(-step)) / (2.0 * step);
            let error = (difference - gradient.data[place]).abs();
            assert!(
                error < 1e-6 * largest,
                "{name}[{place}]: {error} of {largest}"
            );
        }
    }
}

/// `log p(x)` of all images under a model with one latent number, which is integrated
/// over by the trapezoidal rule.
fn exact(model: &Tiny) -> Vec<f64> {
    let (pixels, points, reach) = (model.pixels(), 1601, 8.0);
    let width = 2.0 * reach / f64::from(points - 1);
    let z: Vec<f64> = (0..points).map(|i| width * f64::from(i) - reach).collect();
    let view = ("sample", z.len());
    let [given_z] = model.look(view, ["images"], &[("z", z.clone())]);
    let density = |z: f64| (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
    let probability = |image: &[f64]| -> f64 {
        let parts = z.iter().zip(given_z.chunks(pixels)).map(|(&z, p)| {
            let pixels = image.iter().zip(p);
            let chosen = pixels.map(|(x, p)| if *x > 0.5 { *p } else { 1.0 - p });
            density(z) * width * chosen.product::<f64>()
        });
        parts.sum()
    };
    let images = all_images(pixels);
    images.chunks(pixels).map(|x| probability(x).ln()).collect()
}

#[test]
fn bounds_are_below_the_exact_likelihood_and_near_it_with_many_samples() {
    let bounds = |samples: usize| {
        let samples_key = format!("model.bound_samples={samples}");
        let changes = [
            "model.latent=1",
            "model.hidden=6",
            "model.binary=threshold",
            samples_key.as_str(),
        ];
        let model = Tiny::new("vae", &changes, [2, 2], 2.0);
        // Each image many times, with noise of its own.
        let times = 4000 / samples;
        let images = all_images(4).repeat(times);
        let eps = normals(16 * times * samples, samples as u32);
        let inputs = [("images", images), ("eps", eps)];
        let outputs = ["log_likelihood", "elbo"];
        let [weighted, elbo] = model.look(("likelihood", 16 * times), outputs, &inputs);
        for (weighted, elbo) in weighted.iter().zip(&elbo) {
            assert!(*elbo <= weighted + 1e-9, "{elbo} above {weighted}");
        }
        // Means over the noise, of all images.
        let mean = |values: &[f64]| -> Vec<f64> {
            let of = |image| sum_of(values[image..].iter().step_by(16)) / times as f64;
            (0..16).map(of).collect()
        };
        (mean(&weighted), mean(&elbo), exact(&model))
    };
    let (few, elbo, exact) = bounds(2);
    let sum: f64 = exact.iter().map(|log| log.exp()).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    let (many, ..) = bounds(200);
    let mut gaps = [0.0; 3];
    for image in 0..16 {
        let now = [elbo[image], few[image], many[image]].map(|bound| exact[image] - bound);
        assert!(now[0] > now[1] && now[1] > 0.0, "{now:?} of image {image}");
        assert!(
            now[1] > now[2] && now[2].abs() < 0.05,
            "{now:?} of image {image}"
        );
        for (gap, now) in gaps.iter_mut().zip(now) {
            *gap += now / 16.0;
        }
    }
    assert!(gaps[0] > 0.1 && gaps[2] > -0.005, "{gaps:?}");
}

#[test]
fn a_threshold_makes_pixels_black_or_white() {
    let changes = ["model.latent=2", "model.hidden=5", "model.binary=threshold"];
    let model = Tiny::new("vae", &changes, [2, 3], 2.0);
    let grey: Vec<f64> = (0..6).map(|i| f64::from(i) / 5.0).collect();
    let black_and_white: Vec<f64> = grey.iter().map(|x| f64::from(u8::from(*x > 0.5))).collect();
    let eps = normals(2, 0);
    let loss = |images: &[f64]| {
        let build = model.step(1);
        let loss = build.result("loss").unwrap();
        let inputs = [("images", images.to_vec()), ("eps", eps.clone())];
        model.evaluate(&build.graph, &[loss], &inputs)[0].data[0]
    };
    assert_eq!(loss(&grey), loss(&black_and_white));
}
