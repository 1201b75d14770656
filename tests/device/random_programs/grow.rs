//! Graphs that grow node by node, each step a random primitive on nodes that
//! are there, made to fit.

use gpugan::graph::{
    Binary, ConvGeometry, Distribution, Graph, NodeId, PadMode, Role, Scalar, Shape, StateId,
    Unary, Window,
};

use super::generator::{Content, Dice};

/// Sizes of axes: 1, primes, and vectors with and without a rest.
const SIZES: [usize; 8] = [1, 1, 2, 3, 4, 5, 7, 9];

/// Elements of a node.
const MOST: usize = 600;

pub(crate) struct Growth {
    pub(crate) graph: Graph,
    pub(crate) dice: Dice,
    /// Nodes to go on from.
    pub(crate) pool: Vec<NodeId>,
    pub(crate) inputs: Vec<(StateId, Content)>,
    stops: bool,
}

impl Growth {
    pub(crate) fn new(seed: u32, stops: bool) -> Self {
        let mut growth = Self {
            graph: Graph::new(),
            dice: Dice::new(seed),
            pool: Vec::new(),
            inputs: Vec::new(),
            stops,
        };
        for _ in 0..growth.dice.range(2, 3) {
            let shape = growth.new_shape();
            let node = growth.input(&shape, Content::Number);
            growth.pool.push(node);
        }
        growth
    }

    /// Adds about `count` nodes.
    pub(crate) fn grow(&mut self, count: usize) {
        let start = self.graph.nodes().len();
        while self.graph.nodes().len() < start + count {
            let node = self.step();
            let fits = self.graph.shape(node).numel() <= MOST;
            if fits && !self.pool.contains(&node) {
                self.pool.push(node);
            }
        }
    }

    fn new_shape(&mut self) -> Vec<usize> {
        loop {
            let rank = self.dice.pick(&[0, 1, 2, 2, 3, 4, 4]);
            let shape: Vec<usize> = (0..rank).map(|_| self.dice.pick(&SIZES)).collect();
            if shape.iter().product::<usize>() <= MOST / 2 {
                return shape;
            }
        }
    }

    fn input(&mut self, shape: &[usize], kind: Content) -> NodeId {
        let name = format!("x{}", self.inputs.len());
        let role = self
            .dice
            .pick(&[Role::Parameter, Role::Buffer, Role::Input]);
        let state = self.graph.declare(name, shape, role).unwrap();
        self.inputs.push((state, kind));
        self.graph.state(state)
    }

    fn any(&mut self) -> NodeId {
        let recent = self.pool.len().saturating_sub(3);
        let from = if self.dice.once_in(2) { recent } else { 0 };
        self.dice.pick(&self.pool.clone()[from..])
    }

    fn shape(&self, node: NodeId) -> Vec<usize> {
        self.graph.shape(node).to_vec()
    }

    /// A node with at least `least` and at most 4 axes.
    fn ranked(&mut self, least: usize) -> NodeId {
        let x = self.any();
        let mut shape = self.shape(x);
        while shape.len() < least {
            shape.insert(0, 1);
        }
        if shape.len() > 4 {
            shape = vec![shape[0], shape[1..].iter().product()];
            shape.resize(least.max(2), 1);
        }
        self.graph.reshape(x, shape).unwrap()
    }

    /// An image `[N, C, H, W]` of at least 2 x 2.
    fn image(&mut self) -> NodeId {
        let x = self.ranked(4);
        let mut shape = self.shape(x);
        for size in &mut shape[2..] {
            if *size == 1 {
                *size = self.dice.range(2, 5);
            }
        }
        self.graph.broadcast(x, shape).unwrap()
    }

    fn positive(&mut self, x: NodeId) -> NodeId {
        let x = self.graph.unary(Unary::Abs, x);
        self.graph.binary_scalar(Binary::Add, x, 0.5)
    }

    fn bounded(&mut self, x: NodeId) -> NodeId {
        self.graph.unary(Unary::Tanh, x)
    }

    /// A node that stretches together with `x`; `x` itself where none is found.
    fn beside(&mut self, x: NodeId) -> NodeId {
        for _ in 0..4 {
            let other = self.any();
            let common = self.graph.shape(x).broadcast(self.graph.shape(other));
            if common.is_some_and(|shape| shape.numel() <= MOST) {
                return other;
            }
        }
        x
    }

