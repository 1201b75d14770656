//! Files that cannot be read, and data that vanishes.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gpugan::data::{Dataset, Loader, Position};
use tempfile::TempDir;

use super::{cut, grey, open, refused};

fn loader(set: &Arc<Dataset>, batch: usize) -> Loader {
    Loader::new(Arc::clone(set), batch, 0, Position::default(), false).unwrap()
}

#[test]
fn more_than_half_bad_is_an_error() {
    // Bad from their first bytes on: said when the set is opened.
    let dir = TempDir::new().unwrap();
    for number in 0..10 {
        fs::write(dir.path().join(format!("{number}.png")), "garbage").unwrap();
    }
    grey(&dir.path().join("4.png"), 9);
    let error = refused(dir.path());
    for part in ["more than half, 9 of the 10 pictures", "0.png"] {
        assert!(error.contains(part), "{error}");
    }

    // Bad further on: said once they have been read.
    for number in 0..10 {
        cut(&dir.path().join(format!("{number}.png")));
    }
    grey(&dir.path().join("4.png"), 9);
    let set = Arc::new(open(dir.path()));
    let mut loader = loader(&set, 4);
    let error = (0..10).find_map(|_| loader.next_batch().err()).unwrap();
    assert!(error.to_string().contains("more than half"), "{error}");
    assert!(set.skipped().len() > 5);
}

#[test]
fn what_is_left_out_is_listed_by_type_and_name() {
    let dir = TempDir::new().unwrap();
    for number in 0..40 {
        grey(&dir.path().join(format!("good{number:02}.png")), number);
    }
    for number in 0..12 {
        fs::write(dir.path().join(format!("bad{number:02}.png")), "garbage").unwrap();
    }
    fs::write(dir.path().join("bad.webp"), "garbage").unwrap();
    fs::write(dir.path().join("photo.heic"), "of another type").unwrap();
    let set = open(dir.path());
    let lines = set.left_out(10);
    assert_eq!(lines[0], "left out: 12 png, 1 webp");
    assert_eq!(lines.len(), 12);
    assert!(
        lines[1].contains("bad.webp: it is not a picture of a known kind"),
        "{lines:?}"
    );
    assert_eq!(lines[11], "  and 3 more");
    assert_eq!(set.left_out(usize::MAX).len(), 14);
    let found = set.found();
    assert_eq!(found[0], "53 images: 40 grey, 13 unreadable; all 8x8");
    assert_eq!(found[1], "files: 52 png, 1 webp; not pictures: 1 heic");
    // Batches come from the others.
    assert_eq!(
        loader(&Arc::new(set), 100)
            .next_batch()
            .unwrap()
            .images
            .len(),
        6400
    );
}

#[test]
fn a_read_that_failed_is_tried_again() {
    let dir = TempDir::new().unwrap();
    for number in 0..8 {
        grey(&dir.path().join(format!("set/{number}.png")), number);
    }
    let set = Arc::new(open(&dir.path().join("set")));
    fs::rename(dir.path().join("set"), dir.path().join("away")).unwrap();
    let mut loader = loader(&set, 8);
    thread::sleep(Duration::from_millis(150));
    fs::rename(dir.path().join("away"), dir.path().join("set")).unwrap();
    let batch = loader.next_batch().unwrap();
    assert_eq!(batch.position.drawn, 8);
    assert!(set.skipped().is_empty(), "{:?}", set.skipped());
}

#[test]
fn a_set_that_has_gone_ends_the_run() {
    let dir = TempDir::new().unwrap();
    for number in 0..200 {
        grey(&dir.path().join(format!("set/{number}.png")), number);
    }
    let set = Arc::new(open(&dir.path().join("set")));
    let mut loader = loader(&set, 8);
    loader.next_batch().unwrap();
    fs::rename(dir.path().join("set"), dir.path().join("away")).unwrap();
    let start = Instant::now();
    let error = (0..50).find_map(|_| loader.next_batch().err()).unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    let error = error.to_string();
    assert!(
        error.contains("set is gone") && error.contains("--resume"),
        "{error}"
    );
    assert!(set.check().is_err());
    // That single files failed on the way is no reason to call them bad.
    assert_eq!(set.skipped().len(), 1, "{:?}", set.skipped());

    // A single file that goes is left out, and the run goes on.
    fs::rename(dir.path().join("away"), dir.path().join("set")).unwrap();
    let set = Arc::new(open(&dir.path().join("set")));
    fs::remove_file(dir.path().join("set/17.png")).unwrap();
    let mut loader = super::bad::loader(&set, 100);
    for _ in 0..3 {
        loader.next_batch().unwrap();
    }
    let skipped = set.skipped();
    assert!(
        skipped.len() == 1 && skipped[0].path.ends_with("17.png"),
        "{skipped:?}"
    );
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_not_read() {
    let dir = TempDir::new().unwrap();
    let fifo = |name: &str| {
        let made = std::process::Command::new("mkfifo")
            .arg(dir.path().join(name))
            .status();
        assert!(made.unwrap().success());
    };
    fifo("a.png");
    fifo("labels.csv");
    fifo("train-images-idx3-ubyte");
    grey(&dir.path().join("b.png"), 1);
    assert_eq!(open(dir.path()).len(), 1);
    for path in [dir.path().join("a.png"), "/dev/zero".into()] {
        assert!(refused(&path).contains("neither a file nor a folder"));
    }
    // A file that becomes a pipe while the set is in use.
    let set = open(dir.path());
    fs::remove_file(dir.path().join("b.png")).unwrap();
    fifo("b.png");
    assert!(
        set.decode(0)
            .unwrap_err()
            .to_string()
            .contains("not a regular file")
    );
}

#[cfg(unix)]
#[test]
fn names_of_files_cannot_steer_the_terminal() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("\u{1b}[2Jset");
    for name in ["\u{1b}]0;x\u{7}.png", "\u{202e}gnp.png"] {
        fs::create_dir_all(folder.join("a\u{1b}[1m")).unwrap();
        fs::write(folder.join("a\u{1b}[1m").join(name), "bad").unwrap();
    }
    for name in ["a\u{1b}[1m/1.png", "b/2.png", "b/3.png"] {
        grey(&folder.join(name), 1);
    }
    fs::write(folder.join("x.\u{1b}c"), "stray").unwrap();
    let set = open(&folder);
    let said = [
        set.left_out(10),
        set.found(),
        vec![set.describe()],
        set.class_names().to_vec(),
    ];
    for line in said.concat() {
        assert!(
            !line.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
    }
    for name in ["a\u{1b}[1m/1.png", "b/2.png", "b/3.png"] {
        fs::write(folder.join(name), "bad").unwrap();
    }
    refused(&folder);
}
