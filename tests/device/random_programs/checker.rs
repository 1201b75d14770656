//! A static checker of plans: runs a recording on value numbers instead of
//! values. Every kernel launch gives its output a number made of the kernel and
//! of the numbers it reads, so two recordings that compute the same from the
//! same leave equal numbers.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use gpugan::graph::{Group, Places, Program, Role};
use gpugan::ops::Facts;
use gpugan::plan::Plan;
use gpugan::recording::{
    ALIGNMENT, Access, Binding, Command, Dispatch, Kernel, Recording, Slice, Storage,
};

/// Storage buffers a stage may have, and workgroups along one dimension, by
/// WebGPU's defaults.
const MAX_BINDINGS: usize = 8;
const MAX_WORKGROUPS: u32 = 65_535;

/// Memory of value numbers, one for each [`ALIGNMENT`] elements, which no two
/// tensors share; `None` where nothing was written.
struct Memory {
    numbers: HashMap<Storage, Vec<Option<u64>>>,
    sizes: HashMap<Storage, usize>,
}

fn number(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

fn blocks(slice: Slice) -> std::ops::Range<usize> {
    slice.offset / ALIGNMENT..(slice.offset + slice.len).div_ceil(ALIGNMENT)
}

impl Memory {
    /// Arenas hold numbers of their own, temporaries nothing.
    fn new(places: &Places, recording: &Recording) -> Self {
        let mut memory = Self {
            numbers: HashMap::new(),
            sizes: HashMap::new(),
        };
        for (index, arena) in places.arenas().iter().enumerate() {
            let storage = Storage::Arena(index);
            let count = arena.len.div_ceil(ALIGNMENT);
            let held = (0..count).map(|block| Some(number((index, block))));
            memory.numbers.insert(storage, held.collect());
            memory.sizes.insert(storage, arena.len);
        }
        for (index, &len) in recording.temporaries.iter().enumerate() {
            let storage = Storage::Temporary(index);
            let count = len.div_ceil(ALIGNMENT);
            memory.numbers.insert(storage, vec![None; count]);
            memory.sizes.insert(storage, len);
        }
        memory
    }

    fn check(&self, slice: Slice) -> Result<(), String> {
        let inside = self
            .sizes
            .get(&slice.storage)
            .is_some_and(|&size| slice.offset + slice.len <= size);
        if inside && slice.offset.is_multiple_of(ALIGNMENT) {
            Ok(())
        } else {
            Err(format!("{slice} is no place in memory"))
        }
    }

    fn read(&self, slice: Slice) -> Result<Vec<u64>, String> {
        self.check(slice)?;
        self.numbers[&slice.storage][blocks(slice)]
            .iter()
            .map(|held| held.ok_or_else(|| format!("{slice} is read before it is written")))
            .collect()
    }

    fn write(&mut self, slice: Slice, numbers: &[u64]) -> Result<(), String> {
        self.check(slice)?;
        // Cannot fail: the storage of a checked slice exists.
        let held = self.numbers.get_mut(&slice.storage).unwrap();
        for (held, &number) in held[blocks(slice)].iter_mut().zip(numbers) {
            *held = Some(number);
        }
        Ok(())
    }

    /// `goes_on` says that the launch before wrote other parts of the output.
    fn launch(&mut self, dispatch: &Dispatch, goes_on: bool) -> Result<(), String> {
        let bindings = &dispatch.bindings;
        if bindings.len() > MAX_BINDINGS {
            return Err(format!("{} bindings", bindings.len()));
        }
        let of = |access| bindings.iter().filter(move |bound| bound.access == access);
        for written in of(Access::Write).map(|bound| bound.slice) {
            let same = |bound: &&Binding| bound.slice.storage == written.storage;
            if let Some(input) = of(Access::Read).find(same) {
                return Err(format!("{} is read, {written} written", input.slice));
            }
        }
        if !dispatch
            .workgroups
            .iter()
            .all(|count| (1..=MAX_WORKGROUPS).contains(count))
        {
            return Err(format!("{:?} workgroups", dispatch.workgroups));
        }
        let parts = parts(dispatch)?;
        if parts.len() != of(Access::Write).count() {
            return Err(format!(
                "{} parts of another number of outputs",
                parts.len()
            ));
        }
        for part in parts {
            self.compute(bindings, &part, goes_on)?;
        }
        Ok(())
    }

    fn compute(&mut self, bindings: &[Binding], part: &Part, goes_on: bool) -> Result<(), String> {
        let output = bindings[part.output];
        let inputs = part.inputs.iter().map(|&input| bindings[input]);
        if output.access != Access::Write || inputs.clone().any(|i| i.access != Access::Read) {
            return Err("not one output in front of the inputs".to_owned());
        }
        let read = inputs
            .map(|input| self.read(input.slice))
            .collect::<Result<Vec<_>, _>>()?;
        let written = output.slice;
        // A copy is the same value.
        if let ("copy", &[input]) = (&*part.label, &part.inputs[..])
            && bindings[input].slice.len == written.len
        {
            return self.write(written, &read[0]);
        }
        let before = if goes_on {
            self.read(written)?
        } else {
            Vec::new()
        };
        let value = number((&part.code, read, before));
        let count = blocks(written).len();
        let numbers: Vec<u64> = (0..count).map(|block| number((value, block))).collect();
        self.write(written, &numbers)
    }
}

/// What a launch makes of its inputs: one output, by number of binding.
struct Part {
    output: usize,
    inputs: Vec<usize>,
    /// The same for all that compute the same.
    code: String,
    label: String,
}

/// All outputs of a launch: one, or those of the maps in it, which have the same code
/// there as alone.
fn parts(dispatch: &Dispatch) -> Result<Vec<Part>, String> {
    let Kernel {
        file, constants, ..
    } = &dispatch.kernel;
    if *file != "map.wgsl" {
        return Ok(vec![Part {
            output: 0,
            inputs: (1..dispatch.bindings.len()).collect(),
            code: format!("{:?} {:?}", dispatch.kernel, dispatch.workgroups),
            label: dispatch.label.clone(),
        }]);
    }
    let snippet = |name: &str| {
        let mut snippets = dispatch.kernel.snippets.iter();
        let found = snippets.find(|(other, _)| *other == name);
        found.map_or("", |(_, text)| text)
    };
    // `... var<storage, read> x0: array<f32>;`
    let declared = snippet("bindings").lines().map(|line| {
        let named = line.split("> ").nth(1)?;
        named.trim_end_matches(';').split_once(": ")
    });
    let declared: Vec<(&str, &str)> = declared.collect::<Option<_>>().ok_or("odd bindings")?;
    let functions = snippet("functions").split("fn evaluate").skip(1);
    let functions = functions.map(|text| text.trim_start_matches(|c: char| c.is_ascii_digit()));
    let count = constants.iter().find(|(name, _)| *name == "COUNT");
    let all = count.ok_or("no COUNT")?.1.to_string();
    // Threads and code of each map.
    let mut moves: Vec<(String, String)> = Vec::new();
    let together = dispatch.kernel.variant == "together";
    if !together {
        moves.push((all.clone(), String::new()));
    }
    for line in snippet("moves").lines() {
        let threads = line
            .strip_prefix("    if (id < ")
            .and_then(|rest| rest.strip_suffix("u) {"));
        match (together, line, threads) {
            (true, "    {", _) => moves.push((all.clone(), String::new())),
            (true, _, Some(threads)) => moves.push((threads.to_owned(), String::new())),
            (true, "    }", _) => {}
            _ => {
                let (_, code) = moves.last_mut().ok_or("code of no map")?;
                *code += line;
            }
        }
    }
    let labels = dispatch.label.split("; ");
    let maps = moves.into_iter().zip(functions).zip(labels);
    maps.map(|(((threads, moves), function), label)| {
        let mut used: Vec<usize> = Vec::new();
        let mut code = format!("{threads}\n{function}\n");
        for word in moves.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
            let name = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            // Not `v0.y`.
            let indexed = word.strip_suffix('[');
            let binding = declared
                .iter()
                .position(|(other, _)| Some(*other) == indexed);
            match binding {
                Some(binding) => {
                    let place = used.iter().position(|&known| known == binding);
                    let place = place.unwrap_or_else(|| {
                        used.push(binding);
                        used.len() - 1
                    });
                    code += &format!("{place} {}[", declared[binding].1);
                }
                None if name.starts_with("evaluate") => code += &word[name.len()..],
                None => code += word,
            }
        }
        let is_output = |binding: &usize| declared[*binding].0.starts_with('y');
        let (outputs, inputs): (Vec<_>, Vec<_>) = used.into_iter().partition(is_output);
        match outputs[..] {
            [output] => Ok(Part {
                output,
                inputs,
                code,
                label: label.to_owned(),
            }),
            _ => Err(format!("{} outputs of a map", outputs.len())),
        }
    })
    .collect()
}

