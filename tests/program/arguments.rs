//! The command line: what its arguments are read as, its messages and its exit
//! codes.

use std::path::Path;
use std::process::Stdio;

use clap::Parser;
use gpugan::Error;
use gpugan::cli::check::CheckArgs;
use gpugan::cli::sample::{SampleArgs, parse_seeds};
use gpugan::cli::train::TrainArgs;
use gpugan::config::options::{
    Animation, RunFolder, SampleForm, SampleOptions, Start, TrainOptions,
};
use gpugan::config::{Config, Size};
use gpugan::systems::gan::{Settings, Update};
use gpugan::systems::presets::{self, PRESETS};
use gpugan::systems::read_config;

use crate::run::program;
use crate::usage::refused;

/// What `gpugan train` makes of these arguments.
fn train(args: &[&str]) -> Result<TrainOptions, Error> {
    let args = TrainArgs::try_parse_from(["train"].iter().chain(args));
    args.unwrap_or_else(|e| panic!("{e}")).options()
}

const ONE_GRID: SampleForm = SampleForm::Grid {
    columns: None,
    frame: false,
};

/// What `gpugan sample --checkpoint c` makes of these arguments.
fn sample(args: &[&str]) -> Result<SampleOptions, Error> {
    let args = SampleArgs::try_parse_from(["sample", "--checkpoint", "c"].iter().chain(args));
    args.unwrap_or_else(|e| panic!("{e}")).options()
}

fn gpugan(args: &[&str]) -> std::process::Output {
    program().args(args).output().unwrap()
}

/// A configuration without overrides.
fn defaults() -> Config {
    read_config("", []).unwrap()
}

#[test]
fn train_without_options_is_dcgan28_on_fashion() {
    let options = train(&[]).unwrap();
    assert_eq!(options.config, presets::load("dcgan28").unwrap());
    assert_eq!(options.config.data.source, "fashion");
    assert_eq!(options.folder, RunFolder::New("runs".into()));
    assert!(!options.dry_run && !options.dump_plan && !options.quiet);
    assert_eq!((options.init, options.trace), (None, 0));
}

#[test]
fn flags_and_sets_override_the_preset() {
    let options = train(&[
        "--outdir",
        "out",
        "--data",
        "2024",
        "--preset",
        "dcgan32",
        "--batch",
        "32",
        "--steps",
        "7",
        "--tick",
        "3",
        "--snap",
        "2",
        "--seed",
        "5",
        "--mirror",
        "--init",
        "w.safetensors",
        "--adapter",
        "llvm",
        "--trace",
        "4",
        "--dry-run",
        "--dump-plan",
        "--quiet",
        "--set",
        "optimizer.g.lr=1",
        "--set",
        "train.update = simultaneous",
        "--set",
        "data.size=[64,64]",
        "--set",
        "batch=16",
    ])
    .unwrap();
    let config = &options.config;
    // A number is a folder's name too.
    let folder = std::env::current_dir().unwrap().join("2024");
    assert_eq!(config.data.source, folder.to_str().unwrap());
    assert_eq!(config.preset, "dcgan32");
    assert_eq!(config.batch, 16, "--set wins");
    assert_eq!(
        (config.steps, config.train.tick, config.train.snap),
        (7, 3, 2)
    );
    assert_eq!((config.seed, config.data.mirror), (5, true));
    let settings = Settings::of(config).unwrap();
    assert_eq!(settings.g.lr, 1.0, "a float key takes a whole number");
    assert_eq!(settings.d.lr, 2e-4);
    assert_eq!(settings.play.update, Update::Simultaneous);
    assert_eq!(config.data.size, Size::square(64));
    assert_eq!(options.folder, RunFolder::New("out".into()));
    assert_eq!(options.init.as_deref(), Some(Path::new("w.safetensors")));
    assert_eq!(
        (options.adapter.as_deref(), options.trace),
        (Some("llvm"), 4)
    );
    assert!(options.dry_run && options.dump_plan && options.quiet);
}

#[test]
fn wrong_values_are_reported_under_the_option_that_was_typed() {
    refused(train(&["--batch", "0"]), &["--batch 0 is not allowed"]);
    refused(train(&["--seed", "-3"]), &["--seed -3 is not allowed"]);
    refused(train(&["--steps", "ten"]), &["--steps ten is not allowed"]);
    refused(train(&["--data", ""]), &["--data \"\" is not allowed"]);
    refused(
        train(&["--set", "batch"]),
        &["--set batch has no value", "--set key=value"],
    );
    refused(train(&["--set", "preset=mlp"]), &["use --preset mlp"]);
}

#[test]
fn kimg_becomes_steps_rounded_up() {
    for (kimg, batch, steps) in [
        ("0.064", "64", 1),
        ("1", "64", 16),
        ("6.4", "64", 100),
        ("0.001", "64", 1),
        ("25000", "32", 781_250),
    ] {
        let options = train(&["--kimg", kimg, "--batch", batch]).unwrap();
        assert_eq!(options.config.steps, steps, "{kimg}");
    }
    for kimg in ["0", "-1", "nan", "inf", "1e10"] {
        refused(
            train(&["--kimg", kimg]),
            &["--kimg", "use a number from 0.001"],
        );
    }
    assert!(TrainArgs::try_parse_from(["train", "--kimg", "1", "--steps", "2"]).is_err());
    refused(
        train(&["--kimg", "1", "--set", "steps=2"]),
        &["--kimg and --set steps", "leave one of them out"],
    );
}

