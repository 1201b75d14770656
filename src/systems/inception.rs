//! The Inception network of the Fréchet Inception distance, which is only looked at.

use super::{Build, Counters, Field, Medium, Network, Pass, Report, System, View};
use crate::config::Output;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::nets;
use crate::nn::{Mode, Net};
use crate::store::inception::PREFIX;

/// The network on images of one shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inception {
    /// `[C, H, W]`.
    pub(crate) image: [usize; 3],
}

impl Inception {
    fn images(self) -> Field {
        Field::pixels("images", self.image, Output::Linear)
    }
}

impl System for Inception {
    fn networks(&self) -> Result<Vec<Network>> {
        let mut graph = Graph::new();
        let mut net = Net::new(PREFIX, Mode::EVAL);
        let [c, h, w] = self.image;
        let images = graph.constant(0.0, [1, c, h, w]);
        nets::Inception.build(&mut graph, &mut net, images)?;
        Ok(vec![Network {
            name: PREFIX,
            tensors: net.parameters().cloned().collect(),
            moves: None,
            average: 0.0,
        }])
    }

    fn fields(&self) -> Vec<Field> {
        vec![self.images()]
    }

    fn reports(&self) -> Vec<Report> {
        Vec::new()
    }

    fn passes(&self) -> Vec<Pass> {
        Vec::new()
    }

    fn build(&self, pass: &str, _: &mut Build<'_>) -> Result<()> {
        Err(Error::shape(
            "Inception",
            format!("it is not trained, so it has no pass {pass}"),
        ))
    }

    fn schedule(&self, _: &Counters) -> Vec<&'static str> {
        Vec::new()
    }

    fn views(&self) -> Vec<View> {
        let outputs = ["features", "logits"];
        vec![View::new(
            "features",
            vec![self.images()],
            &outputs,
            Medium::Numbers,
        )]
    }

    fn look(&self, _: &str, build: &mut Build<'_>) -> Result<()> {
        let images = build.field("images")?;
        let (graph, net) = build.net(PREFIX)?;
        let outputs = nets::Inception.build(graph, net, images)?;
        build.output("features", outputs.features);
        build.output("logits", outputs.logits);
        Ok(())
    }
}