/// Runs a recording.
fn run(places: &Places, recording: &Recording) -> Result<Memory, String> {
    let mut memory = Memory::new(places, recording);
    let mut before: Option<&Dispatch> = None;
    for (index, command) in recording.commands.iter().enumerate() {
        let result = match command {
            Command::Dispatch(dispatch) => {
                // The parts of a concatenation are launches of their own.
                let goes_on = before.is_some_and(|before| {
                    dispatch.label.starts_with("Concat")
                        && before.label == dispatch.label
                        && before.bindings[0] == dispatch.bindings[0]
                });
                before = Some(dispatch);
                memory.launch(dispatch, goes_on)
            }
            Command::Copy { from, to } if from.len != to.len || from.storage == to.storage => {
                Err(format!("{from} cannot be copied to {to}"))
            }
            Command::Copy { from, to } => memory
                .read(*from)
                .and_then(|numbers| memory.write(*to, &numbers)),
        };
        result.map_err(|what| format!("command {index}: {what}\n{recording}"))?;
    }
    Ok(memory)
}

/// Plans a program and checks the plan: bindings, workgroups, places and reads
/// of every launch; that each assigned tensor ends as it does where the program
/// writes to fresh memory that nothing reads; and that nothing else changes.
pub(crate) fn check(program: &Program, places: &Places, facts: &Facts) -> Result<Plan, String> {
    let plan = Plan::new(program, places, facts).map_err(|error| error.to_string())?;
    let ended = run(places, &plan.recording)?;
    let (mut fresh, mut fresh_places) = (program.clone(), places.clone());
    fresh.assigns.clear();
    for (index, &(_, node)) in program.assigns.iter().enumerate() {
        let (name, shape) = (format!("fresh.{index}"), program.graph.shape(node).clone());
        let tensors = [(name.clone(), shape.clone())];
        fresh_places
            .add_group(Group::View(name.clone()), &tensors)
            .unwrap();
        let state = fresh.graph.declare(name, shape, Role::Output).unwrap();
        fresh.assign(state, node).unwrap();
    }
    let fresh_plan = Plan::new(&fresh, &fresh_places, facts).map_err(|error| error.to_string())?;
    let expected = run(&fresh_places, &fresh_plan.recording)?;
    let mut untouched = Memory::new(places, &plan.recording);
    for (index, (state, _)) in program.assigns.iter().enumerate() {
        let name = &program.graph.state_info(*state).name;
        let slice = |places: &Places, name: &str| places.get(name).unwrap().1;
        let place = slice(places, name);
        let wanted = expected.read(slice(&fresh_places, &format!("fresh.{index}")))?;
        if ended.read(place)? != wanted {
            return Err(format!("{name} has another value\n{}", plan.recording));
        }
        untouched.write(place, &wanted)?;
    }
    for arena in (0..places.arenas().len()).map(Storage::Arena) {
        if ended.numbers[&arena] != untouched.numbers[&arena] {
            return Err(format!("{arena:?} changed elsewhere\n{}", plan.recording));
        }
    }
    Ok(plan)
}