#[test]
fn resume_takes_the_runs_own_configuration() {
    let outdir = tempfile::tempdir().unwrap();
    let out = outdir.path().to_str().unwrap();
    let nothing = train(&["--outdir", out, "--resume"]);
    refused(nothing, &["no run to resume in", "--resume"]);

    let mut old = presets::load("mlp").unwrap();
    old.seed = 11;
    for (name, config) in [
        ("00002-dcgan28-fashion", defaults()),
        ("00010-mlp-fashion", old.clone()),
        ("00009-mlp-fashion", defaults()),
    ] {
        let run = outdir.path().join(name);
        std::fs::create_dir(&run).unwrap();
        std::fs::write(run.join("config.toml"), config.to_toml()).unwrap();
    }
    // Neither of these is a run.
    std::fs::create_dir(outdir.path().join("00011-mlp-fashion")).unwrap();
    std::fs::create_dir(outdir.path().join("zz")).unwrap();

    let newest = train(&["--outdir", out, "--resume"]).unwrap();
    let newest_path = outdir.path().join("00010-mlp-fashion");
    assert_eq!(newest.folder, RunFolder::Resume(newest_path.clone()));
    assert_eq!(newest.config, old);

    let run = newest_path.to_str().unwrap();
    let longer = train(&[
        "--resume",
        run,
        "--kimg",
        "30000",
        "--tick",
        "9",
        "--snap",
        "8",
        "--adapter",
        "x",
    ])
    .unwrap();
    assert_eq!(longer.config.steps, 300_000, "of the run's batch, 100");
    assert_eq!((longer.config.train.tick, longer.config.train.snap), (9, 8));
    old.steps = 300_000;
    (old.train.tick, old.train.snap) = (9, 8);
    assert_eq!(longer.config, old, "nothing else changes");

    let elsewhere = train(&["--resume", run, "--data", "there", "--set", "train.keep=9"]).unwrap();
    let there = std::env::current_dir().unwrap().join("there");
    assert_eq!(elsewhere.config.data.source, there.to_str().unwrap());
    assert_eq!(elsewhere.config.train.keep, 9);

    for fixed in [
        &["--preset", "mlp"][..],
        &["--batch", "100"],
        &["--seed", "11"],
        &["--mirror"],
        &["--init", "w.safetensors"],
    ] {
        let args: Vec<_> = ["--resume", run].iter().chain(fixed).copied().collect();
        let parts = [
            fixed[0],
            "cannot be changed when a run is resumed",
            "--set, --steps, --kimg",
        ];
        refused(train(&args), &parts);
    }
    refused(train(&["--resume", run, "--steps", "0"]), &["--steps 0"]);
    refused(
        train(&["--resume", out]),
        &["no config.toml", "give the folder of a run"],
    );
}

