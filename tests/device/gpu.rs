//! The machinery of `gpu` on the adapter of this machine. Without an adapter
//! these tests fail, with the mend in the message.

use gpugan::gpu::{AdapterFacts, Executable, Gpu, Memory, POISON_BITS, Readback, Selector, list};
use gpugan::recording::{
    ALIGNMENT, Access, Binding, Command, Dispatch, Kernel, Recording, Slice, StepValues, Storage,
};

use crate::adapter::open;

fn arena(index: usize, offset: usize, len: usize) -> Slice {
    Slice {
        storage: Storage::Arena(index),
        offset,
        len,
    }
}

fn temporary(index: usize, len: usize) -> Slice {
    Slice {
        storage: Storage::Temporary(index),
        offset: 0,
        len,
    }
}

/// `to[i] = value`, an expression of `i`, the inputs `e0`, `e1`, ... and, if it
/// says so, of `step`.
fn fill(to: Slice, value: &str, inputs: &[Slice]) -> Dispatch {
    let extras = (0..inputs.len())
        .map(|n| {
            let binding = n + 1;
            format!("@group(0) @binding({binding}) var<storage, read> e{n}: array<f32>;\n")
        })
        .collect();
    let groups = to.len.div_ceil(64) as u32;
    let bind = |slice, access| Binding { slice, access };
    Dispatch {
        kernel: Kernel {
            file: "fill.wgsl",
            variant: "plain",
            constants: vec![
                ("LEN", to.len as u32),
                ("GRID_X", groups),
                ("WORKGROUP", 64),
            ],
            snippets: vec![("value", value.into()), ("extras", extras)],
            reads_step: value.contains("step."),
        },
        bindings: std::iter::once(bind(to, Access::Write))
            .chain(inputs.iter().map(|slice| bind(*slice, Access::Read)))
            .collect(),
        workgroups: [groups, 1, 1],
        label: format!("fill {to}"),
    }
}

fn recording(commands: Vec<Command>) -> Recording {
    Recording {
        commands,
        temporaries: Vec::new(),
    }
}

fn counter(counter: u32) -> StepValues {
    StepValues {
        counter,
        learning_rate: 0.5,
        ..StepValues::default()
    }
}

