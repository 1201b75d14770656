//! Models whose images are of a class: sizes, what they take, what does not go
//! with them, and how the class reaches the images. What needs no device.

use std::collections::HashMap;
use std::sync::Arc;

use gpugan::Error;
use gpugan::config::Config;
use gpugan::graph::{Graph, NodeId, Role};
use gpugan::metrics::{Rows, neighbours};
use gpugan::nn::{Init, Mode, Net, one_hot};
use gpugan::ops::Facts;
use gpugan::reference::{Tensor, evaluate};
use gpugan::systems::gan::{Gan, conditional};
use gpugan::systems::{self, Given, Network, Source, System};

use crate::preset::{blueprint, changed};
use crate::usage::refused;

/// What `train_cond_dcgan.py` has instead of the preset's small sizes.
const FULL: [&str; 3] = ["model.latent=100", "model.width=64", "model.units=1024"];

/// Residual networks of classes, narrow.
const RESIDUAL: [&str; 3] = [
    "model.architecture=resnet",
    "model.condition=batch-norm",
    "model.width=8",
];

fn open(config: &Config) -> Arc<dyn System> {
    systems::open(config, &Given::presumed(config, 1)).unwrap()
}

fn network(config: &Config, name: &str) -> Network {
    let networks = open(config).networks().unwrap().into_iter();
    networks.into_iter().find(|n| n.name == name).unwrap()
}

fn shape(network: &Network, tensor: &str) -> Vec<usize> {
    let name = format!("{}.{tensor}", network.name);
    let found = network.tensors.iter().find(|known| known.name == name);
    found.unwrap_or_else(|| panic!("no {name}")).shape.to_vec()
}

#[test]
fn full_size_has_the_weights_of_the_program_that_came_with_the_paper() {
    let config = changed("cdcgan28", &FULL);
    let g = network(&config, "G");
    assert_eq!(g.count(), 6_820_538);
    assert_eq!(shape(&g, "dense1.weight"), [1024, 110]);
    assert_eq!(shape(&g, "dense2.weight"), [6272, 1034]);
    assert_eq!(shape(&g, "conv1.weight"), [138, 64, 5, 5]);
    assert_eq!(shape(&g, "conv2.weight"), [74, 1, 5, 5]);
    let d = network(&config, "D");
    assert_eq!(d.count(), 6_688_202);
    assert_eq!(shape(&d, "conv1.weight"), [64, 11, 5, 5]);
    assert_eq!(shape(&d, "conv2.weight"), [128, 74, 5, 5]);
    assert_eq!(shape(&d, "dense1.weight"), [1024, 6282]);
    assert_eq!(shape(&d, "dense2.weight"), [1, 1034]);
    // Nothing else is trained: no bias, no gain, no offset.
    assert_eq!(g.tensors.iter().filter(|t| t.is_trained()).count(), 4);
    assert_eq!(d.tensors.iter().filter(|t| t.is_trained()).count(), 4);

    let wide = changed("cdcgan32", &[]);
    assert_eq!(
        network(&wide, "G").count(),
        110 * 1024 + 1034 * 8192 + 138 * 64 * 25 + 74 * 25
    );
    assert_eq!(
        network(&wide, "D").count(),
        64 * 11 * 25 + 128 * 74 * 25 + (8192 + 10) * 1024 + 1034
    );
}

#[test]
fn a_condition_adds_tables_of_classes_to_residual_networks() {
    let with = changed("sngan", &RESIDUAL);
    let without = changed("sngan", &["model.architecture=resnet", "model.width=8"]);
    // Seven by seven doubled twice: five batch normalisations of 8 channels, each
    // with a gain and an offset for each of 10 classes instead of for all.
    let [g, plain] = [&with, &without].map(|config| network(config, "G"));
    assert_eq!(g.count() - plain.count(), 5 * 2 * 8 * (10 - 1));
    assert_eq!(shape(&g, "blocks.0.norm1.gain.weight"), [10, 8]);
    let [d, plain] = [&with, &without].map(|config| network(config, "D"));
    assert_eq!(d.count() - plain.count(), 10 * 8);
    // A table is a weight, so that its norm is bounded too.
    assert_eq!(shape(&d, "embedding.weight_orig"), [10, 8]);

    let telling = [&RESIDUAL[..], &["loss.class_weight_d=1"]].concat();
    let telling = network(&changed("sngan", &telling), "D");
    assert_eq!(telling.count() - d.count(), 10 * 8 + 10);
}