#[test]
fn sample_reads_seeds_and_forms() {
    assert_eq!(parse_seeds("0-3,70, 5").unwrap(), [0, 1, 2, 3, 70, 5]);
    assert_eq!(parse_seeds("18446744073709551615").unwrap(), [u64::MAX]);
    assert_eq!(parse_seeds("0-65535").unwrap().len(), 65_536);
    for (text, part) in [
        ("", "is not a seed"),
        ("1,,2", "is not a seed"),
        ("-1", "is not a seed"),
        ("a", "is not a seed"),
        ("5-3", "goes down"),
        ("0-65536", "more than 65536 seeds"),
        ("0-65535,1", "more than 65536 seeds"),
        ("0-18446744073709551615", "more than 65536 seeds"),
    ] {
        refused(parse_seeds(text), &["--seeds", part]);
    }
    let grid = sample(&[]).unwrap();
    assert_eq!(grid.start, Start::Seeds(None));
    assert!(grid.classes.is_empty());
    assert_eq!(grid.out, Path::new("samples.png"));
    assert_eq!(grid.form, ONE_GRID);
    assert!(!grid.raw);
    let wide = sample(&["--columns", "3", "--raw", "--out", "a.PNG"]).unwrap();
    assert_eq!(
        (wide.form, wide.raw),
        (
            SampleForm::Grid {
                columns: Some(3),
                frame: false
            },
            true
        )
    );
    for out in ["faces/", "faces", "."] {
        let folder = sample(&["--seeds", "1", "--out", out]).unwrap();
        assert_eq!(folder.form, SampleForm::Folder);
    }
    let walk = sample(&["--walk"]).unwrap();
    assert_eq!(walk.out, Path::new("walk.gif"));
    let of = |frames, fps, format| SampleForm::Walk {
        frames,
        fps,
        format,
    };
    assert_eq!(walk.form, of(16, 12.0, Animation::Gif));
    let walk = sample(&["--out", "w.gif", "--frames", "2", "--seeds", "0,1"]).unwrap();
    assert_eq!(walk.form, of(2, 12.0, Animation::Gif));
    for out in [&["--out", "w.apng"][..], &["--walk", "--out", "w.png"]] {
        let walk = sample(&[out, &["--fps", "30"]].concat()).unwrap();
        assert_eq!(walk.form, of(16, 30.0, Animation::Apng));
    }
    let film = sample(&["--out", "w.MP4"]).unwrap();
    assert_eq!(film.form, of(16, 12.0, Animation::Mp4));
    let latents = sample(&[
        "--mean",
        "3,5,8",
        "--add",
        "1",
        "--subtract",
        "2-4",
        "--out",
        "z.safetensors",
    ]);
    let latents = latents.unwrap();
    assert_eq!(latents.form, SampleForm::Latents);
    assert_eq!(latents.start, Start::Mean(vec![3, 5, 8]));
    assert_eq!((latents.add, latents.subtract), (vec![1], vec![2, 3, 4]));
    let from = sample(&["--z", "z.safetensors", "--frame", "--scale", "4"]).unwrap();
    assert_eq!(from.start, Start::File("z.safetensors".into()));
    assert_eq!(
        (from.form, from.scale),
        (
            SampleForm::Grid {
                columns: None,
                frame: true
            },
            Some(4)
        )
    );

    refused(sample(&["--out", "a.jpg"]), &["a.jpg", ".png, .gif"]);
    refused(
        sample(&["--walk", "--out", "a/"]),
        &["--walk is for a walk"],
    );
    refused(sample(&["--fps", "8"]), &["--fps is for a walk"]);
    refused(
        sample(&["--walk", "--fps", "0"]),
        &["--fps 0", "0.1 to 240"],
    );
    refused(sample(&["--mean", "x"]), &["x", "is not a seed"]);
    refused(
        sample(&["--walk", "--seeds", "4"]),
        &["a walk needs two seeds"],
    );
    refused(sample(&["--frames", "4"]), &["--frames is for a walk"]);
    refused(
        sample(&["--walk", "--columns", "4"]),
        &["--columns is for a grid"],
    );
}

#[test]
fn check_passes_its_arguments_on() {
    let args = ["check", "--adapter", "1", "--json", "--filter", "conv"];
    let options = CheckArgs::try_parse_from(args).unwrap().options();
    assert_eq!(options.adapter.as_deref(), Some("1"));
    assert!(options.json);
    assert_eq!(options.filter.as_deref(), Some("conv"));
    let options = CheckArgs::try_parse_from(["check", "--adapter", " "]).unwrap();
    assert_eq!(options.options().adapter, None, "empty asks for none");
}

#[test]
fn the_program_lists_presets_and_prints_one() {
    let list = gpugan(&["presets"]);
    let text = String::from_utf8(list.stdout).unwrap();
    assert!(list.status.success());
    assert_eq!(text.lines().count(), PRESETS.len());
    for (line, preset) in text.lines().zip(PRESETS) {
        assert!(line.starts_with(preset.name) && line.contains(preset.summary()));
    }
    assert!(text.contains("[default]"));

    let one = gpugan(&["presets", "dcgan32"]);
    let text = String::from_utf8(one.stdout).unwrap();
    assert!(one.status.success());
    let config = presets::load("dcgan32").unwrap();
    assert_eq!(read_config(&text, []).unwrap(), config);
    assert!(
        text.contains("size = 32  # overridden, default 28\n"),
        "{text}"
    );
    assert!(text.contains("# Length of the latent vector z."), "{text}");
    assert!(text.lines().all(|l| !l.starts_with('#') || l.len() <= 80));
}

#[test]
fn the_program_ends_a_mistake_with_one_line_and_code_2() {
    let wrong = gpugan(&["presets", "dcgan23"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(wrong.stdout.is_empty());
    let line = String::from_utf8(wrong.stderr).unwrap();
    assert!(line.starts_with("error: unknown preset dcgan23; did you mean dcgan32?"));
    assert_eq!(line.lines().count(), 1);
    for args in [&["presetz"][..], &["presets", "--no-such"], &[]] {
        assert_eq!(gpugan(args).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(gpugan(&["--help"]).status.code(), Some(0));
    assert_eq!(gpugan(&["--version"]).status.code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    // The read end is closed before the program writes.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = program()
        .args(["presets", "mlp"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_adapter_of_the_environment_has_the_star() {
    let said = |name: &str| {
        let mut command = program();
        let output = command.arg("adapters").env("GPUGAN_ADAPTER", name).output();
        let output = output.expect("the program starts");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let star = |said: &str| said.lines().any(|line| line.starts_with("0*"));
    let (none, first, wrong) = (said(" "), said("0"), said("nonsense"));
    assert!(
        none.contains("* is used unless --adapter says otherwise"),
        "{none}"
    );
    assert!(
        star(&first) && first.contains("as GPUGAN_ADAPTER = 0 asks for"),
        "{first}"
    );
    let is_none = wrong.contains("GPUGAN_ADAPTER = nonsense is none of them");
    assert!(!star(&wrong) && is_none, "{wrong}");
}
