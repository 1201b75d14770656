//! `gpugan apply` on runs of two steps.

use std::fs;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Stdio;
#[cfg(unix)]
use std::time::{Duration, Instant};

use image::{GrayImage, Luma, Rgb, RgbImage};

use crate::run::{Ended, gpugan, run_folders, train};
#[cfg(target_os = "linux")]
use crate::run::{has_small_disks, on_a_small_disk};
#[cfg(unix)]
use crate::run::{interrupt, program};

const CYCLEGAN: [&str; 14] = [
    "--preset",
    "cyclegan32",
    "--set",
    "model.width=4",
    "--set",
    "model.blocks=1",
    "--set",
    "model.d_width=4",
    "--set",
    "loss.pool=0",
    "--set",
    "data.size=16",
    "--set",
    "train.health=false",
];
const PIX2PIX: [&str; 16] = [
    "--preset",
    "pix2pix32",
    "--set",
    "model.width=4",
    "--set",
    "model.d_width=4",
    "--set",
    "model.d_layers=1",
    "--set",
    "data.size=16",
    "--set",
    "train.health=false",
    // With dropout, so that a seed makes a difference.
    "--set",
    "model.at_test=as-trained",
    "--batch",
    "2",
];

/// The folder of a run of two steps.
fn trained(outdir: &Path, arguments: &[&str]) -> PathBuf {
    let begin = ["train", "--outdir", text(outdir), "--steps", "2", "--quiet"];
    gpugan(&[&begin, arguments].concat()).success();
    run_folders(outdir).remove(0)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder has a plain name")
}

fn apply(run: &Path, arguments: &[&str]) -> Ended {
    gpugan(&[&["apply", "--checkpoint", text(run)], arguments].concat())
}

/// Writes a coloured picture of a size.
fn picture(path: &Path, [width, height]: [u32; 2]) {
    fs::create_dir_all(path.parent().expect("it is in a folder")).unwrap();
    let colour = |x: u32, y: u32| Rgb([(x * 9 % 256) as u8, (y * 7 % 256) as u8, 90]);
    RgbImage::from_fn(width, height, colour).save(path).unwrap();
}

