//! Checkpoints, statistics and run folders: round trips, and what is left when
//! a process is killed at any moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Barrier,
};

use gpugan::{
    Error,
    run::stats::{self, Tick},
    store::{
        checkpoint::{self, Checkpoint},
        replace::{remove_stale, replace},
        run_folder::{Log, RunFolder},
    },
};

fn sample() -> Checkpoint {
    let values = vec![0.0, -0.0, 1.5, f32::MIN_POSITIVE / 8.0, f32::INFINITY, 3e38];
    Checkpoint {
        tensors: BTreeMap::from([
            ("g.conv.weight".into(), (vec![1, 2, 3], values)),
            ("a".into(), (vec![], vec![7.0])),
            ("none".into(), (vec![0, 4], vec![])),
        ]),
        metadata: BTreeMap::from([
            ("step".into(), "200".into()),
            ("config".into(), "preset = \"dcgan\"\nα = 1".into()),
        ]),
    }
}

fn usage(result: gpugan::Result<impl std::fmt::Debug>) -> String {
    match result.unwrap_err() {
        e @ Error::Usage { .. } => {
            let text = e.to_string();
            assert!(!text.contains('\n'), "{text}");
            text
        }
        e => panic!("not a usage error: {e}"),
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// A safetensors file from a header and data, as another program writes it.
fn foreign(path: &Path, header: &str, data: &[u8]) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_checkpoint_round_trips_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.safetensors");
    let mut saved = sample();
    let nan = f32::from_bits(0x7fc0_1234);
    saved.tensors.insert("nan".into(), (vec![1], vec![nan]));
    saved.save(&path).unwrap();
    let loaded = Checkpoint::load(&path).unwrap();
    assert_eq!(loaded.metadata, saved.metadata);
    assert_eq!(loaded.tensors.len(), saved.tensors.len());
    for (name, (shape, values)) in &saved.tensors {
        let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(&loaded.tensors[name].0, shape);
        assert_eq!(bits(&loaded.tensors[name].1), bits(values), "{name}");
    }
    assert_eq!(checkpoint::load_metadata(&path).unwrap(), saved.metadata);
    assert_eq!(names(folder.path()).len(), 1, "a temporary file stayed");
}

#[test]
fn equal_checkpoints_are_equal_files_that_the_safetensors_crate_reads() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [folder.path().join("a"), folder.path().join("b")];
    for path in &paths {
        sample().save(path).unwrap();
    }
    let bytes = fs::read(&paths[0]).unwrap();
    assert_eq!(bytes, fs::read(&paths[1]).unwrap());
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor("g.conv.weight").unwrap();
    assert_eq!(view.shape(), [1, 2, 3]);
    assert_eq!(view.data()[8..12], 1.5f32.to_le_bytes());
}

#[test]
fn an_empty_checkpoint_round_trips() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    Checkpoint::default().save(&path).unwrap();
    assert_eq!(Checkpoint::load(&path).unwrap(), Checkpoint::default());
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.safetensors");
    sample().save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let text = usage(Checkpoint::load(&path));
        assert!(text.contains("c.safetensors"), "{text}");
        let said = match length {
            0 => "is empty",
            n if n < header => "is cut short",
            _ => "it has",
        };
        assert!(text.contains(said), "{length}: {text}");
        usage(checkpoint::load_metadata(&path));
    }
    fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(usage(Checkpoint::load(&path)).contains("1 bytes more"));
}

#[test]
fn a_flipped_byte_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.safetensors");
    sample().save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let key = b"crc32";
    let key_at = whole.windows(key.len()).position(|w| w == key).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let loaded = Checkpoint::load(&path);
        if (key_at..key_at + key.len()).contains(&at) {
            // Nothing checks the file then, but all else in it is whole.
            assert_eq!(loaded.unwrap().tensors, sample().tensors);
            continue;
        }
        let text = usage(loaded);
        if at >= header {
            assert!(text.contains("checksum"), "{at}: {text}");
        }
    }
}

#[test]
fn foreign_files_are_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.safetensors");
    let cases: [(&[u8], &str); 5] = [
        (b"PK\x03\x04 a torch archive", "PyTorch pickle"),
        (b"\x80\x02}q\x00X\x01\x00\x00", "PyTorch pickle"),
        (b"\x89PNG\r\n\x1a\n and so on", "not a safetensors file"),
        (b"hello, this is plain text", "not a safetensors file"),
        (b"\x02\0\0\0\0\0\0\0[]", "bad header"),
    ];
    for (bytes, said) in cases {
        fs::write(&path, bytes).unwrap();
        let text = usage(Checkpoint::load(&path));
        assert!(text.contains(said), "{text}");
        assert!(text.contains("; "), "no mend: {text}");
    }
    let missing = Checkpoint::load(&folder.path().join("none"));
    assert!(missing.unwrap_err().to_string().contains("none"));
    let folder_itself = Checkpoint::load(folder.path());
    assert!(folder_itself.is_err());
}

