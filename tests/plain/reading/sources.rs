//! Archives, arrays and lists of labels.

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use gpugan::data::{Dataset, Loader, Position, Reading};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::{open, png, refused};

/// Packs files into a ZIP archive, deflated or stored.
fn zipped(path: &Path, files: &[(&str, Vec<u8>)], method: zip::CompressionMethod) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn tarred(path: &Path, files: &[(&str, Vec<u8>)]) {
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, Cursor::new(bytes))
            .unwrap();
    }
    tar.finish().unwrap();
}

fn pictures() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("photos/dog/1.png", png([10, 0, 0])),
        ("photos/cat/2.png", png([20, 0, 0])),
        ("photos/dog/0.png", png([30, 0, 0])),
        ("photos/readme.txt", b"a text".to_vec()),
        ("__MACOSX/photos/cat/._2.png", b"nothing".to_vec()),
    ]
}

/// The red of every picture with the name of its class.
fn reds(set: &Dataset) -> Vec<(u8, &str)> {
    let class = |item| {
        set.label(item)
            .map_or("", |label| &set.class_names()[label as usize])
    };
    let red = |item| set.decode(item).unwrap()[0];
    (0..set.len())
        .map(|item| (red(item), class(item)))
        .collect()
}

#[test]
fn archives_are_read_like_folders() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    zipped(
        &at("deflated.zip"),
        &pictures(),
        zip::CompressionMethod::Deflated,
    );
    zipped(
        &at("stored.zip"),
        &pictures(),
        zip::CompressionMethod::Stored,
    );
    tarred(&at("all.tar"), &pictures());
    for name in ["deflated.zip", "stored.zip", "all.tar"] {
        let set = open(&at(name));
        assert_eq!(set.name(), name);
        assert_eq!(reds(&set), [(20, "cat"), (30, "dog"), (10, "dog")]);
        assert!(set.skipped().is_empty(), "{:?}", set.skipped());
        let found = set.found();
        assert_eq!(found[0], "3 images: 3 colour; all 8x8");
        assert_eq!(found[1], "files: 3 png; not pictures: 1 txt");
    }
    // A damaged entry is left out by name.
    let mut bytes = fs::read(at("stored.zip")).unwrap();
    let end = bytes.windows(4).position(|part| part == b"IEND").unwrap();
    bytes[end - 10] ^= 1;
    fs::write(at("damaged.zip"), bytes).unwrap();
    let set = Arc::new(open(&at("damaged.zip")));
    let mut loader = Loader::new(set.clone(), 6, 0, Position::default(), false).unwrap();
    loader.next_batch().unwrap();
    let skipped = set.skipped();
    assert!(skipped[0].path.ends_with("photos/dog/1.png"), "{skipped:?}");
    // So is an archive that ends early, as a whole.
    let bytes = fs::read(at("stored.zip")).unwrap();
    fs::write(at("short.zip"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(refused(&at("short.zip")).contains("not a complete archive"));
    // An archive that goes ends the run.
    let set = open(&at("all.tar"));
    fs::remove_file(at("all.tar")).unwrap();
    set.decode(0).unwrap_err();
    assert!(set.check().unwrap_err().to_string().contains("is gone"));
    fs::write(at("all.tar.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    assert!(refused(&at("all.tar.gz")).contains("unpack it"));
}

#[test]
fn links_in_archives_are_followed_or_named() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("linked.tar");
    let mut tar = tar::Builder::new(File::create(&path).unwrap());
    let bytes = png([10, 0, 0]);
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "./a/1.png", Cursor::new(&bytes))
        .unwrap();
    for (kind, name, target) in [
        (tar::EntryType::Link, "b/2.png", "./a/1.png"),
        (tar::EntryType::Link, "./b/3.png", "b/2.png"),
        (tar::EntryType::Link, "b/4.png", "b/5.png"),
        (tar::EntryType::Symlink, "b/6.png", "../a/1.png"),
        (tar::EntryType::Symlink, "b/readme", "../a"),
        (tar::EntryType::Symlink, "b/.7.png", "../a/1.png"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        tar.append_link(&mut header, name, target).unwrap();
    }
    tar.finish().unwrap();
    let set = open(&path);
    assert_eq!(reds(&set), [(10, "a"), (10, "b"), (10, "b")]);
    let said: Vec<String> = set.skipped().iter().map(ToString::to_string).collect();
    let wanted = [
        "linked.tar/b/4.png: is a link to b/5.png, which is not before it",
        "linked.tar/b/6.png: is a symbolic link; pack the file that it leads to",
    ];
    assert_eq!(said.len(), 2, "{said:?}");
    for (said, wanted) in said.iter().zip(wanted) {
        assert!(said.ends_with(wanted), "{said}");
    }
}

#[test]
fn names_in_zip_archives_may_begin_with_the_folder_itself() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("set.zip");
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (name, red) in [("./cat/1.png", 10), ("./dog/2.png", 20)] {
        zip.start_file(name, options).unwrap();
        zip.write_all(&png([red, 0, 0])).unwrap();
    }
    zip.add_symlink("dog/3.png", "2.png", options).unwrap();
    zip.finish().unwrap();
    let set = open(&path);
    assert_eq!(reds(&set), [(10, "cat"), (20, "dog")]);
    let said = set.skipped()[0].to_string();
    assert!(said.contains("dog/3.png: is a symbolic link"), "{said}");
}

#[test]
fn lists_of_labels_come_before_folders() {
    let dir = TempDir::new().unwrap();
    let json = br#"{"labels": [["00000/a.png", 10], ["00000/b.png", 9], ["00001/c.png", 9]]}"#;
    let files = vec![
        ("00000/a.png", png([1, 0, 0])),
        ("00000/b.png", png([2, 0, 0])),
        ("00001/c.png", png([3, 0, 0])),
    ];
    let zip = dir.path().join("nvlabs.zip");
    let with = |list: (&'static str, &[u8])| {
        let mut files = files.clone();
        files.push((list.0, list.1.to_vec()));
        zipped(&zip, &files, zip::CompressionMethod::Stored);
        open(&zip)
    };
    assert_eq!(
        reds(&with(("dataset.json", json))),
        [(1, "10"), (2, "9"), (3, "9")]
    );
    let set = with(("dataset.json", b"{\"labels\": null}"));
    assert_eq!(set.class_names(), ["00000", "00001"]);
    let set = with((
        "labels.csv",
        b"file,class\n00000/a.png,red\n00000/b.png,\"a, b\"\n00001/c.png,red",
    ));
    assert_eq!(reds(&set), [(1, "red"), (2, "a, b"), (3, "red")]);
    // What has no label is named.
    let set = with(("labels.csv", b"00000/a.png,red"));
    assert!(set.label(0).is_none());
    let report = set.skipped()[0].to_string();
    assert!(
        report.contains("no label for 00000/b.png; labels dropped"),
        "{report}"
    );

    for (name, bytes) in &files {
        let path = dir.path().join("folder").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(dir.path().join("folder/dataset.json"), json).unwrap();
    assert_eq!(reds(&open(&dir.path().join("folder")))[0], (1, "10"));
}

#[test]
fn cifar_is_read_in_its_binary_version() {
    let dir = TempDir::new().unwrap();
    let record = |labels: &[u8], value: u8| {
        let planes = [[value; 1024], [value + 1; 1024], [value + 2; 1024]].concat();
        [labels, &planes].concat()
    };
    let ten = dir.path().join("cifar-10-batches-bin");
    fs::create_dir(&ten).unwrap();
    fs::write(
        ten.join("data_batch_1.bin"),
        [record(&[3], 10), record(&[0], 20)].concat(),
    )
    .unwrap();
    fs::write(
        ten.join("data_batch_2.bin"),
        [record(&[1], 30), vec![9; 100]].concat(),
    )
    .unwrap();
    fs::write(ten.join("test_batch.bin"), record(&[2], 40)).unwrap();
    fs::write(
        ten.join("batches.meta.txt"),
        "airplane\nautomobile\nbird\nhouse cat\n\n",
    )
    .unwrap();
    let set = Reading::new(32, 32).open(ten.to_str().unwrap()).unwrap();
    assert_eq!((set.len(), set.shape()), (3, [3, 32, 32]));
    assert_eq!(
        reds(&set),
        [(10, "house cat"), (20, "airplane"), (30, "automobile")]
    );
    assert_eq!(set.decode(2).unwrap()[1024..][..1024], [31; 1024]);
    assert!(
        set.skipped()[0]
            .to_string()
            .contains("data_batch_2.bin: ends inside an image")
    );
    let test = Reading::new(32, 32)
        .open_test(ten.to_str().unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(reds(&test), [(40, "bird")]);

    let hundred = dir.path().join("cifar-100-binary");
    fs::create_dir(&hundred).unwrap();
    fs::write(
        hundred.join("train.bin"),
        [record(&[4, 1], 50), record(&[0, 0], 60)].concat(),
    )
    .unwrap();
    fs::write(
        hundred.join("fine_label_names.txt"),
        "apple\naquarium_fish\n",
    )
    .unwrap();
    let set = Reading::new(32, 32)
        .open(hundred.to_str().unwrap())
        .unwrap();
    assert_eq!(reds(&set), [(50, "aquarium_fish"), (60, "apple")]);

    // The size of a file tells its records, whatever it is called.
    let at = |name: &str| dir.path().join(name);
    fs::write(
        at("train.bin"),
        [record(&[3], 10), record(&[0], 20)].concat(),
    )
    .unwrap();
    fs::write(
        at("mine.bin"),
        [record(&[4, 1], 50), record(&[0, 0], 60)].concat(),
    )
    .unwrap();
    for (name, values) in [("train.bin", [10, 20]), ("mine.bin", [50, 60])] {
        let path = at(name);
        let set = Reading::new(32, 32).open(path.to_str().unwrap()).unwrap();
        assert!(set.skipped().is_empty(), "{:?}", set.skipped());
        for (item, value) in values.into_iter().enumerate() {
            assert_eq!(
                set.decode(item).unwrap()[2047..2049],
                [value + 1, value + 2]
            );
        }
    }
}

/// A `.npy` file as NumPy writes it.
fn npy(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (text.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes(), values].concat()
}

#[test]
fn numpy_arrays_are_read_in_either_order_of_axes() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    let pixel = [[7, 8, 9]; 64].concat();
    let planes = [[7; 64], [8; 64], [9; 64]].concat();
    fs::write(at("nhwc.npy"), npy("|u1", "(2, 8, 8, 3)", &pixel.repeat(2))).unwrap();
    fs::write(
        at("nchw.npy"),
        npy("|u1", "(2, 3, 8, 8)", &planes.repeat(2)),
    )
    .unwrap();
    for name in ["nhwc.npy", "nchw.npy"] {
        let set = open(&at(name));
        assert_eq!((set.len(), set.shape()), (2, [3, 8, 8]));
        assert_eq!(set.decode(1).unwrap(), planes);
    }
    let labels: Vec<u8> = [2_i64, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
    let archive = [
        (
            "x_train.npy",
            npy("|u1", "(2, 8, 8)", &[[5; 64], [6; 64]].concat()),
        ),
        ("y_train.npy", npy("<i8", "(2,)", &labels)),
        ("x_test.npy", npy("|u1", "(1, 8, 8)", &[9; 64])),
    ];
    zipped(&at("mnist.npz"), &archive, zip::CompressionMethod::Deflated);
    let set = open(&at("mnist.npz"));
    assert_eq!(reds(&set), [(5, "2"), (6, "0")]);
    assert_eq!(set.shape(), [1, 8, 8]);
    let path = at("mnist.npz");
    let test = Reading::new(8, 8)
        .open_test(path.to_str().unwrap())
        .unwrap();
    assert_eq!(reds(&test.unwrap()), [(9, "")]);

    fs::write(at("float.npy"), npy("<f4", "(1, 8, 8)", &[0; 256])).unwrap();
    let error = refused(&at("float.npy"));
    assert!(error.contains("<f4") && error.contains("uint8"), "{error}");
    fs::write(at("short.npy"), npy("|u1", "(3, 8, 8)", &[0; 64])).unwrap();
    assert!(refused(&at("short.npy")).contains("64 of 192 bytes"));
    fs::write(
        at("claims.npy"),
        npy("|u1", "(99999999, 800, 800)", &[0; 64]),
    )
    .unwrap();
    assert!(refused(&at("claims.npy")).contains("2 GiB"));
}
