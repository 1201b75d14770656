//! The configuration: presets, overrides, rules and their messages.

mod compose;
mod earlier;

use std::collections::BTreeMap;

use crate::usage::refused;
use gpugan::Error;
use gpugan::config::{
    Allowed, Config, Data, Key, Keys, Latent, OptimizerKind, Output, Override, Size, Top, Train,
    assignment, parse_file,
};
use gpugan::nets::dcgan::{Dcgan, Stem};
use gpugan::nets::mlp::Mlp;
use gpugan::systems::gan::{Settings, Update};
use gpugan::systems::presets::{self, PRESETS};
use gpugan::systems::{read_config, sections_of};

/// A preset with one key set as by `--set`.
fn set(preset: &str, text: &str) -> Result<Config, Error> {
    presets::load(preset)?.with([assignment(text)?])
}

/// As [`refused`], of a preset with one key set.
fn refused_set(preset: &str, text: &str, parts: &[&str]) {
    refused(set(preset, text), parts);
}

fn from_toml(text: &str) -> Result<Config, Error> {
    read_config(text, [])
}

/// A configuration without overrides.
fn defaults() -> Config {
    from_toml("").unwrap()
}

/// Every key of a configuration with its dotted path, in the order of the file.
fn keys(config: &Config) -> Vec<(String, Key)> {
    let mut sections = vec![Top::at(""), Data::at("data")];
    sections.extend(sections_of(config).unwrap());
    sections.push(Train::at("train"));
    let mut keys = Vec::new();
    for section in sections {
        for key in section.keys {
            let path = [section.path, key.name].join(".");
            keys.push((path.trim_start_matches('.').to_owned(), *key));
        }
    }
    keys
}

#[test]
fn every_preset_reads_back_identical() {
    for preset in PRESETS {
        let config = presets::load(preset.name).unwrap();
        assert_eq!(config.preset, preset.name);
        assert_eq!(from_toml(&config.to_toml()).unwrap(), config);
        let commented = config.to_commented_toml();
        assert_eq!(from_toml(&commented).unwrap(), config);
    }
}

#[test]
fn every_value_reads_back_identical() {
    let sets = [
        "model.architecture=mlp",
        "seed=9223372036854775807",
        "data.size=[28, 36]",
        "data.channels=4",
        "data.source=\"a \\\"b\\\" \\\\ ü\"",
        "optimizer.g.lr=1e-300",
        "optimizer.d.lr=0.1",
        "optimizer.d.beta2=0.9999999000000001",
        "model.hidden_g=[7]",
    ];
    let overrides: Vec<_> = sets.iter().map(|s| assignment(s).unwrap()).collect();
    let config = defaults().with(overrides).unwrap();
    assert_eq!(config.seed, i64::MAX as u64);
    assert_eq!(config.data.source, "a \"b\" \\ ü");
    assert_eq!((config.data.size.height, config.data.size.width), (28, 36));
    assert_eq!(from_toml(&config.to_toml()).unwrap(), config);
    let commented = config.to_commented_toml();
    assert_eq!(from_toml(&commented).unwrap(), config);
}

/// Kernels take numbers in single precision: a divisor must not be 0 there, and what is to
/// stay below 1 must.
#[test]
fn numbers_must_keep_their_range_in_single_precision() {
    for refused in [
        "optimizer.g.eps=0",
        "optimizer.g.eps=1e-60",
        "optimizer.g.beta2=0.9999999999",
        "optimizer.g.lr=1e60",
    ] {
        let set = assignment(refused).unwrap();
        let said = defaults().with([set]).unwrap_err().to_string();
        assert!(said.contains(refused.split('=').next().unwrap()), "{said}");
    }
}

#[test]
fn defaults_obey_their_own_rules() {
    let others = ["mlp", "resnet", "dense"].map(|name| format!("[model]\narchitecture = '{name}'"));
    let texts = ["", "system = 'gan'", "system = 'classifier'"].map(str::to_owned);
    for text in texts.iter().chain(&others) {
        let config = from_toml(text).unwrap();
        let all = parse_file(&config.to_toml()).unwrap();
        // Every key is written, except the two that are not set.
        assert_eq!(all.len(), keys(&config).len() - 2);
        assert_eq!(
            config.with(all).unwrap(),
            config,
            "the written defaults are the defaults"
        );
    }
    assert_eq!(from_toml(&texts[1]).unwrap(), defaults());
    assert_eq!(defaults().system(), "gan");
}