#[test]
fn headers_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.safetensors");
    let cases = [
        // The offsets leave a hole, overlap, disagree with the shape, overflow.
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,8],"data_offsets":[0,8]}}"#,
        r#"{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#,
    ];
    for header in cases {
        foreign(&path, header, &[0; 8]);
        let text = usage(Checkpoint::load(&path));
        assert!(text.contains("bad header"), "{header}: {text}");
    }
}

#[test]
fn other_number_types_become_f32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("torch.safetensors");
    // 1.5, -2, the least subnormal, the greatest, infinity in half precision.
    let half: [u16; 5] = [0x3e00, 0xc000, 0x0001, 0x7bff, 0x7c00];
    let brain: [u16; 1] = [0xbfc0];
    let mut data = Vec::new();
    data.extend(half.iter().flat_map(|v| v.to_le_bytes()));
    data.extend(brain.iter().flat_map(|v| v.to_le_bytes()));
    data.extend(0.1f64.to_le_bytes());
    data.extend(123_456i64.to_le_bytes());
    data.extend((-7i32).to_le_bytes());
    foreign(
        &path,
        r#"{"half":{"dtype":"F16","shape":[5],"data_offsets":[0,10]},
            "brain":{"dtype":"BF16","shape":[1],"data_offsets":[10,12]},
            "double":{"dtype":"F64","shape":[1],"data_offsets":[12,20]},
            "bn.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[20,28]},
            "int":{"dtype":"I32","shape":[1],"data_offsets":[28,32]}}"#,
        &data,
    );
    let loaded = Checkpoint::load(&path).unwrap();
    let values = |name: &str| loaded.tensors[name].1.clone();
    let least = 2f32.powi(-24);
    assert_eq!(values("half"), [1.5, -2.0, least, 65504.0, f32::INFINITY]);
    assert_eq!(values("brain"), [-1.5]);
    assert_eq!(values("double"), [0.1]);
    assert_eq!(loaded.tensors["bn.num_batches_tracked"].0, [0usize; 0]);
    assert_eq!(values("bn.num_batches_tracked"), [123_456.0]);
    assert_eq!(values("int"), [-7.0]);

    foreign(
        &path,
        r#"{"mask":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#,
        &[1],
    );
    let text = usage(Checkpoint::load(&path));
    assert!(text.contains("mask") && text.contains("BOOL"), "{text}");
}

#[test]
fn what_cannot_be_saved_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.safetensors");
    sample().save(&path).unwrap();

    let mut wrong = sample();
    wrong.tensors.insert("w".into(), (vec![2, 2], vec![1.0; 3]));
    let text = wrong.save(&path).unwrap_err().to_string();
    assert!(text.contains("tensor w") && text.contains("3 values"));
    let mut reserved = sample();
    reserved.metadata.insert("crc32".into(), "0".into());
    assert!(usage(reserved.save(&path)).contains("crc32"));
    let mut reserved = sample();
    let tensor = (vec![1], vec![1.0]);
    reserved.tensors.insert("__metadata__".into(), tensor);
    assert!(usage(reserved.save(&path)).contains("__metadata__"));

    // A disk that fills up while the file is written.
    let full = replace(&path, |out| {
        out.write_all(&[0; 4096])?;
        Err(io::ErrorKind::StorageFull.into())
    });
    assert!(full.unwrap_err().to_string().contains("c.safetensors"));
    assert_eq!(Checkpoint::load(&path).unwrap(), sample());
    assert_eq!(names(folder.path()).len(), 1, "a half-written file stayed");

    // A file that cannot be renamed into place.
    let taken = folder.path().join("folder");
    fs::create_dir(&taken).unwrap();
    assert!(sample().save(&taken).is_err());
    assert_eq!(names(folder.path()).len(), 2);
    assert!(sample().save(&path.join("below a file")).is_err());
}

/// As `--out /dev/stdout` or a pipe to another program.
#[cfg(unix)]
#[test]
fn a_pipe_is_written_to_and_stays() {
    use std::os::unix::fs::FileTypeExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let from = path.clone();
    let reader = std::thread::spawn(move || fs::read(from).unwrap());
    replace(&path, |out| out.write_all(b"said")).unwrap();
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    assert_eq!(reader.join().unwrap(), b"said");
    assert_eq!(names(folder.path()).len(), 1);
}