#[test]
fn batches_and_samples_have_labels_where_there_are_classes() {
    let configs = [changed("cdcgan28", &[]), changed("lsgan", &RESIDUAL)];
    for config in configs {
        let system = open(&config);
        assert_eq!(system.classes().len(), 10);
        let fields = system.fields();
        let labels = fields.iter().find(|field| field.name == "labels").unwrap();
        assert_eq!(labels.shape(32).to_vec(), [32, 1]);
        assert!(matches!(labels.source, Source::Column { stream: 0, .. }));
        // Each update has a batch of its own, the generator's too.
        for pass in system.passes() {
            assert!(pass.takes.contains(&"labels") && pass.takes.contains(&"real"));
        }
        let sample = &system.views()[0];
        let inputs: Vec<&str> = sample.inputs.iter().map(|field| field.name).collect();
        assert_eq!(inputs, ["z", "labels"]);

        let blueprint = blueprint(&config, 1, &Facts::SOFTWARE);
        let shape_of = |name: &str| blueprint.places.get(name).unwrap().0.to_vec();
        let batch = config.batch;
        assert_eq!(shape_of("labels"), [batch, 1]);
        assert_eq!(shape_of("sample.images"), [batch, 1, 28, 28]);
    }
    let plain = open(&changed("dcgan28", &[]));
    assert!(plain.classes().is_empty());
    assert!(plain.fields().iter().all(|field| field.name != "labels"));
}

#[test]
fn what_does_not_go_with_classes_is_refused() {
    let with = |preset: &str, changes: &[&str]| {
        let changes = changes
            .iter()
            .map(|text| gpugan::config::assignment(text).unwrap());
        systems::presets::load(preset).unwrap().with(changes)
    };
    refused(with("cdcgan28", &["loss.pack=2"]), &["several classes"]);
    refused(
        with("cdcgan28", &["loss.penalty=r1"]),
        &["loss.penalty does not fit", "cdcgan"],
    );
    refused(
        with("cdcgan28", &["model.spectral_norm=true"]),
        &["model.spectral_norm does not fit"],
    );
    refused(
        with("cdcgan28", &["loss.class_weight_d=1"]),
        &["tells classes", "resnet"],
    );
    refused(with("cdcgan28", &["data.size=30"]), &["data.size = 32"]);
    let residual = |more: &[&str]| with("sngan", &[&RESIDUAL[..], more].concat());
    refused(
        residual(&["model.projection=false"]),
        &["what its classes are"],
    );
    refused(
        residual(&["loss.class_weight_g=1"]),
        &["never learns", "loss.class_weight_d = 1.0"],
    );
    let both = [
        "model.projection=false",
        "loss.class_weight_d=1",
        "loss.class_weight_g=0.1",
    ];
    residual(&both).unwrap();

    let unlabelled = Gan::new(&changed("cdcgan28", &[]), &Given::images([1, 28, 28]));
    refused(unlabelled.map(|_| ()), &["0 classes", "labels"]);
}

#[test]
fn networks_are_made_conditional_where_they_can_be() {
    let known = conditional(changed("cdcgan28", &[])).unwrap();
    assert_eq!(known, changed("cdcgan28", &[]));
    let residual = ["model.architecture=resnet"];
    let made = conditional(changed("sngan", &residual)).unwrap();
    assert_eq!(
        made,
        changed(
            "sngan",
            &["model.architecture=resnet", "model.condition=batch-norm"]
        )
    );
    refused(
        conditional(changed("mlp", &[])),
        &["model.architecture = mlp", "cdcgan28"],
    );
    refused(
        conditional(changed("classifier", &[])),
        &["classifier", "cdcgan28"],
    );
}