#[test]
fn every_word_that_a_rule_allows_is_one_that_its_type_knows() {
    let mut words = 0;
    let mut seen: Vec<String> = Vec::new();
    let architectures = ["dcgan", "mlp", "resnet", "dense"];
    let architectures =
        architectures.map(|name| set("dcgan28", &format!("model.architecture={name}")));
    let configs = architectures
        .into_iter()
        .chain([presets::load("classifier")]);
    for config in configs.map(Result::unwrap) {
        for (path, key) in keys(&config) {
            let Allowed::Choice(choices) = key.allowed else {
                continue;
            };
            if seen.contains(&path) {
                continue;
            }
            seen.push(path.clone());
            for word in choices {
                let change = assignment(&format!("{path}={word}")).unwrap();
                let mut changes = vec![change];
                if path == "model.stem" && *word == "conv" {
                    changes.push(assignment("data.size=32").unwrap());
                }
                if path == "loss.penalty" {
                    changes.push(assignment("model.norm_d=none").unwrap());
                }
                if *word == "wasserstein" {
                    changes.push(assignment("loss.weight_clip=0.01").unwrap());
                }
                let changed = config.with(changes).unwrap();
                assert!(
                    changed.to_toml().contains(&format!("\"{word}\"")),
                    "{path} = {word}"
                );
                words += 1;
            }
        }
    }
    // 54 of the GAN, 15 of the data, and the classifier's optimiser.
    assert_eq!(words, 54 + 15 + 3 + 2);
}

#[test]
fn presets_hold_only_overrides() {
    let written = |config: &Config| -> BTreeMap<String, String> {
        let changes = parse_file(&config.to_toml()).unwrap().into_iter();
        changes
            .map(|change| (change.key().to_owned(), format!("{change:?}")))
            .collect()
    };
    for preset in PRESETS {
        let overrides = parse_file(preset.text).unwrap();
        assert!(!overrides.is_empty(), "{}", preset.name);
        // What says which keys there are, and so which defaults.
        let (chosen, overrides): (Vec<Override>, Vec<Override>) = overrides
            .into_iter()
            .partition(|change| ["system", "model.architecture"].contains(&change.key()));
        assert!(!overrides.is_empty(), "{}", preset.name);
        for change in &chosen {
            // A system comes with defaults of its own.
            let changed = match change.key() {
                "system" => from_toml(&format!("system = '{}'", change.text().unwrap())).unwrap(),
                _ => defaults().with([change.clone()]).unwrap(),
            };
            let is_default = change.text() == Some("gan");
            assert_eq!(changed == defaults(), is_default, "{}", preset.name);
        }
        let system = presets::load(preset.name).unwrap().system();
        let default = from_toml(&format!("system = '{system}'")).unwrap();
        let default = default.with(chosen).unwrap();
        let defaults = written(&default);
        // Both as a configuration is written, since a preset may write a value
        // otherwise than the default is written.
        let all = written(&presets::load(preset.name).unwrap());
        for change in overrides {
            let name = change.key();
            assert!(all.contains_key(name), "{} {name}", preset.name);
            // Some keys are not set by default.
            assert_ne!(all.get(name), defaults.get(name), "{} {name}", preset.name);
        }
        assert!(preset.summary().len() > 20, "{}", preset.summary());
    }
}

#[test]
fn mlp_is_the_published_one() {
    let config = presets::load("mlp").unwrap();
    assert_eq!(config.batch, 100);
    assert_eq!(config.data.size, Size::square(28));
    let mlp = Settings::of(&config).unwrap();
    let sizes: Mlp = config.own("model").unwrap();
    assert_eq!(mlp.model.architecture, "mlp");
    assert_eq!(mlp.model.latent, 100);
    assert_eq!(mlp.model.latent_distribution, Latent::Uniform);
    assert_eq!(sizes.hidden_g, [1200, 1200]);
    assert_eq!((sizes.maxout_units, sizes.maxout_pieces), (240, 5));
    assert_eq!((sizes.irange_g, sizes.irange_d), (0.05, 0.005));
    assert_eq!(sizes.dropout_input, 0.2);
    assert_eq!(sizes.dropout_hidden, 0.5);
    assert_eq!(mlp.model.output, Output::Sigmoid);
    assert_eq!(mlp.model.output.range(), (0.0, 1.0));
    assert_eq!(mlp.play.update, Update::Simultaneous);
    for optimizer in [&mlp.g, &mlp.d] {
        assert_eq!(optimizer.kind, OptimizerKind::Sgd);
        assert_eq!((optimizer.lr, optimizer.lr_min), (0.1, 1e-6));
        assert_eq!(optimizer.lr_decay, 1.000004);
        assert_eq!((optimizer.momentum, optimizer.momentum_final), (0.5, 0.7));
    }
}