#[track_caller]
fn message<T>(result: gpugan::Result<T>) -> String {
    let message = result.err().expect("an error").to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

#[test]
fn adapters_are_listed_in_a_stable_order_and_opened_by_index() {
    let all = list();
    let gpu = open();
    // What was measured on an adapter is read when it is opened.
    let listed = AdapterFacts {
        tuned: None,
        ..gpu.facts.clone()
    };
    assert!(all.contains(&listed), "{listed:?} not in {all:?}");
    assert_eq!(all, list());
    for (place, facts) in all.iter().enumerate() {
        assert_eq!(facts.index, place);
        assert!(["vulkan", "metal", "dx12"].contains(&facts.backend.as_str()));
        assert!(!facts.name.is_empty());
        assert!(facts.limits.max_storage_binding >= 128 << 20);
        assert!(facts.subgroup_min <= facts.subgroup_max);
        let json = serde_json::to_value(facts).unwrap();
        assert!(json["features"]["timestamps"].is_boolean(), "{json}");
        assert!(json["device_type"].is_string(), "{json}");
    }
    let Ok(selector) = gpu.facts.index.to_string().parse::<Selector>();
    assert_eq!(Gpu::open(&selector).unwrap().facts, gpu.facts);
    let Ok(selector) = gpu.facts.name.to_uppercase().parse::<Selector>();
    assert_eq!(Gpu::open(&selector).unwrap().facts.name, gpu.facts.name);
}

#[test]
fn an_unknown_adapter_is_an_error_that_lists_what_there_is() {
    let name = open().facts.name;
    let Ok(selector) = "no such adapter".parse::<Selector>();
    let error = Gpu::open(&selector).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    assert!(message.contains("'no such adapter'"), "{message}");
    assert!(message.contains(&name), "{message}");
}

#[test]
fn a_recording_runs_in_order_with_copies_in_between() {
    let gpu = open();
    let n = 1000;
    let memory = Memory::poisoned(&gpu, &[3 * 1024, n], &[n, n]).unwrap();
    let x = arena(0, 0, n);
    let y = arena(0, 1024, n);
    let values: Vec<f32> = (0..n).map(|i| i as f32 * 0.25 - 7.0).collect();
    memory.write(x, &values).unwrap();
    let (t0, t1) = (temporary(0, n), temporary(1, n));
    let commands = vec![
        Command::Dispatch(fill(t0, "2.0 * e0[i]", &[x])),
        Command::Dispatch(fill(t1, "e0[i] + e1[i]", &[t0, x])),
        Command::Copy { from: t1, to: y },
        Command::Copy {
            from: y,
            to: arena(1, 0, n),
        },
        Command::Dispatch(fill(t1, "0.0", &[])),
    ];
    let mut executable = Executable::new(&gpu, &memory, &recording(commands)).unwrap();
    executable.run(&gpu, &StepValues::default()).unwrap();
    let expected: Vec<f32> = values.iter().map(|v| 3.0 * v).collect();
    assert_eq!(memory.read(y).unwrap(), expected);
    assert_eq!(memory.read(arena(1, 0, n)).unwrap(), expected);
    assert_eq!(memory.read(x).unwrap(), values);
    assert_eq!(memory.read(t1).unwrap(), vec![0.0; n]);
    // What no command touches stays zero.
    let rest = arena(0, 1024 + n, 3 * 1024 - 1024 - n);
    assert_eq!(memory.read(rest).unwrap(), vec![0.0; rest.len]);
}

#[test]
fn each_run_sees_its_own_step_values() {
    let gpu = open();
    let memory = Memory::poisoned(&gpu, &[8 * ALIGNMENT], &[]).unwrap();
    // More runs than may be in flight, nothing waits in between; each adds one
    // line to the history, so a value seen by the wrong run shows.
    let value = "select(y[i], f32(step.counter) + step.learning_rate, i == step.counter)";
    let all = arena(0, 0, 8 * ALIGNMENT);
    let commands = vec![Command::Dispatch(fill(all, value, &[]))];
    let mut executable = Executable::new(&gpu, &memory, &recording(commands)).unwrap();
    for step in 0..20 {
        executable.run(&gpu, &counter(step)).unwrap();
    }
    let values = memory.read(all).unwrap();
    for (i, value) in values.iter().enumerate() {
        let expected = if i < 20 { i as f32 + 0.5 } else { 0.0 };
        assert_eq!(*value, expected, "element {i}");
    }
}

#[test]
fn a_long_recording_is_submitted_in_parts_that_keep_the_order() {
    let gpu = open();
    let memory = Memory::poisoned(&gpu, &[1, 1], &[]).unwrap();
    let (a, b) = (arena(0, 0, 1), arena(1, 0, 1));
    let commands = (0..300)
        .map(|n| {
            let (from, to) = if n % 2 == 0 { (a, b) } else { (b, a) };
            match n % 7 {
                6 => Command::Copy { from, to },
                // Not commutative: a swapped pair gives another value.
                k => Command::Dispatch(fill(to, &format!("e0[0] * 0.5 + {k}.0"), &[from])),
            }
        })
        .collect();
    let mut executable = Executable::new(&gpu, &memory, &recording(commands)).unwrap();
    executable.run(&gpu, &StepValues::default()).unwrap();
    let mut expected = 0f32;
    for n in 0..300 {
        if n % 7 != 6 {
            expected = expected * 0.5 + (n % 7) as f32;
        }
    }
    assert_eq!(memory.read(a).unwrap(), [expected]);
}

#[test]
fn results_come_back_in_order_without_waiting() {
    let gpu = open();
    let memory = Memory::poisoned(&gpu, &[3], &[]).unwrap();
    let loss = arena(0, 0, 3);
    let commands = vec![Command::Dispatch(fill(
        loss,
        "f32(step.counter * 10u + i)",
        &[],
    ))];
    let mut executable = Executable::new(&gpu, &memory, &recording(commands)).unwrap();
    let mut readback = Readback::new(&gpu, 3).unwrap();
    let mut arrived = Vec::new();
    for step in 0..23 {
        executable.run(&gpu, &counter(step)).unwrap();
        readback
            .request(&memory, loss, 100 + u64::from(step))
            .unwrap();
        if step % 3 == 0 {
            arrived.extend(readback.ready().unwrap());
        }
    }
    arrived.extend(readback.finish().unwrap());
    let expected: Vec<(u64, Vec<f32>)> = (0..23u8)
        .map(|step| {
            let first = f32::from(step) * 10.0;
            (100 + u64::from(step), vec![first, first + 1.0, first + 2.0])
        })
        .collect();
    assert_eq!(arrived, expected);
    assert!(readback.finish().unwrap().is_empty());
    let text = message(readback.request(&memory, arena(0, 0, 4), 0));
    assert!(text.contains("a0:4"), "{text}");
}

#[test]
fn poisoned_temporaries_are_nan_and_arenas_zero() {
    let gpu = open();
    // One larger than the piece that the poison is copied in.
    let sizes = [5, 300_001];
    let memory = Memory::poisoned(&gpu, &[64], &sizes).unwrap();
    let poison = |memory: &Memory| {
        for (index, len) in sizes.into_iter().enumerate() {
            let values = memory.read(temporary(index, len)).unwrap();
            assert!(values.iter().all(|v| v.to_bits() == POISON_BITS));
        }
    };
    assert!(f32::from_bits(POISON_BITS).is_nan());
    poison(&memory);
    memory
        .write(temporary(1, 300_001), &vec![1.0; 300_001])
        .unwrap();
    assert_eq!(memory.read(temporary(1, 3)).unwrap(), [1.0; 3]);
    memory.poison_temporaries().unwrap();
    poison(&memory);
    assert_eq!(memory.read(arena(0, 0, 64)).unwrap(), [0.0; 64]);
    let plain = Memory::new(&gpu, &[], &[7]).unwrap();
    assert_eq!(plain.read(temporary(0, 7)).unwrap(), [0.0; 7]);
}

#[test]
fn a_buffer_beyond_the_limit_is_refused_with_numbers() {
    let gpu = open();
    let limit = gpu.facts.limits.max_buffer;
    let elements = usize::try_from(limit / 4).unwrap() + 1;
    let text = message(Memory::new(&gpu, &[1], &[1, elements]));
    assert!(text.contains("temporary 1"), "{text}");
    assert!(text.contains(&limit.to_string()), "{text}");
    assert!(text.contains("smaller batch"), "{text}");
    // The device still works.
    gpu.check().unwrap();
    let memory = Memory::new(&gpu, &[4], &[]).unwrap();
    assert_eq!(memory.read(arena(0, 0, 4)).unwrap(), [0.0; 4]);
}

/// In a process of its own that may have 3 GiB.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "needs a driver that keeps account of the processor's memory: make test-second"]
fn memory_that_there_is_not_is_refused_and_the_rest_remains() {
    const LIMITED: &str = "GPUGAN_TEST_LIMITED";
    if std::env::var_os(LIMITED).is_some() {
        return fill_memory();
    }
    let this = std::env::current_exe().unwrap();
    let name = "gpu::memory_that_there_is_not_is_refused_and_the_rest_remains";
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -v 3145728 && exec \"$0\" \"$@\""])
        .arg(this)
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(LIMITED, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{said}");
    println!("{printed}");
    assert!(printed.contains("refused: "), "{printed}{said}");
}

