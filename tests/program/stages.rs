//! A run of two stages, stopped before, at and after the boundary between them.

use std::path::Path;

use gpugan::store::checkpoint::{self, Checkpoint};

use crate::run::{gpugan, run_folders};
use gpugan::systems::presets;

/// Least squares for 3 steps, then the game.
const SMALL: [&str; 21] = [
    "--preset",
    "srgan32",
    "--batch",
    "4",
    "--set",
    "model.width=4",
    "--set",
    "model.blocks=1",
    "--set",
    "model.d_width=2",
    "--set",
    "model.d_stages=1",
    "--set",
    "model.d_units=4",
    "--set",
    "loss.pretrain=3",
    "--set",
    "train.health=false",
    "--quiet",
    "--tick",
    "1",
];

fn last(outdir: &Path) -> Checkpoint {
    let folder = run_folders(outdir).pop().unwrap();
    let (_, path) = checkpoint::list(&folder).unwrap().pop().unwrap();
    Checkpoint::load(&path).unwrap()
}

#[test]
fn a_run_goes_on_across_the_boundary_as_if_it_had_not_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("features.safetensors");
    std::fs::copy("tests/torch/fixtures/features.safetensors", &file).unwrap();
    let features = format!("loss.features={}", file.display());
    let [whole, broken] = ["whole", "broken"].map(|name| folder.path().join(name));
    let train = |outdir: &Path, steps: &str, resumed: bool| {
        let outdir = outdir.to_str().unwrap().to_owned();
        if !resumed {
            let set = ["--set", &*features, "--steps", steps];
            let new = ["train", "--outdir", &*outdir];
            return gpugan(&[&new, &SMALL[..], &set].concat()).success();
        }
        let run = run_folders(Path::new(&outdir)).pop().unwrap();
        let run = run.to_str().unwrap();
        gpugan(&["train", "--quiet", "--resume", run, "--steps", steps]).success();
    };
    train(&whole, "6", false);
    train(&broken, "2", false);
    train(&broken, "3", true);
    // As if it had been killed behind its checkpoint.
    let stage = run_folders(&broken)
        .pop()
        .unwrap()
        .join("stage-1.safetensors");
    std::fs::remove_file(&stage).unwrap();
    assert!(!last(&broken).tensors.contains_key("D.features.0.weight"));
    train(&broken, "5", true);
    assert!(stage.is_file());
    // The file is needed no more.
    std::fs::remove_file(&file).unwrap();
    train(&broken, "6", true);

    let [whole, broken] = [whole, broken].map(|outdir| last(&outdir));
    for entry in ["step", "counters", "position", "stage", "kept"] {
        assert_eq!(whole.metadata[entry], broken.metadata[entry], "{entry}");
    }
    assert_eq!(whole.metadata["stage"], "1");
    assert!(whole.tensors.keys().eq(broken.tensors.keys()));
    for (name, (_, values)) in &whole.tensors {
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(values), bits(&broken.tensors[name].1), "{name}");
    }
    // What G learned in the first stage went on, and F is what the file gave.
    let features = Checkpoint::load(Path::new("tests/torch/fixtures/features.safetensors"));
    let given = features.unwrap().tensors["C.main.3.weight"].1.clone();
    assert_eq!(whole.tensors["F.main.3.weight"].1, given);
}

/// The game fails before its first checkpoint, so the run goes back into the stage
/// before it; what has to move less is the game.
#[test]
fn a_rollback_into_an_earlier_stage_changes_the_rates_of_the_one_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let outdir = folder.path().to_str().unwrap();
    let steep = [
        "--set",
        "loss.content=0",
        "--set",
        "loss.pixel=1",
        "--set",
        "train.health=true",
        "--set",
        "optimizer.d.lr=1e30",
        "--set",
        "optimizer.g.lr=1e30",
        "--on-collapse",
        "rollback",
        "--steps",
        "9",
    ];
    let new = ["train", "--outdir", outdir];
    let ended = gpugan(&[&new, &SMALL[..], &steep].concat());
    assert_eq!(ended.code(), Some(3), "{}", ended.said());
    let run = run_folders(folder.path()).pop().unwrap();
    let log = std::fs::read_to_string(run.join("log.txt")).unwrap();
    assert!(log.contains("rollback 1 of 3: from step "), "{log}");
    let config = presets::read(&run.join("config.toml")).unwrap();
    let rate = |key: &str| config.value(key).unwrap().as_float().unwrap();
    assert!(
        rate("optimizer.g.lr") < 1e30 && rate("optimizer.d.lr") < 1e30,
        "{log}"
    );
    let asked = presets::read(&run.join("asked.toml")).unwrap();
    let before = asked.value("optimizer.pretrain.lr").unwrap();
    assert_eq!(config.value("optimizer.pretrain.lr").unwrap(), before);
}