#[test]
fn dcgans_are_the_published_ones() {
    // The quick look learns at five times the published rate.
    for (name, size, stem, latent, width, lr) in [
        ("dcgan28", 28, Stem::Linear, 64, 32, 1e-3),
        ("dcgan32", 32, Stem::Conv, 100, 64, 2e-4),
        ("dcgan64", 64, Stem::Conv, 100, 64, 2e-4),
    ] {
        let config = presets::load(name).unwrap();
        assert_eq!(config.data.size, Size::square(size));
        assert_eq!(config.data.channels, None, "as many as the data has");
        let dcgan = Settings::of(&config).unwrap();
        let sizes: Dcgan = config.own("model").unwrap();
        assert_eq!(dcgan.model.architecture, "dcgan");
        assert_eq!(sizes.stem, stem);
        assert_eq!((dcgan.model.latent, sizes.width), (latent, width));
        assert_eq!(dcgan.model.output.range(), (-1.0, 1.0));
        assert_eq!(dcgan.play.update, Update::Alternating);
        for optimizer in [&dcgan.g, &dcgan.d] {
            assert_eq!(optimizer.kind, OptimizerKind::Adam);
            assert_eq!((optimizer.lr, optimizer.eps), (lr, 1e-8));
            assert_eq!((optimizer.beta1, optimizer.beta2), (0.5, 0.999));
        }
    }
}

#[test]
fn unknown_keys_name_the_nearest() {
    // Of the keys of the preset's architecture.
    for (wrong, nearest) in [
        ("train.emadecay", "train.ema_decay"),
        ("optimizer.d.lrr", "optimizer.d.lr"),
        ("lr", "optimizer.g.lr"),
        ("optimiser.d.beta1", "optimizer.d.beta1"),
        ("train.batch", "batch"),
        ("model.widht", "model.width"),
        ("latent", "model.latent"),
        ("dropout_hiden", "model.dropout_hidden"),
        ("loss.real_labels", "loss.real_label"),
    ] {
        let preset = match nearest {
            "model.dropout_hidden" => "mlp",
            _ => "dcgan28",
        };
        refused_set(
            preset,
            &format!("{wrong}=1"),
            &[
                &format!("unknown key {wrong};"),
                &format!("did you mean {nearest}?"),
            ],
        );
    }
}

#[test]
fn forbidden_values_name_key_value_and_what_is_allowed() {
    for (set, parts) in [
        (
            "batch=0",
            ["batch = 0 is not allowed", "a whole number from 1 to 65536"],
        ),
        ("batch=64.0", ["batch = 64.0", "a whole number from 1"]),
        ("batch=many", ["batch = \"many\"", "a whole number from 1"]),
        ("steps=0", ["steps = 0", "from 1 to 1000000000000"]),
        ("seed=-1", ["seed = -1", "a whole number of at least 0"]),
        (
            "seed=9223372036854775808",
            ["seed = \"9223372036854775808\"", "a whole number"],
        ),
        ("data.source=", ["data.source = \"\"", "use text"]),
        ("data.size=[28]", ["data.size = [28]", "[height, width]"]),
        (
            "data.size=[28, 2000]",
            ["data.size = [28, 2000]", "from 4 to 1024"],
        ),
        ("data.channels=5", ["data.channels = 5", "from 1 to 4"]),
        ("data.stack=0", ["data.stack = 0", "from 1 to 4"]),
        ("data.stack=5", ["data.stack = 5", "from 1 to 4"]),
        (
            "data.mirror=yes",
            ["data.mirror = \"yes\"", "true or false"],
        ),
        (
            "model.architecture=gan",
            ["model.architecture = \"gan\"", "mlp or dcgan"],
        ),
        ("model.latent=0", ["model.latent = 0", "from 1"]),
        ("model.width=0", ["model.width = 0", "from 1 to 4096"]),
        (
            "model.hidden_g=[]",
            ["model.hidden_g = []", "a list of whole numbers"],
        ),
        (
            "model.hidden_g=[10, 0]",
            ["model.hidden_g = [10, 0]", "from 1"],
        ),
        ("model.hidden_g=10", ["model.hidden_g = 10", "a list"]),
        (
            "model.dropout_input=1",
            ["model.dropout_input = 1", "at least 0 and below 1"],
        ),
        (
            "model.dropout_hidden=-0.1",
            ["model.dropout_hidden = -0.1", "at least 0 and below 1"],
        ),
        (
            "model.irange_g=0",
            ["model.irange_g = 0", "a number above 0"],
        ),
        (
            "loss.real_label=1.1",
            ["loss.real_label = 1.1", "above 0 and at most 1"],
        ),
        (
            "loss.real_label=0",
            ["loss.real_label = 0", "above 0 and at most 1"],
        ),
        ("train.d_steps=0", ["train.d_steps = 0", "from 1 to 1000"]),
        ("train.ema_decay=1", ["train.ema_decay = 1", "below 1"]),
        ("train.keep=-1", ["train.keep = -1", "at least 0"]),
        (
            "optimizer.g.lr=-1e-4",
            ["optimizer.g.lr = -0.0001", "a number of at least 0"],
        ),
        (
            "optimizer.g.lr=nan",
            ["optimizer.g.lr = NaN", "a number of at least 0"],
        ),
        (
            "optimizer.g.lr=inf",
            ["optimizer.g.lr = inf", "a number of at least 0"],
        ),
        (
            "optimizer.g.lr=fast",
            ["optimizer.g.lr = \"fast\"", "a number"],
        ),
        (
            "optimizer.d.beta1=1.5",
            ["optimizer.d.beta1 = 1.5", "below 1"],
        ),
        (
            "optimizer.d.lr_decay=0.9",
            ["optimizer.d.lr_decay = 0.9", "at least 1"],
        ),
    ] {
        let (key, _) = set.split_once('=').unwrap();
        let of_mlp = Mlp::KEYS
            .iter()
            .any(|of| key == format!("model.{}", of.name));
        refused_set(if of_mlp { "mlp" } else { "dcgan28" }, set, &parts);
    }
}

