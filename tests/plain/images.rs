//! Systems with networks from a file, and those with stages: what they are for which
//! data, without a device.

use std::path::Path;

use gpugan::classify::About;
use gpugan::config::Config;
use gpugan::data::Sides;
use gpugan::nets;
use gpugan::nn::Init;
use gpugan::store::checkpoint::Checkpoint;
use gpugan::systems::{self, Fresh, Given, Network, Stage};

use crate::preset::{changed, system};

/// What is known of data of these sides where weights are drawn anew.
fn fresh(image: [usize; 3], sides: Sides, stage: usize) -> Given<'static> {
    Given {
        sides,
        stage,
        fresh: Some(Fresh {
            mean_image: &|| Ok(Vec::new()),
        }),
        ..Given::images(image)
    }
}

const GREY: [usize; 3] = [1, 32, 32];
const SMALL: Sides = Sides::Paired([1, 8, 8]);

fn refused(config: &Config, given: &Given<'_>) -> String {
    let error = systems::open(config, given).err().expect("a refusal");
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

fn count(networks: &[Network], name: &str) -> usize {
    let network = networks.iter().find(|network| network.name == name);
    network.unwrap().count()
}

/// A file of a classifier whose element number `i` of each tensor is `i`.
fn classifier(path: &Path, network: nets::Classifier) {
    let mut file = Checkpoint::default();
    let trained = changed("classifier", &[&format!("model.width={}", network.width)]);
    let classes: Vec<String> = (0..network.classes)
        .map(|class| class.to_string())
        .collect();
    let given = Given {
        classes: &classes,
        ..Given::images(network.image)
    };
    let system = systems::open(&trained, &given).unwrap();
    for tensor in &system.networks().unwrap()[0].tensors {
        let values = (0..tensor.shape.numel()).map(|i| i as f32).collect();
        let tensor = (tensor.name.clone(), (tensor.shape.to_vec(), values));
        file.tensors.extend([tensor]);
    }
    let about = About {
        features: "test".into(),
        data: "test".into(),
        classes,
        accuracy: 0.0,
        tested_on: String::new(),
        network,
    };
    file.metadata = about.metadata().into();
    file.save(path).unwrap();
}

fn with_file(preset: &str, path: &Path, more: &[&str]) -> Config {
    let file = format!("loss.features={}", path.display());
    changed(preset, &[&[&*file], more].concat())
}

/// The paper's, with convolutions without biases before batch normalisation; the small
/// ones by hand, seven slopes among them.
#[test]
fn enlarging_networks_have_their_counts() {
    let networks = system(&changed("srresnet", &[]), 3).networks().unwrap();
    assert_eq!(networks.len(), 1);
    assert_eq!(count(&networks, "G"), 1_547_350);
    let game = system(&changed("srgan", &["loss.pretrain=0"]), 3);
    let networks = game.networks().unwrap();
    assert_eq!(count(&networks, "G"), 1_547_350);
    assert_eq!(count(&networks, "D"), 23_563_649);
    let small = changed("srgan32", &["loss.pretrain=0", "data.channels=3"]);
    let networks = system(&small, 3).networks().unwrap();
    assert_eq!(
        [count(&networks, "G"), count(&networks, "D")],
        [100_443 + 7, 203_617]
    );
    // 5x5 convolutions and normalisations to 32 and 64 channels.
    assert_eq!(count(&networks, "F"), 75 * 32 + 64 + 800 * 64 + 128);
    assert!(networks[2].moves.is_none());
}

#[test]
fn stages_follow_each_other() {
    let config = changed("srgan32", &[]);
    let of = |stage| {
        let given = Given {
            stage,
            ..Given::presumed(&config, 1)
        };
        systems::open(&config, &given).unwrap()
    };
    let stages = [0, 1].map(|stage| of(stage).stage());
    assert_eq!(
        stages,
        [(0, Some(2000)), (2000, None)].map(|(first, end)| Stage { first, end })
    );
    let names = |stage| {
        let networks = of(stage).networks().unwrap();
        networks
            .iter()
            .map(|network| network.name)
            .collect::<Vec<_>>()
    };
    assert_eq!([names(0), names(1)], [vec!["G"], vec!["G", "D", "F"]]);
    // Without pre-training there is one stage, and it is the game.
    let alone = system(&changed("srgan32", &["loss.pretrain=0"]), 1);
    assert_eq!(alone.stage(), Stage::default());
    assert_eq!(alone.schedule(&Default::default()), ["g", "d"]);
}

#[test]
fn features_are_read_once_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let network = nets::Classifier {
        width: 4,
        ..nets::Classifier::new([1, 20, 20], 3)
    };
    classifier(&path, network);
    let config = with_file("srgan32", &path, &[]);
    let opened = systems::open(&config, &fresh(GREY, SMALL, 1)).unwrap();
    let networks = opened.networks().unwrap();
    // 5x5 to 4 channels and to 8.
    assert_eq!(count(&networks, "F"), 25 * 4 + 8 + 100 * 8 + 16);
    let weight = &networks[2].tensors[0];
    assert_eq!(weight.name, "F.main.0.weight");
    let Init::Values(values) = &weight.init else {
        panic!("{:?}", weight.init);
    };
    assert_eq!(values[17], 17.0);

    // A checkpoint needs no file.
    std::fs::remove_file(&path).unwrap();
    let kept = opened.kept();
    let given = Given {
        sides: SMALL,
        stage: 1,
        kept: &kept,
        ..Given::images(GREY)
    };
    let again = systems::open(&config, &given).unwrap();
    let shapes = |networks: &[Network]| -> Vec<_> {
        let tensors = networks.iter().flat_map(|network| network.tensors.clone());
        tensors.map(|tensor| (tensor.name, tensor.shape)).collect()
    };
    assert_eq!(shapes(&networks), shapes(&again.networks().unwrap()));
    assert_eq!(again.kept(), kept);
    // One that says what no network can be does not pass.
    for kept in [
        "nonsense".to_owned(),
        kept.replace("\"width\":4", "\"width\":400000"),
    ] {
        let said = refused(
            &config,
            &Given {
                kept: &kept,
                ..given
            },
        );
        assert!(said.contains("describe a possible network"), "{said}");
    }
    // A new run does.
    let error = systems::open(&config, &fresh(GREY, SMALL, 1)).err();
    assert!(error.unwrap().to_string().contains("features.safetensors"));
}