fn size(path: &Path) -> (u32, u32) {
    image::image_dimensions(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn assert_refused(ended: &Ended, parts: &[&str]) {
    let said = ended.said();
    assert_eq!(ended.code(), Some(2), "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

#[test]
fn pictures_of_any_size_go_either_way() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path(), &CYCLEGAN);
    let at = |name: &str| folder.path().join(name);
    picture(&at("photos/a.png"), [19, 13]);
    picture(&at("photos/sub/b.jpg"), [24, 16]);
    picture(&at("more/a.png"), [16, 16]);
    GrayImage::from_pixel(5, 30, Luma([77]))
        .save(at("photos/grey.png"))
        .unwrap();
    fs::write(at("photos/broken.png"), b"no picture at all").unwrap();

    let (out, sheet) = (at("out"), at("sheet.png"));
    let (photos, more) = (at("photos"), at("more/*.png"));
    let ended = apply(
        &run,
        &[
            text(&photos),
            text(&more),
            "--out",
            text(&out),
            "--compare",
            text(&sheet),
            "--direction",
            "b-to-a",
        ],
    );
    let printed = ended.printed();
    ended.success();
    for (name, wanted) in [
        ("a.png", (19, 13)),
        ("sub/b.png", (24, 16)),
        ("a-2.png", (16, 16)),
        ("grey.png", (5, 30)),
    ] {
        assert_eq!(size(&out.join(name)), wanted, "{name}");
    }
    assert!(!out.join("broken.png").exists());
    for said in [
        "left out: ",
        "broken.png",
        "a.png is written as a-2.png, because its name is taken",
        "4 images through",
    ] {
        assert!(printed.contains(said), "`{said}` is not in: {printed}");
    }
    assert!(size(&sheet).0 > 128);

    // The other way is another network.
    let other = at("other.png");
    let one = at("photos/a.png");
    apply(&run, &[text(&one), "--out", text(&other), "--quiet"]).success();
    assert_eq!(size(&other), (19, 13));
    assert_ne!(
        fs::read(&other).unwrap(),
        fs::read(out.join("a.png")).unwrap()
    );

    // What should come out: the outputs themselves, but one of another size.
    fs::remove_file(out.join("grey.png")).unwrap();
    picture(&out.join("grey.png"), [6, 30]);
    let scored = at("scored");
    let ended = apply(
        &run,
        &[
            text(&photos),
            "--direction",
            "b-to-a",
            "--truth",
            text(&out),
            "--out",
            text(&scored),
        ],
    );
    let printed = ended.printed();
    ended.success();
    assert!(
        printed.contains("PSNR inf dB, SSIM 1.0000 (all channels, mean of 2 images)"),
        "{printed}"
    );
    assert!(
        printed.contains("grey.png: is not compared: its output is 5x30"),
        "{printed}"
    );
    let table = fs::read_to_string(scored.join("scores.csv")).unwrap();
    assert!(
        table.starts_with("file,psnr,ssim\na.png,inf,1.000000\n"),
        "{table}"
    );

    // One has no place beside its output in a sheet, the other in no picture at all.
    picture(&at("large/long.png"), [20_000, 4]);
    picture(&at("large/longer.png"), [33_000, 4]);
    picture(&at("large/small.png"), [16, 16]);
    let (large, out, sheet) = (at("large"), at("long"), at("long/sheets/long.png"));
    let ended = apply(
        &run,
        &[text(&large), "--out", text(&out), "--compare", text(&sheet)],
    );
    let printed = ended.printed();
    ended.success();
    assert_eq!(size(&out.join("long.png")), (20_000, 4));
    assert_eq!(size(&out.join("small.png")), (16, 16));
    assert!(!out.join("longer.png").exists());
    for said in [
        "long.png: is left out of the comparison: ",
        "longer.png: images of shape [1, 3, 4, 33000] cannot be drawn",
        "long.png, 1 of 2",
        "2 images through",
    ] {
        assert!(printed.contains(said), "`{said}` is not in: {printed}");
    }

    assert_refused(
        &apply(&run, &[text(&one), "--direction", "a-to-c"]),
        &["a-to-c", "a-to-b or b-to-a"],
    );
    assert_refused(
        &apply(&run, &[text(&photos), "--out", text(&other)]),
        &["a single file", "give a folder"],
    );
    let broken = at("photos/broken.png");
    assert_refused(
        &apply(&run, &[text(&broken), "--out", text(&at("none"))]),
        &["none of 1", "broken.png"],
    );
    assert!(!at("none").exists());
    let before = fs::read(&one).unwrap();
    assert_refused(
        &apply(&run, &[text(&photos), "--out", text(&photos)]),
        &["a.png", "--out"],
    );
    assert!(fs::read(&one).unwrap() == before);
    assert_refused(
        &apply(&run, &[text(&at("no*.png"))]),
        &["nothing matches", "no*.png"],
    );
    assert_refused(
        &apply(&run, &[text(&one), "--preset", "cyclegan"]),
        &["already says", "--preset"],
    );
}

#[test]
fn a_unet_takes_one_size_and_draws_by_its_seed() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path(), &PIX2PIX);
    let at = |name: &str| folder.path().join(name);
    picture(&at("photos/wide.png"), [40, 20]);
    let photos = at("photos");
    let made = |out: &str, seed: &str| {
        let out = at(out);
        let ended = apply(&run, &[text(&photos), "--out", text(&out), "--seed", seed]);
        let printed = ended.printed();
        ended.success();
        assert!(printed.contains("only takes 16x16 pixels"), "{printed}");
        assert_eq!(size(&out.join("wide.png")), (16, 16));
        fs::read(out.join("wide.png")).unwrap()
    };
    let first = made("one", "3");
    assert!(first == made("two", "3"));
    assert!(first != made("three", "4"));

    // The embedded pairs say themselves what should come out.
    let (out, sheet) = (at("emoji"), at("emoji.png"));
    let ended = apply(
        &run,
        &[
            "emoji",
            "--count",
            "3",
            "--out",
            text(&out),
            "--compare",
            text(&sheet),
        ],
    );
    let printed = ended.printed();
    ended.success();
    assert!(
        printed.contains("mean of 3 images") && printed.contains("PSNR"),
        "{printed}"
    );
    // Three, and their scores.
    assert_eq!(fs::read_dir(out).unwrap().count(), 4);
    let shown = size(&sheet);
    assert!(shown.0 > 3 * 64 && shown.1 >= 64, "{shown:?}");
}

