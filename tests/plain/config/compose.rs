//! What goes together, what does not, and what to use instead.

use gpugan::config::assignment;
use gpugan::systems::presets;

use super::{refused_set, set};
use crate::usage::refused;

#[test]
fn sizes_that_the_architecture_cannot_make_are_refused() {
    for (size, use_instead) in [
        ("28", "data.size = 32"),
        ("8", "data.size = 16"),
        ("[32, 64]", "data.size = 64"),
    ] {
        let set = format!("data.size={size}");
        let first = format!("data.size = {size} does not fit model.stem = conv");
        refused_set(
            "dcgan32",
            &set,
            &[&first, use_instead, "model.stem = linear"],
        );
    }
    let parts = [
        "data.size = 30 does not fit model.stem = linear",
        "data.size = 32",
    ];
    refused_set("dcgan28", "data.size=30", &parts);
    refused_set(
        "dcgan28",
        "data.size=[28, 30]",
        &["[28, 30]", "data.size = [28, 32]"],
    );
    for (preset, size) in [
        ("dcgan28", "[20, 36]"),
        ("dcgan32", "16"),
        ("dcgan32", "128"),
        ("mlp", "[7, 31]"),
    ] {
        set(preset, &format!("data.size={size}")).unwrap();
    }
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    refused_set(
        "mlp",
        "train.d_steps=2",
        &["train.d_steps = 2", "simultaneous", "alternating"],
    );
    refused_set(
        "dcgan28",
        "optimizer.d.lr_min=0.1",
        &["optimizer.d.lr_min = 0.1 is above optimizer.d.lr = 0.001"],
    );
    let stacked = ["data.stack=3", "data.channels=3"].map(|set| assignment(set).unwrap());
    refused(
        presets::load("dcgan28").unwrap().with(stacked),
        &["data.stack = 3", "data.channels = 3", "data.channels = 1"],
    );
    let grey = ["data.stack=3", "data.channels=1"].map(|set| assignment(set).unwrap());
    presets::load("dcgan28").unwrap().with(grey).unwrap();
}

/// Each combination without meaning, with what is wrong and what to use.
#[test]
fn stabilisers_that_exclude_each_other_are_refused() {
    let cases: [(&str, &[&str], &[&str]); 12] = [
        (
            "dcgan28",
            &["loss.penalty=gradient"],
            &[
                "loss.penalty",
                "model.norm_d = batch",
                "model.norm_d = layer",
            ],
        ),
        (
            "dcgan28",
            &["model.spectral_norm=true"],
            &["model.spectral_norm", "model.norm_d = none"],
        ),
        (
            "wgan",
            &["loss.penalty=gradient", "model.norm_d=none"],
            &["loss.weight_clip", "loss.penalty", "use one"],
        ),
        (
            "sngan",
            &["loss.weight_clip=0.01"],
            &["loss.weight_clip", "model.spectral_norm", "use one"],
        ),
        (
            "wgan-gp",
            &["loss.penalty=none"],
            &["unbounded slope", "loss.penalty = gradient"],
        ),
        (
            "wgan-gp",
            &["loss.real_label=0.9"],
            &["loss.real_label = 0.9", "wasserstein"],
        ),
        (
            "dcgan28",
            &["loss.pack=3"],
            &["loss.pack = 3", "batch = 32", "batch = 33"],
        ),
        (
            "dcgan28",
            &["model.minibatch_std=4", "batch=12", "loss.pack=2"],
            &["model.minibatch_std = 4", "6 inputs", "a batch of 16"],
        ),
        (
            "mlp",
            &["model.minibatch_std=4"],
            &["model.minibatch_std", "dcgan"],
        ),
        (
            "dcgan28",
            &["model.norm_d=group", "model.norm_groups=5"],
            &["model.norm_groups = 5", "model.width = 32"],
        ),
        (
            "mlp",
            &["train.unroll=2"],
            &["train.unroll", "simultaneous", "alternating"],
        ),
        (
            "mlp",
            &["loss.penalty=r1", "loss.penalty_every=16"],
            &["loss.penalty_every", "simultaneous", "alternating"],
        ),
    ];
    for (preset, sets, parts) in cases {
        let changes = sets.iter().map(|set| assignment(set).unwrap());
        let result = presets::load(preset).unwrap().with(changes);
        refused(result, parts);
    }
}