/// Small convolutions under torchvision's names.
#[test]
fn convolutions_of_a_users_file_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vgg.safetensors");
    let mut file = Checkpoint::default();
    for (place, inputs, outputs) in [(0, 3, 4), (2, 4, 4), (5, 4, 8)] {
        for (name, shape) in [
            ("weight", vec![outputs, inputs, 3, 3]),
            ("bias", vec![outputs]),
        ] {
            let values = vec![0.5; shape.iter().product()];
            let name = format!("features.{place}.{name}");
            file.tensors.insert(name, (shape, values));
        }
    }
    file.tensors
        .insert("classifier.0.weight".into(), (vec![1, 1], vec![0.0]));
    file.save(&path).unwrap();
    let features = |more: &[&str]| {
        let config = with_file("srgan32", &path, more);
        // Grey images are shown as colours.
        let opened = systems::open(&config, &fresh(GREY, SMALL, 1)).unwrap();
        count(&opened.networks().unwrap(), "F")
    };
    let first = 27 * 4 + 4 + 36 * 4 + 4;
    assert_eq!(features(&[]), first + 36 * 8 + 8);
    assert_eq!(features(&["loss.layer=3"]), first);
    let beyond = with_file("srgan32", &path, &["loss.layer=9"]);
    let said = refused(&beyond, &fresh(GREY, SMALL, 1));
    assert!(
        said.contains("no convolutions that end with a layer 9"),
        "{said}"
    );
    // What it sees has no places to draw of.
    let transfer = with_file("dtn", &path, &[]);
    let said = refused(
        &transfer,
        &fresh([3, 32, 32], Sides::Unpaired([3, 32, 32]), 0),
    );
    assert!(said.contains("gpugan classify"), "{said}");
}

#[test]
fn what_does_not_fit_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let network = nets::Classifier::new([3, 20, 20], 3);
    classifier(&path, network);
    let srgan = |more: &[&str]| with_file("srgan32", &path, more);
    let unpaired = Sides::Unpaired([3, 32, 32]);
    for (config, given, wanted) in [
        (
            changed("srgan32", &[]),
            fresh(GREY, SMALL, 1),
            "gpugan classify --data fashion --size 32 --channels 1 --out",
        ),
        (
            changed("dtn", &[]),
            fresh([3, 32, 32], unpaired, 0),
            "gpugan classify",
        ),
        (
            changed("dtn", &[]),
            fresh(GREY, SMALL, 0),
            "data.layout = unpaired",
        ),
        (
            changed("srgan32", &[]),
            fresh(GREY, Sides::Images, 0),
            "data.input = small",
        ),
        // 30 pixels are not four times 8.
        (
            changed("srgan32", &["data.size=30"]),
            fresh([1, 30, 30], SMALL, 0),
            "multiples of 4",
        ),
        (
            srgan(&["loss.layer=3"]),
            fresh(GREY, SMALL, 1),
            "use 2 or 5",
        ),
        (
            srgan(&[]),
            fresh([2, 32, 32], Sides::Paired([2, 8, 8]), 1),
            "takes images of 3 channels, but these have 2",
        ),
        (
            with_file("dtn", &path, &[]),
            fresh([3, 32, 32], unpaired, 0),
            "data.size = 20",
        ),
        (
            with_file("dtn", &path, &["data.size=[28, 32]"]),
            fresh([3, 28, 32], unpaired, 0),
            "4, 5, 6 or 7 times a power of two",
        ),
        (
            with_file("srgan32", Path::new("/dev/null"), &[]),
            fresh(GREY, SMALL, 1),
            "/dev/null is a pipe or a device",
        ),
    ] {
        let said = refused(&config, &given);
        assert!(said.contains(wanted), "{said}, without {wanted}");
    }
    let nothing = ["loss.content=0", "loss.adversarial=0"]
        .map(|text| gpugan::config::assignment(text).unwrap());
    let said = changed("srgan32", &[])
        .with(nothing)
        .unwrap_err()
        .to_string();
    assert!(said.contains("loss.pixel = 1"), "{said}");
}
