//! Recordings and layouts against `recordings.txt.gz`. After a change on
//! purpose, `GPUGAN_BLESS=1 cargo test --test plain recordings` writes the
//! file anew, and `git diff` of `zcat`ed files shows the difference.

use std::fmt::Write;
use std::io::{Read, Write as _};

use gpugan::config::Config;
use gpugan::ops::Facts;
use gpugan::recording::{Command, Recording};

use crate::preset::{blueprint, changed};

const FILE: &str = "tests/unchanged/recordings.txt.gz";

/// Presets as they are, and with what the others do not use.
fn runs() -> Vec<(String, Config, usize)> {
    let plain = [
        "dcgan28", "dcgan32", "dcgan64", "lsgan", "mlp", "sngan", "toy", "wgan", "wgan-gp",
    ];
    let more = [
        (
            "dcgan28",
            "train.update=simultaneous optimizer.d.kind=rmsprop train.ema_decay=0",
        ),
        (
            "dcgan28",
            "loss.kind=relativistic model.norm_d=layer loss.penalty=r1 loss.penalty_every=4 loss.pack=2 model.minibatch_std=2",
        ),
        (
            "dcgan28",
            "loss.kind=feature-matching loss.augment=all loss.instance_noise=0.1 model.norm_d=group",
        ),
        (
            "dcgan28",
            "train.unroll=3 model.norm_d=layer loss.kind=minimax train.health=false",
        ),
        (
            "dcgan28",
            "loss.penalty=dragan loss.kind=hinge train.update=simultaneous model.norm_d=instance",
        ),
        (
            "lsgan",
            "model.architecture=resnet model.norm_d=layer model.minibatch_features=3 loss.augment=cutout loss.augment_p=0.5 loss.penalty=r2",
        ),
        (
            "sngan",
            "model.architecture=resnet loss.augment=color loss.augment_target=0.6 data.size=[48,64]",
        ),
        (
            "mlp",
            "train.update=alternating optimizer.d.kind=adam optimizer.g.kind=rmsprop",
        ),
        ("srresnet", ""),
        ("srgan32", ""),
        ("srgan32", "loss.pretrain=0 loss.variation=0.1 loss.layer=2"),
        ("dtn", "loss.variation=0.1"),
    ];
    let plain = plain.map(|preset| (preset, ""));
    plain
        .into_iter()
        .chain(more)
        .map(|(preset, changes)| {
            let overrides: Vec<&str> = changes.split_whitespace().collect();
            let config = changed(preset, &overrides);
            let coloured = ["dcgan64", "srresnet", "dtn"].contains(&preset);
            let channels = if coloured { 3 } else { 1 };
            (format!("{preset} {changes}"), config, channels)
        })
        .collect()
}

/// A recording as it prints itself, with a number for each kernel's source.
fn printed(recording: &Recording) -> String {
    let mut text = String::new();
    let lines = recording.to_string();
    for (line, command) in lines.lines().zip(&recording.commands) {
        text += line;
        if let Command::Dispatch(dispatch) = command {
            let mut crc = flate2::Crc::new();
            crc.update(format!("{:?} {:?}", dispatch.kernel, dispatch.bindings).as_bytes());
            write!(text, "  {:08x}", crc.sum()).unwrap();
        }
        text += "\n";
    }
    writeln!(text, "temporaries {:?}", recording.temporaries).unwrap();
    text
}

fn all() -> String {
    let mut text = String::new();
    for (name, config, channels) in runs() {
        for (adapter, facts) in [("software", &Facts::SOFTWARE), ("card", &Facts::CARD)] {
            let blueprint = blueprint(&config, channels, facts);
            let title = format!("{name} on {adapter}");
            writeln!(text, "# {title}: layout").unwrap();
            for (tensor, shape, slice) in blueprint.places.iter() {
                writeln!(text, "{tensor} {shape} {slice}").unwrap();
            }
            let mut recordings: Vec<_> = blueprint.recordings.iter().collect();
            recordings.sort_by_key(|recorded| &recorded.name);
            for recorded in recordings {
                let commands = printed(&recorded.recording);
                write!(text, "# {title}: {}\n{commands}", recorded.name).unwrap();
            }
        }
    }
    text
}

#[test]
fn recordings_and_layouts_are_the_stored_ones() {
    let now = all();
    if std::env::var_os("GPUGAN_BLESS").is_some() {
        let file = std::fs::File::create(FILE).unwrap();
        let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::best());
        out.write_all(now.as_bytes()).unwrap();
        out.finish().unwrap();
        return;
    }
    let mut stored = String::new();
    let file = std::fs::File::open(FILE).unwrap();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut stored)
        .unwrap();
    let mut title = "";
    for (line, (a, b)) in stored.lines().zip(now.lines()).enumerate() {
        if a.starts_with('#') {
            title = a;
        }
        assert_eq!(a, b, "line {} ({title}) differs", line + 1);
    }
    assert_eq!(
        stored.lines().count(),
        now.lines().count(),
        "lines are missing or new"
    );
}

/// The discriminator judges packs, but each image of one is changed by draws of its own.
#[test]
fn images_of_a_pack_are_augmented_one_by_one() {
    let packed = changed("dcgan28", &["batch=8", "loss.pack=2", "loss.augment=color"]);
    let blueprint = blueprint(&packed, 1, &Facts::SOFTWARE);
    let mut counts = Vec::new();
    for recorded in &blueprint.recordings {
        for command in &recorded.recording.commands {
            if let Command::Dispatch(dispatch) = command
                && dispatch.kernel.file == "random.wgsl"
            {
                let mut constants = dispatch.kernel.constants.iter();
                counts.extend(constants.find(|(name, _)| *name == "COUNT"));
            }
        }
    }
    assert!(counts.len() > 4, "{counts:?}");
    assert!(counts.iter().all(|(_, count)| *count == 8), "{counts:?}");
}
