//! Several assignments that read what the others write.

use gpugan::graph::{Binary, Graph, Group, NodeId, Places, Program, Role, Shape};
use gpugan::ops::Facts;

use super::checker::check;

/// New values of two tensors `a` and `b`.
type Source = (&'static str, fn(&mut Graph, [NodeId; 2]) -> NodeId);

const SOURCES: [Source; 6] = [
    ("5", |graph, _| graph.constant(5.0, [3])),
    ("a", |_, [a, _]| a),
    ("b", |_, [_, b]| b),
    ("a + 1", |graph, [a, _]| {
        graph.binary_scalar(Binary::Add, a, 1.0)
    }),
    ("b + 1", |graph, [_, b]| {
        graph.binary_scalar(Binary::Add, b, 1.0)
    }),
    ("a + b", |graph, [a, b]| graph.add(a, b).unwrap()),
];

fn tensor(name: &str) -> (String, Shape) {
    (name.to_owned(), [3].into())
}

#[test]
fn every_read_is_before_every_write() {
    let mut wrong = Vec::new();
    for (text_a, source_a) in SOURCES {
        for (text_b, source_b) in SOURCES {
            for together in [false, true] {
                let mut program = Program::default();
                let [a, b] =
                    ["a", "b"].map(|name| program.graph.declare(name, [3], Role::Buffer).unwrap());
                let nodes = [a, b].map(|state| program.graph.state(state));
                for (state, source) in [(a, source_a), (b, source_b)] {
                    let node = source(&mut program.graph, nodes);
                    program.assign(state, node).unwrap();
                }
                let mut places = Places::default();
                if together {
                    places
                        .add_group(Group::View("both".into()), &[tensor("a"), tensor("b")])
                        .unwrap();
                } else {
                    places
                        .add_group(Group::View("a".into()), &[tensor("a")])
                        .unwrap();
                    places
                        .add_group(Group::View("b".into()), &[tensor("b")])
                        .unwrap();
                }
                if let Err(what) = check(&program, &places, &Facts::SOFTWARE) {
                    wrong.push(format!(
                        "a <- {text_a}, b <- {text_b}, in one arena: {together}: {what}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// `whole` is all of the arena in which `a` and `b` lie.
#[test]
fn a_whole_arena_is_read_before_its_tensors_are_written() {
    for assigned in ["a", "b"] {
        let mut program = Program::default();
        let mut places = Places::default();
        places
            .add_group(Group::View("both".into()), &[tensor("a"), tensor("b")])
            .unwrap();
        places
            .add_group(Group::View("out".into()), &[tensor("out")])
            .unwrap();
        let (name, shape) = places
            .name_arenas(&Group::View("both".into()), "whole")
            .unwrap()
            .remove(0);
        let mut declare = |name: &str, shape: &Shape| {
            let role = Role::Buffer;
            program.graph.declare(name, shape.clone(), role).unwrap()
        };
        let target = declare(assigned, &[3].into());
        let out = declare("out", &[3].into());
        let whole = declare(&name, &shape);
        let new = program
            .graph
            .random(gpugan::graph::Distribution::Normal, [3]);
        program.assign(target, new).unwrap();
        let whole = program.graph.state(whole);
        let sum = program.graph.sum_all(whole).unwrap();
        let sum = program.graph.broadcast(sum, [3]).unwrap();
        let sum = program.graph.add(sum, new).unwrap();
        program.assign(out, sum).unwrap();
        if let Err(what) = check(&program, &places, &Facts::SOFTWARE) {
            panic!("{assigned} <- random: {what}");
        }
    }
}