/// Each combination without meaning that a single key of a preset makes.
#[test]
fn keys_without_effect_or_meaning_are_refused() {
    let cases: [(&str, &[&str], &[&str]); 24] = [
        (
            "dcgan28",
            &["loss.penalty_every=16"],
            &["loss.penalty_every = 16", "loss.penalty = r1"],
        ),
        (
            "wgan-gp",
            &["loss.penalty_weight=0"],
            &["loss.penalty_weight = 0.0", "loss.penalty = none"],
        ),
        (
            "dcgan28",
            &["loss.instance_noise_steps=9"],
            &["loss.instance_noise_steps = 9", "loss.instance_noise = 0.1"],
        ),
        (
            "wgan",
            &["train.d_steps_boost=4", "train.d_steps_first=25"],
            &["train.d_steps_boost = 4", "train.d_steps = 5"],
        ),
        (
            "mlp",
            &["train.d_steps_first=25"],
            &["train.d_steps_first", "simultaneous", "alternating"],
        ),
        (
            "mlp",
            &["train.d_steps_every=500"],
            &["train.d_steps_every", "simultaneous", "alternating"],
        ),
        (
            "dcgan28",
            &["loss.augment_p=0.5"],
            &["loss.augment_p = 0.5", "loss.augment = all"],
        ),
        (
            "dcgan28",
            &["loss.augment_target=0.6"],
            &["loss.augment_target = 0.6", "loss.augment = all"],
        ),
        (
            "wgan-gp",
            &["loss.augment_target=0.6", "loss.augment=all"],
            &["loss.augment_target", "wasserstein", "loss.augment_p = 0.3"],
        ),
        (
            "dcgan28",
            &[
                "loss.augment_target=0.6",
                "loss.augment=all",
                "loss.kind=relativistic",
            ],
            &["loss.augment_target", "relativistic", "hinge"],
        ),
        (
            "dcgan28",
            &["loss.augment=color", "model.architecture=dense"],
            &["loss.augment = color", "dense", "loss.instance_noise"],
        ),
        (
            "dcgan28",
            &["loss.augment=translation", "data.size=4"],
            &["loss.augment = translation", "data.size = 4", "cutout"],
        ),
        (
            "dcgan28",
            &["model.minibatch_std=1"],
            &["model.minibatch_std = 1", "model.minibatch_std = 4"],
        ),
        (
            "dcgan28",
            &["model.minibatch_features=8", "batch=4", "loss.pack=4"],
            &["model.minibatch_features = 8", "batch = 4", "loss.pack = 4"],
        ),
        (
            "wgan-gp",
            &["model.minibatch_features=8"],
            &[
                "model.minibatch_features",
                "loss.penalty = gradient",
                "model.minibatch_std",
                "loss.penalty = r1",
            ],
        ),
        (
            "mlp",
            &["model.minibatch_features=8"],
            &["mlp", "model.minibatch_features", "resnet or dense"],
        ),
        (
            "dcgan28",
            &["model.architecture=dense", "model.norm_d=layer"],
            &["dense", "model.norm_d", "dcgan or resnet"],
        ),
        (
            "dcgan28",
            &["loss.kind=feature-matching", "model.minibatch_std=4"],
            &["feature-matching", "model.minibatch_std", "non-saturating"],
        ),
        (
            "lsgan",
            &["loss.weight_clip=0.01"],
            &[
                "loss.weight_clip = 0.01",
                "least-squares",
                "model.spectral_norm = true",
            ],
        ),
        (
            "sngan",
            &["model.norm_d=layer"],
            &["model.spectral_norm", "norm_d = layer", "norm_d = none"],
        ),
        (
            "dcgan28",
            &["model.norm_d=instance", "data.size=4"],
            &["model.norm_d = instance", "data.size = 4", "layer"],
        ),
        (
            "dcgan28",
            &[
                "train.unroll=2",
                "loss.kind=minimax",
                "loss.penalty=r1",
                "model.norm_d=layer",
            ],
            &["train.unroll = 2", "r1", "model.spectral_norm = true"],
        ),
        (
            "dcgan28",
            &["train.unroll=2"],
            &["train.unroll = 2", "non-saturating", "loss.kind = minimax"],
        ),
        (
            "wgan-gp",
            &["model.architecture=resnet", "data.size=[14, 32]"],
            &["data.size = [14, 32]", "resnet", "data.size = [16, 32]"],
        ),
    ];
    for (preset, sets, parts) in cases {
        let changes = sets.iter().map(|set| assignment(set).unwrap());
        let result = presets::load(preset).unwrap().with(changes);
        refused(result, parts);
    }
}

/// What only adds up is allowed.
#[test]
fn stabilisers_that_go_together_are_taken() {
    let cases: [(&str, &[&str]); 7] = [
        ("wgan-gp", &["model.minibatch_std=4", "loss.pack=2"]),
        (
            "wgan-gp",
            &["loss.penalty=r1", "model.minibatch_features=8"],
        ),
        ("wgan-gp", &["model.spectral_norm=true"]),
        (
            "wgan-gp",
            &[
                "loss.kind=relativistic",
                "loss.augment=all",
                "loss.augment_p=0.2",
            ],
        ),
        (
            "sngan",
            &[
                "train.unroll=2",
                "loss.kind=minimax",
                "loss.pack=2",
                "loss.augment=color",
                "loss.augment_target=0.6",
            ],
        ),
        (
            "lsgan",
            &["model.minibatch_features=8", "model.minibatch_std=4"],
        ),
        (
            "dcgan28",
            &["model.architecture=dense", "model.minibatch_std=4"],
        ),
    ];
    for (preset, sets) in cases {
        let changes = sets.iter().map(|set| assignment(set).unwrap());
        presets::load(preset).unwrap().with(changes).unwrap();
    }
}