#[test]
fn keys_of_other_architectures_say_where_they_belong() {
    refused_set(
        "dcgan28",
        "model.maxout_units=3",
        &[
            "model.architecture = dcgan does not have the key model.maxout_units;",
            "leave model.maxout_units out or use model.architecture = mlp",
        ],
    );
    refused_set(
        "mlp",
        "model.width=3",
        &[
            "model.architecture = mlp does not have the key model.width;",
            "dcgan or resnet",
        ],
    );
    refused(
        from_toml("system = 'gan'\n[model]\nmaxout_units = 3"),
        &["model.architecture = dcgan does not have the key model.maxout_units"],
    );
    refused(
        from_toml("system = 'tree'"),
        &["system = tree is unknown", "gan or classifier"],
    );
}

#[test]
fn presets_can_be_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        presets::load(path.to_str().unwrap())
    };
    let mine = load("batch = 8\n[optimizer.g]\nlr = 1\n").unwrap();
    assert_eq!((mine.preset.as_str(), mine.batch), ("mine", 8));
    assert_eq!(Settings::of(&mine).unwrap().g.lr, 1.0);
    assert_eq!(load("preset = \"named\"").unwrap().preset, "named");

    // A run's own config.toml is a preset that is that run.
    let run = presets::load("mlp").unwrap();
    assert_eq!(load(&run.to_toml()).unwrap(), run);

    refused(
        load("batch = 8\nbatch = 9"),
        &["mine.toml: not TOML in line 2"],
    );
    refused(
        load("[train]\ntik = 3"),
        &["mine.toml: unknown key train.tik", "train.tick"],
    );
    refused(load("[extra]"), &["unknown key extra"]);
    refused(load("data = 3"), &["unknown key data"]);
    refused(load("batch.size = 3"), &["unknown key batch.size"]);
    refused(load("batch = 0"), &["mine.toml: batch = 0 is not allowed"]);
    refused(
        presets::load("no/such.toml"),
        &["cannot read no/such.toml", "dcgan28"],
    );
    refused(
        presets::load("dcgan23"),
        &[
            "unknown preset dcgan23",
            "did you mean dcgan32?",
            "dcgan28, dcgan32, dcgan64",
        ],
    );
}

/// 100 critic steps in the first 25 and in every 500th, else 5.
#[test]
fn discriminator_steps_follow_their_schedule() {
    let sets = ["train.d_steps_first=25", "train.d_steps_every=500"];
    let changes = sets.map(|set| assignment(set).unwrap());
    let play = |config: &Config| Settings::of(config).unwrap().play;
    let train = play(&presets::load("wgan").unwrap().with(changes).unwrap());
    let at = [0, 24, 25, 499, 500, 501, 1000].map(|step| train.d_steps_at(step));
    assert_eq!(at, [100, 100, 5, 5, 100, 5, 100]);
    let train = play(&presets::load("wgan").unwrap());
    assert_eq!([0, 500].map(|step| train.d_steps_at(step)), [5, 5]);
}

#[test]
fn instance_noise_falls_to_nothing() {
    let config = set("dcgan28", "loss.instance_noise=0.2").unwrap();
    let loss = |config: &Config| Settings::of(config).unwrap().loss;
    assert_eq!(loss(&config).noise(1_000_000), 0.2);
    let config = config
        .with([assignment("loss.instance_noise_steps=100").unwrap()])
        .unwrap();
    let at = [0, 50, 100, 1000].map(|step| loss(&config).noise(step));
    assert_eq!(at, [0.2, 0.1, 0.0, 0.0]);
}