/// `/dev/stdout` is one, of a file where output is redirected.
#[cfg(unix)]
#[test]
fn a_link_stays_one_and_what_it_names_is_written() {
    let [here, there] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [link, file] = [&here, &there].map(|folder| folder.path().join("c"));
    fs::write(&file, b"old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    replace(&link, |out| out.write_all(b"new")).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(names(there.path()).len(), 1);
}

#[test]
fn the_newest_readable_checkpoint_is_found_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::open(folder.path()).unwrap();
    for step in [200u64, 400, 1_000_000, 999_999] {
        let mut checkpoint = sample();
        checkpoint.metadata.insert("step".into(), step.to_string());
        checkpoint.save(&run.checkpoint(step)).unwrap();
    }
    let steps =
        |run: &RunFolder| -> Vec<u64> { run.checkpoints().unwrap().iter().map(|c| c.0).collect() };
    assert_eq!(steps(&run), [200, 400, 999_999, 1_000_000]);

    // The newest is torn, and a killed save left its temporary file.
    let newest = run.checkpoint(1_000_000);
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() - 5]).unwrap();
    let stale = "checkpoint-1000200.safetensors.4711.tmp";
    fs::write(folder.path().join(stale), &bytes[..9]).unwrap();
    fs::write(folder.path().join("notes.tmp"), "the user's").unwrap();

    let mut skipped = Vec::new();
    let found = checkpoint::newest_readable(run.path(), |e| skipped.push(e.to_string()));
    let (path, checkpoint) = found.unwrap();
    assert_eq!(path, run.checkpoint(999_999));
    assert_eq!(checkpoint.metadata["step"], "999999");
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].contains("checkpoint-1000000.safetensors"));

    assert_eq!(remove_stale(run.path()).unwrap(), 1);
    assert!(!names(run.path()).contains(stale));
    assert!(names(run.path()).contains("notes.tmp"));

    assert_eq!(checkpoint::prune(run.path(), 0).unwrap(), 0);
    assert_eq!(checkpoint::prune(run.path(), 2).unwrap(), 2);
    assert_eq!(steps(&run), [999_999, 1_000_000]);
    assert_eq!(checkpoint::prune(run.path(), 9).unwrap(), 0);

    let empty = tempfile::tempdir().unwrap();
    assert!(checkpoint::newest_readable(empty.path(), |e| panic!("{e}")).is_none());
}

/// Of what is named like a checkpoint, only files are.
#[test]
fn a_folder_named_like_a_checkpoint_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::open(folder.path()).unwrap();
    for step in [2, 4] {
        sample().save(&run.checkpoint(step)).unwrap();
    }
    for step in [1, 3, 9] {
        fs::create_dir(run.checkpoint(step)).unwrap();
    }
    let steps = || -> Vec<u64> { run.checkpoints().unwrap().iter().map(|c| c.0).collect() };
    assert_eq!(steps(), [2, 4]);
    let (newest, _) = checkpoint::newest_readable(run.path(), |e| panic!("{e}")).unwrap();
    assert_eq!(newest, run.checkpoint(4));
    assert_eq!(checkpoint::prune(run.path(), 1).unwrap(), 1);
    assert_eq!(steps(), [4]);
    assert!(run.checkpoint(1).is_dir());
}

#[test]
fn the_first_tensor_that_is_not_finite_is_found() {
    let mut file = sample();
    let of = |file: &Checkpoint, asked: fn(&str) -> bool| {
        file.not_finite(asked)
            .map(|(name, value)| (name.to_owned(), value))
    };
    let infinite = Some(("g.conv.weight".to_owned(), f32::INFINITY));
    assert_eq!(of(&file, |_| true), infinite);
    assert_eq!(of(&file, |name| !name.starts_with("g.")), None);
    file.tensors
        .insert("b".into(), (vec![2], vec![0.0, f32::NAN]));
    let (name, value) = of(&file, |_| true).unwrap();
    assert!(name == "b" && value.is_nan());
}

fn tick(step: u64) -> Tick {
    Tick {
        step,
        kimg: step as f64 * 0.064,
        sec_per_step: 0.01,
        memory_bytes: 1 << 33,
        rollbacks: 0,
        health: None,
        reports: [
            ("loss_d", 1.0 / 3.0),
            ("loss_g", 2.5),
            ("d_real", 0.75),
            ("d_fake", 0.25),
            ("augment_p", 0.125),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
    }
}

fn write_ticks(path: &Path, steps: impl IntoIterator<Item = u64>) {
    let mut writer = stats::Writer::append(path).unwrap();
    for step in steps {
        writer.write(&tick(step)).unwrap();
    }
}

fn steps(path: &Path) -> Vec<u64> {
    let ticks = stats::read(path).unwrap();
    ticks.iter().map(|t| t.step).collect()
}

#[test]
fn statistics_round_trip_with_null_for_nan() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stats.jsonl");
    let mut odd = tick(2);
    odd.reports.insert("loss_d".into(), f64::NAN);
    odd.reports.insert("loss_g".into(), f64::INFINITY);
    odd.reports.remove("augment_p");
    write_ticks(&path, [1]);
    stats::Writer::append(&path).unwrap().write(&odd).unwrap();
    let ticks = stats::read(&path).unwrap();
    assert_eq!(ticks[0], tick(1));
    assert!(ticks[1].report("loss_d").is_nan() && ticks[1].report("loss_g").is_nan());
    assert!(ticks[1].reports.contains_key("loss_d") && ticks[1].reports.contains_key("loss_g"));
    assert_eq!(ticks[1].report("d_real"), 0.75);
    assert_eq!(ticks[1].reports.get("augment_p"), None);
    for line in fs::read_to_string(&path).unwrap().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert!(stats::read(&folder.path().join("none")).is_err());
}

