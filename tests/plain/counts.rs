//! Parameters of networks, counted by hand.

use crate::preset::{changed, system};

fn counts(preset: &str, changes: &[&str], channels: usize) -> [usize; 2] {
    let networks = system(&changed(preset, changes), channels).networks();
    let networks = networks.unwrap();
    let counts: Vec<usize> = networks.iter().map(|network| network.count()).collect();
    counts.try_into().unwrap()
}

/// Totals computed by hand from the papers' layer lists.
#[test]
fn full_size_networks_have_the_papers_parameter_counts() {
    assert_eq!(counts("mlp", &[], 1), [2_503_984, 1_231_441]);
    assert_eq!(counts("dcgan64", &[], 3), [3_576_704, 2_765_568]);
    assert_eq!(counts("dcgan28", &[], 1), [234_177, 36_577]);
}

/// Sums by hand. The second is Gulrajani et al.'s for CIFAR-10, but for the
/// biases that batch normalisation takes away.
#[test]
fn residual_networks_have_the_sums_of_their_layers() {
    let resnet = "model.architecture=resnet";
    assert_eq!(counts("wgan-gp", &[resnet], 1), [141_441, 66_209]);
    let cifar = [
        resnet,
        "data.size=32",
        "model.width=128",
        "model.latent=128",
    ];
    assert_eq!(counts("wgan-gp", &cifar, 3), [1_203_331, 1_053_825]);
    let large = [resnet, "data.size=64"];
    assert_eq!(counts("lsgan", &large, 3), [112_547, 86_785]);
}

#[test]
fn minibatch_discrimination_adds_its_projection_and_its_channels() {
    let four = ["model.minibatch_features=4", "model.minibatch_dims=3"];
    let added = 3136 * 12 + 4 * 49;
    assert_eq!(counts("dcgan28", &four, 1), [234_177, 36_577 + added]);
    let resnet = [&four[..], &["model.architecture=resnet"]].concat();
    assert_eq!(
        counts("wgan-gp", &["model.architecture=resnet"], 1)[1],
        66_209
    );
    let added = 32 * 12 + 4;
    // R1, as its gradient has no norm to hold.
    let resnet = [&resnet[..], &["loss.penalty=r1"]].concat();
    assert_eq!(counts("wgan-gp", &resnet, 1)[1], 66_209 + added);
}

#[test]
fn the_small_digits_network_has_its_count() {
    let changes = [
        "data.size=8",
        "model.latent=64",
        "model.hidden_g=[256, 256]",
        "model.maxout_units=120",
    ];
    assert_eq!(counts("mlp", &changes, 1), [98_880, 111_721]);
}
