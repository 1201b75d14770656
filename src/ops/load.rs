//! How kernels find their inputs: strides, merged axes and the WGSL text that
//! turns a thread's number into addresses.

use std::fmt::Write;

/// How a kernel steps through one tensor: element `(i0, i1, ...)` of the
/// kernel's axes lies at `offset + sum of i * stride`, in f32 elements. Stride
/// 0 repeats the same element.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Load {
    /// One stride per axis of the kernel.
    pub strides: Vec<usize>,
    /// Address of element 0.
    pub offset: usize,
}

impl Load {
    /// A tensor that lies in memory in the order of `sizes`, from its start.
    pub fn contiguous(sizes: &[usize]) -> Self {
        let mut strides = vec![0; sizes.len()];
        let mut step = 1;
        for (stride, size) in strides.iter_mut().zip(sizes).rev() {
            *stride = step;
            step *= size;
        }
        Self { strides, offset: 0 }
    }
}

/// Axes with the strides of several tensors along them, after neighbouring
/// axes were merged wherever all the tensors allow it: every axis left costs a
/// division a thread.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Axes {
    /// Outermost first; sizes of 1 are gone.
    pub(super) sizes: Vec<usize>,
    pub(super) strides: Vec<Vec<usize>>,
}

impl Axes {
    /// Merges the axes of `sizes`; `tensors` are strides along them.
    pub(super) fn merged(sizes: &[usize], tensors: &[&[usize]]) -> Self {
        let mut merged = Self {
            sizes: Vec::new(),
            strides: vec![Vec::new(); tensors.len()],
        };
        for axis in (0..sizes.len()).filter(|&axis| sizes[axis] != 1) {
            let even = merged.strides.iter().zip(tensors).all(|(known, tensor)| {
                known
                    .last()
                    .is_some_and(|&outer| outer == tensor[axis] * sizes[axis])
            });
            let joins = !merged.sizes.is_empty() && even;
            if joins {
                // `joins` says that there is a last axis.
                *merged.sizes.last_mut().unwrap_or(&mut 0) *= sizes[axis];
            } else {
                merged.sizes.push(sizes[axis]);
            }
            for (known, tensor) in merged.strides.iter_mut().zip(tensors) {
                if joins {
                    known.pop();
                }
                known.push(tensor[axis]);
            }
        }
        merged
    }

    /// Where four neighbours along the innermost axis are no group, walks another axis
    /// innermost, along which they are and a tensor that has all axes lies densely: it
    /// moves by vectors then.
    pub(super) fn walk_fours(&mut self) {
        let Some(inner) = self.sizes.len().checked_sub(1) else {
            return;
        };
        let dense = |axis: usize| {
            let mut tensors = self.strides.iter();
            tensors.any(|strides| strides[axis] == 1 && !strides.contains(&0))
        };
        let mut fours = (0..=inner).filter(|&axis| self.sizes[axis].is_multiple_of(4));
        if !self.sizes[inner].is_multiple_of(4)
            && let Some(axis) = fours.find(|&axis| dense(axis))
        {
            self.sizes[axis..].rotate_left(1);
            self.strides
                .iter_mut()
                .for_each(|s| s[axis..].rotate_left(1));
        }
    }

    /// Number of places along each axis' inner neighbours: what to divide a
    /// linear index by to get the axis' coordinate.
    fn divisor(&self, axis: usize) -> usize {
        self.sizes[axis + 1..].iter().product()
    }

    /// Name of the coordinate along `axis`, in the code of [`Axes::addresses`].
    fn name(&self, prefix: &str, axis: usize) -> String {
        format!("{prefix}{axis}")
    }

    /// WGSL: declarations of the needed coordinates, named `prefix` and a
    /// number, and for each tensor its address (without offset) at the place
    /// number `index` of the axes.
    pub(super) fn addresses(&self, index: &str, prefix: &str) -> (String, Vec<String>) {
        let whole = Load::contiguous(&self.sizes).strides;
        let mut needed = vec![false; self.sizes.len()];
        let mut expressions = Vec::new();
        for strides in &self.strides {
            if strides.iter().all(|&stride| stride == 0) {
                expressions.push("0u".to_owned());
                continue;
            }
            if *strides == whole {
                expressions.push(index.to_owned());
                continue;
            }
            let mut terms = Vec::new();
            for (axis, &stride) in strides.iter().enumerate().filter(|(_, s)| **s != 0) {
                needed[axis] = true;
                terms.push(scaled(&self.name(prefix, axis), stride));
            }
            expressions.push(terms.join(" + "));
        }
        let mut lets = String::new();
        for axis in (0..self.sizes.len()).filter(|&axis| needed[axis]) {
            let outermost = axis == 0;
            let value = coordinate(index, self.divisor(axis), self.sizes[axis], outermost);
            push_let(&mut lets, &self.name(prefix, axis), &value);
        }
        (lets, expressions)
    }
}

