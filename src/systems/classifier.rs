//! A classifier of labelled images. Its last hidden layer are the features that
//! samples are scored with ([`crate::metrics`]).

use std::sync::Arc;

use super::{
    Build, Counters, Field, Given, Medium, Moves, Network, Pass, Report, System, Unit, View,
    registry,
};
use crate::config::{Allowed, Config, Keys, Optimizer, Output, Schema, section};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::nets::Classifier as Net;
use crate::nn::{self, Mode};

/// As a preset names it.
pub(super) const ENTRY: registry::Entry = registry::Entry {
    schema: &SCHEMA,
    open: |config, given| Ok(Arc::new(Classifier::new(config, given)?)),
};

/// The keys of this system.
pub(crate) static SCHEMA: Schema = Schema {
    name: "classifier",
    sections: |_| vec![Model::at("model"), Optimizer::at("optimizer.c")],
    elsewhere: |_, _| None,
    refusals: |config| {
        Ok(vec![
            config.own::<Optimizer>("optimizer.c")?.floor_above("c"),
        ])
    },
};

/// The network, and the prefix of its tensors in files.
pub(super) const C: &str = "C";
const LOSS: &str = "loss";
const ACCURACY: &str = "accuracy";

section! {
    /// Sizes of the network.
    Model {
        /// Channels of the first convolution; each further one has twice as many, at most 128.
        width: usize = 32, Allowed::Whole(1, 4096);
        /// Length of the feature vector.
        features: usize = Net::FEATURES, Allowed::Whole(1, 4096);
    }
}

/// A classifier with its optimiser.
#[derive(Clone, Debug)]
pub struct Classifier {
    net: Net,
    optimizer: Optimizer,
}

impl Classifier {
    fn new(config: &Config, given: &Given<'_>) -> Result<Self> {
        let classes = given.classes.len();
        if classes < 2 {
            return Err(Error::usage(
                format!("the data have {classes} classes, but a classifier needs at least 2"),
                "give IDX files with labels, or a folder with a folder for each class",
            ));
        }
        let model: Model = config.own("model")?;
        Ok(Self {
            net: Net {
                image: given.image,
                classes,
                width: model.width,
                features: model.features,
            },
            optimizer: config.own("optimizer.c")?,
        })
    }

    /// One that is not trained any more.
    pub(crate) fn of(net: Net) -> Self {
        Self {
            net,
            optimizer: Optimizer::default(),
        }
    }

    fn images(&self) -> Field {
        Field::pixels("images", self.net.image, Output::Linear)
    }
}

impl System for Classifier {
    fn networks(&self) -> Result<Vec<Network>> {
        let mut graph = Graph::new();
        let mut net = nn::Net::new(C, Mode::TRAIN);
        let [c, h, w] = self.net.image;
        let images = graph.constant(0.0, [2, c, h, w]);
        self.net.build(&mut graph, &mut net, images)?;
        let moves = Moves::new("optimizer.c", &self.optimizer);
        Ok(vec![Network::trained(C, &net, moves)])
    }

    fn fields(&self) -> Vec<Field> {
        vec![self.images(), Field::labels("labels")]
    }

    fn reports(&self) -> Vec<Report> {
        let report = |name, label, unit| Report { name, label, unit };
        vec![
            report(LOSS, "loss", Unit::Loss),
            report(ACCURACY, "accuracy", Unit::Share),
        ]
    }

    fn passes(&self) -> Vec<Pass> {
        vec![Pass::new("step", ["images", "labels"])]
    }

    fn build(&self, _: &str, build: &mut Build<'_>) -> Result<()> {
        let images = build.field("images")?;
        let labels = build.field("labels")?;
        let (graph, net) = build.net(C)?;
        let logits = self.net.build(graph, net, images)?.logits;
        let loss = nn::cross_entropy(graph, logits, labels)?;
        let accuracy = nn::accuracy(graph, logits, labels)?;
        build.report(LOSS, loss);
        build.report(ACCURACY, accuracy);
        build.minimise(loss, &[C]);
        Ok(())
    }

    fn schedule(&self, _: &Counters) -> Vec<&'static str> {
        vec!["step"]
    }

    fn views(&self) -> Vec<View> {
        let inputs = vec![self.images()];
        let outputs = ["features", "logits"];
        vec![View::new("features", inputs, &outputs, Medium::Numbers)]
    }

    fn look(&self, _: &str, build: &mut Build<'_>) -> Result<()> {
        let images = build.field("images")?;
        let (graph, net) = build.net(C)?;
        let outputs = self.net.build(graph, net, images)?;
        build.output("features", outputs.features);
        build.output("logits", outputs.logits);
        Ok(())
    }
}