/// Takes memory until there is no more.
#[cfg(target_os = "linux")]
fn fill_memory() {
    let gpu = open();
    let elements = usize::try_from(gpu.facts.limits.max_buffer.min(128 << 20) / 4).unwrap();
    let mut taken = Vec::new();
    let refusal = loop {
        match Memory::new(&gpu, &[elements], &[]) {
            Ok(memory) => taken.push(memory),
            Err(error) => break error.to_string(),
        }
        assert!(taken.len() < 64, "8 GiB of 3");
    };
    println!("refused: {refusal}");
    assert!(refusal.contains("out of memory"), "{refusal}");
    assert!(refusal.contains("smaller batch"), "{refusal}");
    // What is left must be enough for a driver's own small things.
    taken.truncate(2);
    let first = taken.swap_remove(0);
    assert_eq!(first.read(arena(0, 0, 4)).unwrap(), [0.0; 4]);
    drop(taken);
    gpu.check().unwrap();
    let memory = Memory::new(&gpu, &[4], &[]).unwrap();
    assert_eq!(memory.read(arena(0, 0, 4)).unwrap(), [0.0; 4]);
}

#[test]
fn slices_outside_of_memory_are_refused() {
    let gpu = open();
    let memory = Memory::new(&gpu, &[64], &[]).unwrap();
    for slice in [
        arena(0, 0, 65),
        arena(1, 0, 1),
        temporary(0, 1),
        arena(0, 0, 0),
    ] {
        let text = message(memory.read(slice));
        assert!(text.contains(&slice.to_string()), "{text}");
        message(memory.write(slice, &vec![0.0; slice.len]));
        message(Readback::new(&gpu, 99).unwrap().request(&memory, slice, 0));
    }
    message(memory.write(arena(0, 0, 2), &[0.0; 3]));
}

