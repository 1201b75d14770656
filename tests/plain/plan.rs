//! Plans of whole models, without a GPU.

use gpugan::config::Config;
use gpugan::ops::Facts;
use gpugan::recording::{Access, Command, Storage};
use gpugan::run::blueprint::{Blueprint, Recorded};

use crate::preset::changed;

/// The presets as they are used, and smaller.
fn runs() -> Vec<(Config, usize)> {
    vec![
        (changed("mlp", &[]), 1),
        (changed("dcgan28", &[]), 1),
        (changed("dcgan32", &[]), 3),
        (
            changed(
                "dcgan32",
                &["model.width=16", "batch=16", "train.ema_decay=0"],
            ),
            1,
        ),
        (changed("dcgan64", &[]), 3),
        (
            changed(
                "dcgan28",
                &["train.update=simultaneous", "optimizer.d.kind=rmsprop"],
            ),
            4,
        ),
        (
            changed(
                "wgan-gp",
                &[
                    "model.architecture=resnet",
                    "loss.augment=all",
                    "loss.augment_p=0.5",
                ],
            ),
            1,
        ),
        (
            changed(
                "sngan",
                &[
                    "model.architecture=resnet",
                    "model.minibatch_features=8",
                    "loss.augment=color",
                    "loss.augment_target=0.6",
                ],
            ),
            3,
        ),
    ]
}

fn blueprint(config: &Config, channels: usize, software: bool) -> Blueprint {
    let facts = match software {
        true => &Facts::SOFTWARE,
        false => &Facts::CARD,
    };
    crate::preset::blueprint(config, channels, facts)
}

#[test]
fn activations_take_at_most_a_fifth_more_than_what_lives_at_once() {
    for (config, channels) in runs() {
        for software in [true, false] {
            let memory = blueprint(&config, channels, software).memory;
            let ratio = memory.activations as f64 / memory.live as f64;
            println!("{}: {ratio:.3} of {} bytes", config.preset, memory.live);
            assert!((1.0..=1.2).contains(&ratio), "{}: {ratio}", config.preset);
        }
    }
}

/// Every temporary that is read was written before, and holds a value of the size
/// that is read. That it is the value that is meant, the runs on an adapter show.
#[test]
fn every_temporary_is_written_before_it_is_read() {
    for (config, channels) in runs() {
        for Recorded {
            name, recording, ..
        } in blueprint(&config, channels, true).recordings
        {
            let mut written = vec![0; recording.temporaries.len()];
            for command in &recording.commands {
                let Command::Dispatch(dispatch) = command else {
                    continue;
                };
                for binding in &dispatch.bindings {
                    let Storage::Temporary(index) = binding.slice.storage else {
                        continue;
                    };
                    // Parts of a value are bound to its end.
                    let end = binding.slice.offset + binding.slice.len;
                    assert!(
                        end <= recording.temporaries[index],
                        "{name}: {}",
                        dispatch.label
                    );
                    match binding.access {
                        Access::Write => written[index] = end,
                        Access::Read => {
                            assert_eq!(
                                written[index], end,
                                "{name}: {} reads another value",
                                dispatch.label
                            );
                        }
                    }
                }
            }
        }
    }
}

/// As the comments in the presets say.
#[test]
fn the_critics_presets_fit_all_sizes_and_bodies() {
    for preset in ["wgan", "wgan-gp", "sngan", "lsgan"] {
        for size in [28, 32, 64] {
            let size_is = format!("data.size={size}");
            let stem = if size == 28 {
                "model.stem=linear"
            } else {
                "model.stem=conv"
            };
            for body in [stem, "model.architecture=resnet"] {
                let config = changed(preset, &[&size_is, body]);
                for (channels, software) in [(1, true), (3, false)] {
                    let plan = blueprint(&config, channels, software);
                    let count = |network: usize| plan.networks[network].tensors.len();
                    assert!(count(0) > 4 && count(1) > 4, "{preset} {size} {body}");
                }
            }
        }
    }
}

#[test]
fn plans_are_the_same_every_time_and_can_be_read() {
    let (config, channels) = (changed("dcgan28", &[]), 1);
    let [first, second] = [(); 2].map(|()| blueprint(&config, channels, true));
    assert_eq!(first.recordings, second.recordings);
    let text = first.recording("update D").unwrap().to_string();
    assert_eq!(
        text.lines().count(),
        1,
        "all parameters of a network in one dispatch: {text}"
    );
    assert!(text.contains("optimizer/"), "{text}");
}

/// What a map makes lies at once as the convolution behind it wants it.
#[test]
fn maps_write_what_convolutions_read() {
    let blueprint = blueprint(&changed("dcgan28", &[]), 1, true);
    let recording = blueprint.recording("g").unwrap();
    let labels: Vec<&str> = recording.dispatches().map(|d| &*d.label).collect();
    let copies: Vec<&str> = labels
        .iter()
        .copied()
        .filter(|label| label.starts_with("copy") && label.ends_with("[0, 2, 3, 1]"))
        .collect();
    assert!(copies.is_empty(), "{copies:?}");
    assert!(
        labels.iter().any(|label| label.starts_with("Conv2d")),
        "{labels:?}"
    );
}

/// The generator's step needs no gradient of a discriminator weight, the
/// discriminator's none of its real images.
#[test]
fn only_needed_gradients_are_computed() {
    let blueprint = blueprint(&changed("dcgan64", &[]), 3, true);
    let count = |program: &str, what: &str| {
        let recording = blueprint.recording(program).unwrap();
        recording
            .dispatches()
            // A transposed convolution may take two launches.
            .filter(|dispatch| !dispatch.label.ends_with("(products)"))
            // Of one in parts, the first stands for all.
            .filter(|dispatch| {
                !dispatch.label.contains("(part ") || dispatch.label.contains("(part 1 of")
            })
            .filter(|dispatch| dispatch.label.starts_with(what))
            .count()
    };
    // Five layers each; G's first sees no gradient of its latents.
    assert_eq!(count("g", "ConvWeightGrad"), 5, "of G alone");
    assert_eq!(
        count("d", "ConvWeightGrad"),
        10,
        "of D on real and on fake images"
    );
    assert_eq!(
        count("d", "ConvTranspose2d"),
        5 + 2 * 4,
        "G, and D's inner layers back"
    );
    assert_eq!(
        count("g", "ConvTranspose2d"),
        5 + 5,
        "G, and D back to its images"
    );
}
