//! `gpugan data`.

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};

use crate::run::{ended, gpugan, program};

/// Pictures of one colour in a folder.
fn pictures(folder: &Path, names: &[&str]) {
    fs::create_dir_all(folder).unwrap();
    for name in names {
        let picture = RgbImage::from_pixel(8, 8, Rgb([200, 0, 0]));
        picture.save(folder.join(name)).unwrap();
    }
}

#[test]
fn the_picture_of_a_set_does_not_become_a_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    pictures(&set.join("sub"), &["a.png", "b.png"]);
    let data = |arguments: &[&str]| {
        let mut program = program();
        program.current_dir(&set).arg("data");
        ended(program, arguments)
    };
    let before = fs::read(set.join("sub/a.png")).unwrap();
    for (source, out) in [
        (".", "data.png"),
        ("sub", "sub/a.png"),
        ("../set", "sub/../new.png"),
        ("sub/a.png", "./sub/a.png"),
    ] {
        let ended = data(&[source, "--out", out]);
        let said = ended.said();
        assert_eq!(ended.code(), Some(2), "{said}");
        let wanted = [
            format!("--out {out} lies in the data {source}"),
            "with --out".into(),
        ];
        assert!(wanted.iter().all(|part| said.contains(part)), "{said}");
    }
    assert_eq!(data(&["."]).code(), Some(2));
    assert!(!set.join("data.png").exists());
    assert!(fs::read(set.join("sub/a.png")).unwrap() == before);
    data(&[".", "--out", "../data.png"]).success();
    data(&["sub"]).success();
    // What is called like an embedded set is none.
    data(&["digits", "--out", "digits.png", "--count", "4"]).success();
}

#[test]
fn both_sides_of_a_set_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("data.png");
    let out = out.to_str().unwrap();
    let shown = |arguments: &[&str], wanted: &str| {
        let ended = gpugan(&[&["data", "--out", out], arguments].concat());
        let printed = ended.printed();
        ended.success();
        let last = printed.lines().last().unwrap().to_owned();
        assert!(last.starts_with(wanted), "{printed}");
        image::image_dimensions(out).unwrap()
    };
    // Eight cells of 64 pixels with their gaps.
    let set = ["fashion", "--set", "data.size=32", "--count", "8"];
    assert_eq!(shown(&set, "8 of them as a network"), (530, 68));
    let pairs = ["emoji", "--preset", "pix2pix32", "--count", "8"];
    let wanted = "8 of them, inputs beside images, as a network";
    assert_eq!(shown(&pairs, wanted), (1058, 68));
    let edges = [
        "fashion",
        "--set",
        "data.size=32",
        "--set",
        "data.input=edges",
        "--count",
        "8",
    ];
    assert_eq!(shown(&edges, wanted), (1058, 68));
    for preset in ["cyclegan32", "dtn"] {
        let sides = [
            "emoji",
            "--preset",
            preset,
            "--count",
            "8",
            "--set",
            "data.size=32",
        ];
        let wanted = "8 images and 8 inputs as a network";
        assert_eq!(shown(&sides, wanted), (1060, 68), "{preset}");
    }
}

#[test]
fn what_cannot_be_read_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    pictures(&set, &["b.png", "c.png", "d.png"]);
    fs::write(set.join("a.png"), "garbage").unwrap();
    let out = folder.path().join("data.png");
    let [set, out] = [&set, &out].map(|path| path.to_str().unwrap());
    let ended = gpugan(&["data", set, "--count", "1", "--out", out]);
    let printed = ended.printed();
    ended.success();
    assert!(printed.contains("1 of them as a network"), "{printed}");
    assert!(printed.contains("a.png: it is not a picture"), "{printed}");
}