/// A model of images of 8x8 pixels that takes digits.
fn reconstruction(outdir: &Path) -> PathBuf {
    trained(
        outdir,
        &[
            "--preset",
            "vae",
            "--data",
            "digits",
            "--batch",
            "8",
            "--set",
            "data.size=8",
            "--set",
            "model.hidden=16",
            "--set",
            "model.latent=4",
        ],
    )
}

/// Names in a folder, each of them a whole picture.
fn pictures(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in &names {
        image::open(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    names.sort();
    names
}

#[test]
fn a_reconstruction_is_applied_and_a_generator_of_noise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = reconstruction(folder.path());
    let out = folder.path().join("out");
    apply(
        &run,
        &["digits", "--count", "5", "--out", text(&out), "--quiet"],
    )
    .success();
    let wanted: Vec<String> = (0..5).map(|index| format!("{index:05}.png")).collect();
    assert_eq!(pictures(&out), wanted);
    assert_eq!(size(&out.join("00000.png")), (8, 8));

    let generators = tempfile::tempdir().unwrap();
    train(generators.path(), &["--steps", "1"]).success();
    let run = run_folders(generators.path()).remove(0);
    assert_refused(&apply(&run, &["digits"]), &["(gan)", "gpugan sample"]);
}

/// What would be lost is said before a device is looked for.
#[test]
fn nothing_is_written_over_what_is_read_or_written_besides() {
    let folder = tempfile::tempdir().unwrap();
    let run = reconstruction(folder.path());
    let at = |name: &str| folder.path().join(name);
    for name in ["photos/a.jpg", "photos/a.png", "truth/a.png"] {
        picture(&at(name), [8, 8]);
    }
    fs::create_dir(at("out")).unwrap();
    let [photos, truth, out] = ["photos", "truth", "out"].map(at);
    let checkpoint = fs::read_dir(&run).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name()?.to_str()?.to_owned();
        name.starts_with("checkpoint-").then_some(path)
    });
    let checkpoint = checkpoint.unwrap();
    // Beyond the count, and by another way.
    let around = at("out/../photos");
    let refused = |arguments: &[&str], parts: &[&str]| {
        let nowhere = ["--count", "1", "--adapter", "no-such-adapter"];
        let inputs = [text(&photos), "--truth", text(&truth)];
        let all = [&inputs, arguments, &nowhere].concat();
        assert_refused(&apply(&run, &all), parts);
    };
    for out in [&photos, &around] {
        refused(
            &["--out", text(out)],
            &["a.png is an input and would be overwritten", "with --out"],
        );
    }
    for (sheet, what) in [
        (at("photos/a.png"), "an input"),
        (at("truth/a.png"), "an expected picture"),
        (checkpoint, "the checkpoint"),
        (at("out/a.png"), "an output"),
        (at("photos/../out/a.png"), "an output"),
        (at("out/scores.csv"), "the table of scores"),
    ] {
        refused(
            &["--out", text(&out), "--compare", text(&sheet)],
            &[what, "would be overwritten", "with --compare"],
        );
    }
    refused(
        &["--out", text(&out), "--compare", text(&out)],
        &["is a folder", "--compare"],
    );
    refused(
        &["--out", text(&at("made.jpg"))],
        &["made.jpg is not a known kind of file", ".png"],
    );
    assert!(fs::read_dir(&out).unwrap().next().is_none());

    let sheet = at("new/sheets/sheet.png");
    let all = [
        text(&photos),
        "--out",
        text(&out),
        "--compare",
        text(&sheet),
    ];
    apply(&run, &all).success();
    assert_eq!(pictures(&out), ["a-2.png", "a.png"]);
    assert!(size(&sheet).0 > 128);
}