    fn axes(&mut self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|_| self.dice.once_in(2)).collect()
    }

    fn step(&mut self) -> NodeId {
        match self.dice.below(20) {
            0..=2 => self.unary(),
            3..=5 => self.binary(),
            6 => {
                let condition = self.any();
                let condition = self.graph.binary_scalar(Binary::Greater, condition, 0.1);
                let a = self.beside(condition);
                let both = self.graph.add(condition, a).unwrap();
                let b = self.beside(both);
                self.graph.select(condition, a, b).unwrap()
            }
            7 => self.stretch(),
            8 => self.turn(),
            9 => self.border(),
            10 => self.part(),
            11 => self.lookup(),
            12 | 13 => self.reduce(),
            14 => self.matmul(),
            15 => self.convolution(),
            16 => self.window(),
            17 | 18 => self.channels(),
            _ => self.leaf(),
        }
    }

    fn unary(&mut self) -> NodeId {
        let x = self.any();
        let f = self.dice.pick(&[
            Unary::Neg,
            Unary::Exp,
            Unary::Log,
            Unary::Sqrt,
            Unary::Rsqrt,
            Unary::Recip,
            Unary::Abs,
            Unary::Sign,
            Unary::Sigmoid,
            Unary::Tanh,
            Unary::Softplus,
            Unary::Atanh,
            Unary::Sin,
            Unary::Cos,
            Unary::Floor,
            Unary::Round,
            Unary::Finite,
            Unary::LeakyRelu(Scalar(0.2)),
            Unary::LeakyRelu(Scalar(0.0)),
        ]);
        if self.stops && self.dice.once_in(8) {
            return self.graph.stop_gradient(x);
        }
        let x = match f {
            Unary::Log | Unary::Sqrt | Unary::Rsqrt | Unary::Recip => self.positive(x),
            Unary::Exp | Unary::Sin | Unary::Cos => self.bounded(x),
            Unary::Atanh => {
                let x = self.bounded(x);
                self.graph.scale(x, 0.5)
            }
            Unary::Floor | Unary::Round => self.graph.scale(x, 3.0),
            _ => x,
        };
        self.graph.unary(f, x)
    }

    fn binary(&mut self) -> NodeId {
        let a = self.any();
        let b = self.beside(a);
        let f = self.dice.pick(&[
            Binary::Add,
            Binary::Sub,
            Binary::Mul,
            Binary::Mul,
            Binary::Div,
            Binary::Max,
            Binary::Min,
            Binary::Pow,
            Binary::Greater,
            Binary::GreaterEqual,
            Binary::Equal,
        ]);
        let (a, b) = match f {
            Binary::Div => (a, self.positive(b)),
            Binary::Pow => {
                let a = self.bounded(a);
                (self.positive(a), self.bounded(b))
            }
            _ => (a, b),
        };
        self.graph.binary(f, a, b).unwrap()
    }

    fn stretch(&mut self) -> NodeId {
        let x = self.any();
        let mut shape = self.shape(x);
        for size in &mut shape {
            if *size == 1 {
                *size = self.dice.pick(&SIZES);
            }
        }
        if shape.len() < 4 && self.dice.once_in(2) {
            shape.insert(0, self.dice.range(1, 3));
        }
        if shape.iter().product::<usize>() > MOST {
            return x;
        }
        self.graph.broadcast(x, shape).unwrap()
    }

    fn turn(&mut self) -> NodeId {
        let x = self.any();
        let shape = self.shape(x);
        if self.dice.once_in(2) {
            let mut order: Vec<usize> = (0..shape.len()).collect();
            for place in (1..order.len()).rev() {
                order.swap(place, self.dice.below(place + 1));
            }
            return self.graph.permute(x, &order).unwrap();
        }
        let count: usize = shape.iter().product();
        let divisors: Vec<usize> = (1..=count).filter(|d| count.is_multiple_of(*d)).collect();
        let inner = self.dice.pick(&divisors);
        let mut sizes = vec![count / inner, inner];
        if self.dice.once_in(2) {
            sizes.insert(self.dice.below(3), 1);
        }
        self.graph.reshape(x, sizes).unwrap()
    }

    fn border(&mut self) -> NodeId {
        let x = self.ranked(1);
        let shape = self.shape(x);
        let mode = self
            .dice
            .pick(&[PadMode::Zero, PadMode::Reflect, PadMode::Replicate]);
        let fold = self.dice.once_in(2);
        let (mut before, mut after, mut inner) = (Vec::new(), Vec::new(), Vec::new());
        for &size in &shape {
            let [mut front, mut back] = [self.dice.below(3), self.dice.below(2)];
            if fold && front + back >= size {
                (front, back) = (0, 0);
            }
            let rest = if fold { size - front - back } else { size };
            if front.max(back) >= rest && mode == PadMode::Reflect {
                (front, back) = (0, 0);
            }
            before.push(front);
            after.push(back);
            inner.push(if fold { size - front - back } else { size });
        }
        if fold {
            self.graph.pad_fold(x, &before, inner, mode).unwrap()
        } else {
            self.graph.pad(x, &before, &after, mode).unwrap()
        }
    }

    fn part(&mut self) -> NodeId {
        let x = self.ranked(1);
        let shape = self.shape(x);
        if self.dice.once_in(2) {
            let start: Vec<usize> = shape.iter().map(|&size| self.dice.below(size)).collect();
            let sizes: Vec<usize> = (0..shape.len())
                .map(|axis| self.dice.range(1, shape[axis] - start[axis]))
                .collect();
            return self.graph.slice(x, &start, sizes).unwrap();
        }
        let axis = self.dice.below(shape.len());
        let mut parts = vec![x];
        for _ in 0..self.dice.range(1, 2) {
            let other = self.any();
            let other_shape = self.shape(other);
            let fits = other_shape.len() == shape.len()
                && (0..shape.len()).all(|a| a == axis || shape[a] == other_shape[a]);
            parts.push(if fits { other } else { x });
        }
        self.graph.concat(&parts, axis).unwrap()
    }

    /// Whole numbers below `size`.
    fn index(&mut self, mut shape: Vec<usize>, size: usize) -> NodeId {
        let whole = shape.clone();
        if self.dice.once_in(2) {
            let axis = self.dice.below(shape.len());
            shape[axis] = 1;
        }
        let index = self.input(&shape, Content::Index(size));
        self.graph.broadcast(index, whole).unwrap()
    }

    fn lookup(&mut self) -> NodeId {
        let x = self.ranked(1);
        let mut shape = self.shape(x);
        let axis = self.dice.below(shape.len());
        if self.dice.once_in(2) {
            let size = self.dice.pick(&SIZES);
            let index = self.index(shape, size);
            return self.graph.scatter_add(x, index, axis, size).unwrap();
        }
        let size = std::mem::replace(&mut shape[axis], self.dice.pick(&SIZES));
        let index = self.index(shape, size);
        self.graph.gather(x, index, axis).unwrap()
    }

    fn reduce(&mut self) -> NodeId {
        let x = self.any();
        let axes = self.axes(self.shape(x).len());
        match self.dice.below(5) {
            0 | 1 => self.graph.sum(x, &axes).unwrap(),
            2 => self.graph.mean(x, &axes).unwrap(),
            3 => self.graph.max(x, &axes).unwrap(),
            _ => {
                let place = self.graph.argmax(x, &axes).unwrap();
                self.graph.scale(place, 0.125)
            }
        }
    }

    fn matmul(&mut self) -> NodeId {
        let rank = self.dice.range(2, 3);
        let mut a = self.ranked(rank);
        let shape = self.shape(a);
        if shape.len() != rank {
            let (rows, last) = (shape[..shape.len() - 1].iter().product(), shape.len() - 1);
            let mut sizes: Vec<usize> = vec![rows, shape[last]];
            sizes.resize(rank, 1);
            a = self.graph.reshape(a, sizes).unwrap();
        }
        let mut shape = self.shape(a);
        let [ta, tb] = [(); 2].map(|()| self.dice.once_in(2));
        if self.dice.once_in(4) {
            // With itself.
            return self.graph.matmul(a, a, ta, !ta).unwrap();
        }
        let depth = shape[if ta { rank - 2 } else { rank - 1 }];
        let columns = self.dice.pick(&SIZES);
        shape[rank - 2] = if tb { columns } else { depth };
        shape[rank - 1] = if tb { depth } else { columns };
        let b = self.input(&shape, Content::Number);
        self.graph.matmul(a, b, ta, tb).unwrap()
    }

    fn convolution(&mut self) -> NodeId {
        let x = self.image();
        let [n, c, h, w]: [usize; 4] = self.shape(x).try_into().unwrap();
        let [kernel, stride, pad] =
            [(); 3].map(|()| [self.dice.range(1, 2), self.dice.range(1, 2)]);
        let pad = pad.map(|size| size - 1);
        let other = self.dice.range(1, 3);
        let groups = if self.dice.once_in(3) { c } else { 1 };
        let filters = other * groups;
        if self.dice.once_in(2) {
            let geometry =
                ConvGeometry::transposed([h, w], kernel, stride, [1; 2], [pad; 2], [0; 2], groups);
            let Some(geometry) = geometry.filter(|g| g.input.iter().all(|&size| size > 0)) else {
                return x;
            };
            let weight = [c, filters / groups, kernel[0], kernel[1]];
            let weight = self.input(&weight, Content::Number);
            return self.graph.conv_transpose2d(x, weight, geometry).unwrap();
        }
        let dilation = [self.dice.range(1, 2), 1];
        let Some(g) = ConvGeometry::forward([h, w], kernel, stride, dilation, [pad; 2], groups)
        else {
            return x;
        };
        if self.dice.once_in(3) {
            let y = self.input(&[n, filters, g.output[0], g.output[1]], Content::Number);
            return self.graph.conv_weight_grad(x, y, g).unwrap();
        }
        let weight = self.input(
            &[filters, c / groups, kernel[0], kernel[1]],
            Content::Number,
        );
        self.graph.conv2d(x, weight, g).unwrap()
    }

    fn window(&mut self) -> NodeId {
        let x = self.image();
        let shape = self.shape(x);
        let (h, w) = (shape[2], shape[3]);
        if self.dice.once_in(4) {
            let size = [self.dice.range(1, 7), self.dice.range(1, 7)];
            return if self.dice.once_in(2) {
                self.graph.resize_bilinear(x, size).unwrap()
            } else {
                self.graph.resize_bilinear_adjoint(x, size).unwrap()
            };
        }
        let stride = [self.dice.range(1, 2), self.dice.range(1, 2)];
        let window = Window {
            input: [h, w],
            output: [(h - 2) / stride[0] + 1, (w - 2) / stride[1] + 1],
            kernel: [2; 2],
            stride,
            pad: [0; 2],
        };
        match self.dice.below(4) {
            0 => self.graph.sum_pool(x, window).unwrap(),
            1 => {
                let up = Window::tiles([h * 2, w * 3], [2, 3]);
                self.graph.sum_unpool(x, up).unwrap()
            }
            2 => self.graph.max_pool(x, window).unwrap(),
            _ => {
                let place = self.graph.max_pool_index(x, window).unwrap();
                let sum = self.graph.sum_pool(x, window).unwrap();
                self.graph.pool_scatter(sum, place, window).unwrap()
            }
        }
    }

    fn channels(&mut self) -> NodeId {
        let x = self.ranked(2);
        let shape = self.shape(x);
        let channels = shape[1];
        match self.dice.below(3) {
            0 => self.graph.channel_stats(x).unwrap(),
            1 => {
                let other = self.any();
                let like = self.graph.shape(other) == self.graph.shape(x);
                let g = if like { other } else { x };
                let stats = match shape[..] == [2, channels] && self.dice.once_in(2) {
                    true => g,
                    false => self.graph.channel_stats(x).unwrap(),
                };
                self.graph.channel_dot(g, x, stats).unwrap()
            }
            _ => {
                let gain = self.input(&[channels], Content::Number);
                let offset = match self.dice.once_in(2) {
                    true => gain,
                    false => self.input(&[channels], Content::Number),
                };
                self.graph.batch_norm(x, gain, offset, 0.1).unwrap()
            }
        }
    }

    fn leaf(&mut self) -> NodeId {
        let x = self.ranked(1);
        let shape: Shape = self.graph.shape(x).clone();
        let leaf = match self.dice.below(4) {
            0 => self.graph.constant(-0.75, shape),
            1 => {
                let axis = self.dice.below(shape.rank());
                let steps = self.graph.iota(shape, axis).unwrap();
                self.graph.scale(steps, 0.25)
            }
            2 => self.graph.random(Distribution::Uniform, shape),
            _ => {
                let half = Distribution::Bernoulli(Scalar(0.5));
                self.graph.random(half, shape)
            }
        };
        let f = self.dice.pick(&[Binary::Add, Binary::Mul, Binary::Max]);
        self.graph.binary(f, x, leaf).unwrap()
    }
}