#[test]
fn statistics_torn_at_any_byte_lose_only_the_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stats.jsonl");
    write_ticks(&path, 1..=3);
    let whole = fs::read(&path).unwrap();
    let third = whole.len() / 3 * 2;
    for length in third..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        // Without only its end, the last line is still a tick.
        let complete = length == whole.len() - 1;
        let expected: &[u64] = if complete { &[1, 2, 3] } else { &[1, 2] };
        assert_eq!(steps(&path), expected);
        write_ticks(&path, [4]);
        assert_eq!(steps(&path), [expected, &[4]].concat());
    }
    // In the middle, damage is told with its line.
    fs::write(&path, [b"{\"step\":1,\n", whole.as_slice()].concat()).unwrap();
    assert!(usage(stats::read(&path)).contains("line 1 of"));
}

#[test]
fn a_resumed_run_repeats_no_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stats.jsonl");
    stats::truncate_after(&path, 5).unwrap();
    assert!(!path.exists());
    write_ticks(&path, (100..=1000).step_by(100));
    stats::truncate_after(&path, 400).unwrap();
    write_ticks(&path, [500]);
    assert_eq!(steps(&path), [100, 200, 300, 400, 500]);
    stats::truncate_after(&path, 99).unwrap();
    assert_eq!(steps(&path), [0u64; 0]);
    assert_eq!(names(folder.path()).len(), 1);
}

#[test]
fn run_folders_are_numbered_without_gaps_or_twins() {
    let outdir = tempfile::tempdir().unwrap();
    let below = outdir.path().join("deep/runs");
    let (threads, each) = (8, 6);
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (below, barrier) = (&below, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for _ in 0..each {
                    // Different names must not share a number either.
                    RunFolder::create(below, &format!("p{thread}"), "mnist").unwrap();
                }
            });
        }
    });
    let found = names(&below);
    let numbers: BTreeSet<u64> = found.iter().map(|n| n[..5].parse().unwrap()).collect();
    assert_eq!(found.len(), threads * each, "{found:?}");
    assert_eq!(numbers.len(), threads * each, "twins in {found:?}");
    assert_eq!(numbers.last(), Some(&47), "{found:?}");
}

#[test]
fn run_folders_are_named_after_preset_and_data() {
    let outdir = tempfile::tempdir().unwrap();
    assert_eq!(RunFolder::newest(outdir.path()), None);
    fs::create_dir(outdir.path().join("00007-mine")).unwrap();
    fs::create_dir(outdir.path().join("2024-notes")).unwrap();
    let run = RunFolder::create(outdir.path(), "dcgan", "a b/ü.zip").unwrap();
    assert_eq!(run.path(), outdir.path().join("00008-dcgan-a-b--.zip"));
    // A claim that a killed start left is no run, but its number is used up.
    fs::create_dir(outdir.path().join("00009")).unwrap();
    assert_eq!(RunFolder::newest(outdir.path()), Some(run.clone()));
    let next = RunFolder::create(outdir.path(), "p", &"x".repeat(300)).unwrap();
    assert!(next.path().ends_with(format!("00010-p-{}", "x".repeat(78))));
    assert_eq!(run.fakes(200), run.path().join("fakes000200.png"));

    // Below a file, nobody can create a folder, not even root.
    let file = outdir.path().join("file");
    fs::write(&file, "").unwrap();
    let text = usage(RunFolder::create(&file.join("runs"), "p", "d"));
    assert!(
        text.contains("file/runs") && text.contains("--outdir"),
        "{text}"
    );
    usage(RunFolder::open(file));
    assert_eq!(RunFolder::newest(&PathBuf::from("/no/such/folder")), None);
}

#[test]
fn the_log_is_appended_with_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.txt");
    Log::open(&path).unwrap().line("first").unwrap();
    let mut log = Log::open(&path).unwrap();
    log.line("second\nthird").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    for (line, said) in lines.iter().zip(["first", "second", "third"]) {
        let (time, message) = line.split_once("  ").unwrap();
        assert_eq!(message, said);
        assert!(time.starts_with("0:00:0"), "{line}");
    }
}