#[test]
fn a_row_of_a_table_is_that_of_the_class() {
    let mut graph = Graph::new();
    let mut net = Net::new("N", Mode::TRAIN);
    let labels = graph.declare("labels", [3, 1], Role::Input).unwrap();
    let labels = graph.state(labels);
    let classes = one_hot(&mut graph, labels, 4).unwrap();
    let rows = net
        .embedding(&mut graph, "table", classes, 2, Init::Constant(0.0))
        .unwrap();
    let tensor = |shape: &[usize], data: Vec<f64>| Tensor::new(shape.to_vec(), data).unwrap();
    let table = (0..8).map(f64::from).collect();
    let states = HashMap::from([
        ("labels".to_owned(), tensor(&[3, 1], vec![2.0, 0.0, 3.0])),
        ("N.table.weight".to_owned(), tensor(&[4, 2], table)),
    ]);
    let found = values(&graph, &[classes, rows], &states);
    assert_eq!(
        found[0].data,
        [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    );
    assert_eq!(found[1].data, [4.0, 5.0, 0.0, 1.0, 6.0, 7.0]);
    // Labels are a column.
    let row = graph.constant(0.0, [3]);
    assert!(matches!(
        one_hot(&mut graph, row, 4),
        Err(Error::Shape { .. })
    ));
}

/// The values of nodes where the persistent tensors are these.
fn values(graph: &Graph, nodes: &[NodeId], tensors: &HashMap<String, Tensor>) -> Vec<Tensor> {
    let states = graph.states().iter().filter_map(|state| {
        let id = graph.find_state(&state.name)?;
        Some((id, tensors.get(&state.name)?.clone()))
    });
    evaluate(graph, nodes, &states.collect(), 0, 0).unwrap()
}

/// Images of one latent vector for these classes, and their scores as of each class,
/// by networks whose tensors are their initial ones with noise on them.
fn looked_at(config: &Config, labels: [f64; 3]) -> [Tensor; 2] {
    let given = Given::presumed(config, 1);
    let gan = Gan::new(config, &given).unwrap();
    let mut graph = Graph::new();
    let declared = [("z", vec![3, gan.pair().latent()]), ("labels", vec![3, 1])];
    let [z, classes] = declared.map(|(name, shape)| {
        let id = graph.declare(name, shape, Role::Input).unwrap();
        graph.state(id)
    });
    let mut nets = [
        gan.pair().net("G", Mode::EVAL, false),
        gan.pair().net("D", Mode::EVAL, true),
    ];
    let images = gan
        .pair()
        .generator(&mut graph, &mut nets[0], z, Some(classes));
    let images = images.unwrap();
    let judged = gan
        .pair()
        .discriminator(&mut graph, &mut nets[1], images, Some(classes));
    let judged = judged.unwrap();
    let mut tensors = HashMap::new();
    for parameter in nets.iter().flat_map(Net::parameters) {
        let start = parameter.init.draw(&parameter.shape, 0, &parameter.name);
        let mut element = 0;
        let tensor = Tensor::from_fn(parameter.shape.clone(), |_| {
            element += 1;
            let noise = gpugan::random::normal(element, parameter.name.len() as u32, 0, 1);
            f64::from(start[element as usize - 1]) + 0.05 * noise.abs()
        });
        tensors.insert(parameter.name.clone(), tensor);
    }
    let mut element = 0;
    let one: Vec<f64> = (0..gan.pair().latent())
        .map(|_| {
            element += 1;
            gpugan::random::normal(element, 9, 0, 1)
        })
        .collect();
    let latents = Tensor::new([3, one.len()], one.repeat(3)).unwrap();
    tensors.insert("z".into(), latents);
    let labels = Tensor::new([3, 1], labels.to_vec()).unwrap();
    tensors.insert("labels".into(), labels);
    let found = values(&graph, &[images, judged.logits], &tensors);
    found.try_into().unwrap()
}

#[test]
fn images_and_scores_depend_on_the_class() {
    let narrow = ["model.width=4", "model.units=8", "model.latent=6"];
    let residual = [&RESIDUAL[..], &["model.width=4", "data.size=16"]].concat();
    for config in [changed("cdcgan28", &narrow), changed("lsgan", &residual)] {
        let [images, scores] = looked_at(&config, [7.0, 7.0, 2.0]);
        let one = images.data.len() / 3;
        let [first, second, third] = [0, 1, 2].map(|i| &images.data[i * one..][..one]);
        assert_eq!(first, second);
        let apart = |a: &[f64], b: &[f64]| {
            let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
            differences.fold(0.0, f64::max)
        };
        assert!(apart(first, third) > 1e-3, "{}", apart(first, third));
        assert_eq!(scores.data[0], scores.data[1]);
        assert!((scores.data[0] - scores.data[2]).abs() > 1e-4, "{scores:?}");
    }
}

#[test]
fn the_nearest_is_found_and_of_equals_the_first() {
    let rows = |values: &[f32]| Rows {
        values: values.to_vec(),
        width: 2,
    };
    let known = rows(&[0.0, 0.0, 3.0, 4.0, 0.0, 0.0, -1.0, 1.0]);
    let found = neighbours::nearest(&known, &rows(&[3.0, 3.0, 0.1, 0.1, -2.0, 5.0, 0.0, -9.0]));
    assert_eq!(found, [1, 0, 3, 0]);
}