#[test]
fn faulty_recordings_are_refused_before_they_run() {
    let gpu = open();
    let memory = Memory::new(&gpu, &[256, 256], &[]).unwrap();
    let build = |command| Executable::new(&gpu, &memory, &recording(vec![command]));
    let (a, b) = (arena(0, 0, 10), arena(1, 0, 10));

    let text = message(build(Command::Dispatch(fill(
        a,
        "e0[i]",
        &[arena(0, 64, 10)],
    ))));
    assert!(text.contains("read and written"), "{text}");

    let text = message(build(Command::Dispatch(fill(arena(0, 3, 10), "0.0", &[]))));
    assert!(text.contains("a0+3:10"), "{text}");

    let mut dispatch = fill(a, "0.0", &[]);
    dispatch.workgroups[1] = 65_536;
    let text = message(build(Command::Dispatch(dispatch)));
    assert!(text.contains("1x65536x1 workgroups"), "{text}");

    let mut dispatch = fill(a, "e0[i]", &[b]);
    dispatch.bindings.pop();
    let text = message(build(Command::Dispatch(dispatch)));
    assert!(text.contains("declares 2 storage bindings"), "{text}");

    let mut dispatch = fill(a, "e0[i]", &[b]);
    dispatch.bindings[1].access = Access::Write;
    let text = message(build(Command::Dispatch(dispatch)));
    assert!(text.contains("plain of shaders/fill.wgsl"), "{text}");

    let text = message(build(Command::Dispatch(fill(a, "unknown", &[]))));
    assert!(text.contains("shaders/fill.wgsl:"), "{text}");

    for to in [arena(1, 0, 9), arena(0, 64, 10)] {
        let text = message(build(Command::Copy { from: a, to }));
        assert!(text.contains("cannot copy a0:10"), "{text}");
    }
    // Refusals leave the device usable.
    let mut executable = build(Command::Dispatch(fill(a, "4.0", &[]))).unwrap();
    executable.run(&gpu, &StepValues::default()).unwrap();
    assert_eq!(memory.read(a).unwrap(), [4.0; 10]);
}

#[test]
fn many_kernels_compile_at_once_and_a_faulty_one_is_named() {
    let gpu = open();
    let n = 48;
    let memory = Memory::poisoned(&gpu, &[n * ALIGNMENT], &[]).unwrap();
    let place = |k: usize| arena(0, k * ALIGNMENT, 1 + k);
    let mut commands: Vec<Command> = (0..n)
        .map(|k| Command::Dispatch(fill(place(k), &format!("{k}.0"), &[])))
        .collect();
    let mut executable = Executable::new(&gpu, &memory, &recording(commands.clone())).unwrap();
    executable.run(&gpu, &StepValues::default()).unwrap();
    for k in 0..n {
        assert_eq!(memory.read(place(k)).unwrap(), vec![k as f32; 1 + k]);
    }
    // All but the faulty ones are compiled already, and again for a new device.
    commands[n / 2] = Command::Dispatch(fill(place(0), "first_fault", &[]));
    commands[n - 1] = Command::Dispatch(fill(place(0), "second_fault", &[]));
    let other = open();
    let elsewhere = Memory::new(&other, &[n * ALIGNMENT], &[]).unwrap();
    for (gpu, memory) in [(&gpu, &memory), (&other, &elsewhere)] {
        let text = message(Executable::new(gpu, memory, &recording(commands.clone())));
        assert!(text.contains("first_fault"), "{text}");
        gpu.check().unwrap();
    }
}

#[test]
fn a_profile_has_a_time_for_each_dispatch() {
    let gpu = open();
    let memory = Memory::poisoned(&gpu, &[200_000, 200_000], &[]).unwrap();
    let (a, b) = (arena(0, 0, 200_000), arena(1, 0, 200_000));
    let mut commands: Vec<Command> = (0..70)
        .map(|_| Command::Dispatch(fill(arena(0, 0, 1), "1.0", &[])))
        .collect();
    commands[1] = Command::Copy { from: a, to: b };
    commands[2] = Command::Dispatch(fill(a, "sqrt(f32(i) * step.learning_rate)", &[]));
    let mut executable = Executable::new(&gpu, &memory, &recording(commands)).unwrap();
    let times = executable.profile(&gpu, &counter(1)).unwrap();
    let indices: Vec<usize> = times.iter().map(|(index, _)| *index).collect();
    let expected: Vec<usize> = (0..70).filter(|index| *index != 1).collect();
    assert_eq!(indices, expected);
    assert!(times[1].1 > 0, "{times:?}");
    // A profile is a run: its results are the same.
    assert_eq!(memory.read(arena(0, 0, 3)).unwrap()[2], 1.0);
}