/// Labels are none of the images, and of images in one file each has a number.
#[test]
fn only_images_are_counted_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let run = reconstruction(folder.path());
    let at = |name: &str| folder.path().join(name);
    for name in ["photos/x/1.png", "photos/y/2.png", "photos/3.png"] {
        picture(&at(name), [8, 8]);
    }
    let (photos, out) = (at("photos"), at("out"));
    let ended = apply(&run, &[text(&photos), "--out", text(&out)]);
    let printed = ended.printed();
    ended.success();
    assert!(!printed.contains("left out"), "{printed}");
    assert!(printed.contains("3 images through"), "{printed}");

    // What a pattern fits besides.
    fs::create_dir(at("photos/empty")).unwrap();
    fs::write(at("photos/notes.txt"), "no picture").unwrap();
    let (pattern, out) = (at("photos/*"), at("all"));
    let ended = apply(&run, &[text(&pattern), "--out", text(&out)]);
    let printed = ended.printed();
    ended.success();
    for said in [
        "empty: no image in ",
        "notes.txt is a file",
        "3 images through",
    ] {
        assert!(printed.contains(said), "`{said}` is not in: {printed}");
    }
    assert_eq!(pictures(&out), ["1.png", "2.png", "3.png"]);
    let empty = at("photos/empty");
    assert_refused(&apply(&run, &[text(&empty)]), &["no image in", "empty"]);
    fs::write(at("photos/3.png"), "garbage").unwrap();
    let [broken, notes] = ["photos/3.png", "photos/notes.txt"].map(at);
    assert_refused(
        &apply(&run, &[text(&broken), text(&notes)]),
        &["none of 1 images", "3.png: it is not a picture"],
    );

    let images = [
        &[0, 0, 8, 3][..],
        &[0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 8],
        &[77; 192],
    ]
    .concat();
    let set = at("idx");
    fs::create_dir(&set).unwrap();
    fs::write(set.join("train-images-idx3-ubyte"), images).unwrap();
    let out = at("numbered");
    apply(&run, &[text(&set), "--out", text(&out), "--quiet"]).success();
    assert_eq!(pictures(&out), ["00000.png", "00001.png", "00002.png"]);
}

/// A stop lets the image that is being made be finished, and says what there is.
#[test]
#[cfg(unix)]
fn a_stop_leaves_whole_images_and_their_count() {
    let folder = tempfile::tempdir().unwrap();
    let run = reconstruction(folder.path());
    let out = folder.path().join("out");
    let child = program()
        .args(["apply", "digits", "--count", "1500"])
        .args(["--checkpoint", text(&run), "--out", text(&out)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !out.join("00000.png").exists() {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    let made = pictures(&out).len();
    assert!((1..1500).contains(&made), "it was not stopped");
    let last = printed.lines().last().unwrap();
    let images = if made == 1 { "image" } else { "images" };
    assert!(
        last.starts_with(&format!("stopped: {made} {images} through ")),
        "{printed}"
    );
    assert!(last.ends_with(", of 1500"), "{printed}");
}

/// What was made before the disk was full stays, whole; there is one line of error.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_whole_images() {
    if !has_small_disks() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = reconstruction(folder.path());
    let [disk, out] = ["disk", "out"].map(|name| folder.path().join(name));
    for folder in [&disk, &out] {
        fs::create_dir(folder).unwrap();
    }
    let mut applied = program();
    applied
        .args(["apply", "digits", "--count", "100", "--quiet"])
        .args(["--checkpoint", text(&run), "--out", text(&disk)]);
    let output = on_a_small_disk(40, [&disk, &out], &applied)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("free some space"), "{said}");
    assert!((5..=10).contains(&pictures(&out).len()), "{said}");
}