/// WGSL: the coordinate along one axis of a linear index.
pub(super) fn coordinate(index: &str, divisor: usize, size: usize, outermost: bool) -> String {
    match (divisor, outermost) {
        (1, true) => index.to_owned(),
        (1, false) => format!("{index} % {size}u"),
        (_, true) => format!("{index} / {divisor}u"),
        (_, false) => format!("({index} / {divisor}u) % {size}u"),
    }
}

/// WGSL: `name * stride`.
pub(super) fn scaled(name: &str, stride: usize) -> String {
    if stride == 1 {
        name.to_owned()
    } else {
        format!("{name} * {stride}u")
    }
}

/// WGSL: `address + offset`.
pub(super) fn shifted(address: &str, offset: usize) -> String {
    match (address, offset) {
        (_, 0) => address.to_owned(),
        ("0u", _) => format!("{offset}u"),
        _ => format!("{address} + {offset}u"),
    }
}

/// Appends `let name = value;` as a line of a function.
pub(super) fn push_let(code: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(code, "    let {name} = {value};");
}

/// WGSL: declarations of the coordinates `i<first>`, `i<first + 1>`, ... of
/// `sizes` that `body` mentions, from a linear index.
pub(super) fn mentioned_coordinates(
    body: &str,
    index: &str,
    sizes: &[usize],
    first: usize,
) -> String {
    let mut lets = String::new();
    for axis in 0..sizes.len() {
        let name = format!("i{}", first + axis);
        if mentions(body, &name) {
            let divisor = sizes[axis + 1..].iter().product();
            push_let(
                &mut lets,
                &name,
                &coordinate(index, divisor, sizes[axis], false),
            );
        }
    }
    lets
}

/// WGSL: declarations of the coordinates `names` along `sizes` of element `id`
/// of a tensor with these strides, counted in the order of its memory.
pub(super) fn place(names: &[&str], sizes: &[usize], strides: &[usize]) -> String {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&axis| strides[axis]);
    let mut divisors = vec![1; sizes.len()];
    let mut below = 1;
    for axis in order {
        divisors[axis] = below;
        below *= sizes[axis];
    }
    let mut lets = String::new();
    for axis in 0..sizes.len() {
        let outermost = divisors[axis] * sizes[axis] == below;
        let value = match sizes[axis] {
            1 => "0u".to_owned(),
            size => coordinate("id", divisors[axis], size, outermost),
        };
        push_let(&mut lets, names[axis], &value);
    }
    lets
}

/// WGSL: the address of the element at coordinates `names`.
pub(super) fn address(names: &[&str], load: &Load) -> String {
    let terms: Vec<String> = names
        .iter()
        .zip(&load.strides)
        .filter(|&(_, &stride)| stride != 0)
        .map(|(name, &stride)| scaled(name, stride))
        .collect();
    if terms.is_empty() {
        return format!("{}u", load.offset);
    }
    shifted(&terms.join(" + "), load.offset)
}

/// Whether WGSL text contains `name` as a word.
pub(super) fn mentions(code: &str, name: &str) -> bool {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|word| word == name)
}

/// WGSL: the declaration of a storage binding.
pub(super) fn binding(number: usize, access: &str, name: &str, element: &str) -> String {
    format!("@group(0) @binding({number}) var<storage, {access}> {name}: array<{element}>;\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_merge_where_all_tensors_allow_it() {
        let whole = Load::contiguous(&[2, 3, 4, 5]).strides;
        let axes = Axes::merged(&[2, 3, 4, 5], &[&whole, &whole]);
        assert_eq!(axes.sizes, [120]);
        // A value per channel keeps the channel axis apart.
        let axes = Axes::merged(&[2, 3, 4, 5], &[&whole, &[0, 1, 0, 0]]);
        assert_eq!(axes.sizes, [2, 3, 20]);
        assert_eq!(axes.strides[1], [0, 1, 0]);
        let (lets, addresses) = axes.addresses("id", "a");
        assert_eq!(lets.trim(), "let a1 = (id / 20u) % 3u;");
        assert_eq!(addresses, ["id", "a1"]);
    }

    #[test]
    fn sizes_of_one_vanish_and_repeats_merge() {
        let axes = Axes::merged(&[1, 4, 1, 6], &[&[9, 0, 9, 0], &[7, 6, 7, 1]]);
        assert_eq!(axes.sizes, [24]);
        assert_eq!(axes.addresses("id", "a").1, ["0u", "id"]);
        assert!(
            Axes::merged(&[1, 1], &[&[3, 3]])
                .addresses("id", "a")
                .1
                .iter()
                .eq(["0u"])
        );
    }
}
