"""Replay a trace of gpugan in PyTorch: `replay.py TRACE.safetensors`.

A trace (`gpugan train --trace N`) holds the state before and after N steps and
what every update saw. This builds the same networks from torch.nn, loads the
state before by name, takes the same updates with torch.optim, and compares the
losses of every step and all weights at the end. Exit code 1 where one is off
by more than 1e-3: losses relative to PyTorch's, a tensor's elements relative to
its largest, where that is not rounding of numbers near 1.

A ReLU whose input is within rounding of 0 may take another branch in another
order of summation, in float32 PyTorch too; a weight by whose gradient nearly
nothing is left goes its own way under Adam from there. Large batches see many
such inputs and small networks mind them most; --disturb shows how much.
"""

import argparse
import copy
import math
import sys
import tomllib

import numpy as np
import torch
from safetensors import safe_open
from torch import nn

from pcg4d import words

METRICS = ["loss_d", "loss_g", "d_real", "d_fake"]
TOLERANCE = 1e-3
# What 20 steps of sums of numbers near 1 round away in a weight.
ROUNDING = 1e-7


# --- Random numbers ----------------------------------------------------------


class Draws:
    """Random tensors in the order in which a program draws them."""

    def __init__(self, seed):
        self.seed, self.counter, self.stream = seed, 0, 0

    def restart(self, counter):
        """The draws of one update."""
        self.counter, self.stream = counter, 0

    def words(self, shape):
        drawn = words(math.prod(shape), self.stream, self.counter, self.seed)
        self.stream += 1
        return drawn

    def uniform(self, shape, like):
        first = self.words(shape)[0].astype(np.float32) * np.float32(2**-24)
        return torch.from_numpy(first).to(like.dtype).reshape(shape)

    def normal(self, shape, like):
        first, second = (word.astype(np.float64) for word in self.words(shape))
        radius = np.sqrt(-2 * np.log((first + 1) * 2.0**-24))
        drawn = radius * np.cos(2 * np.pi * second * 2.0**-24)
        return torch.from_numpy(drawn).to(like.dtype).reshape(shape)

    def drop(self, x, p):
        if p == 0:
            return x
        kept = np.float32(1) - np.float32(p)
        mask = (self.uniform(x.shape, x) < kept).to(x.dtype)
        return x * mask / float(kept)


# --- The networks ------------------------------------------------------------


class MlpGenerator(nn.Module):
    def __init__(self, config, image):
        super().__init__()
        model = config["model"]
        sizes = [model["latent"], *model["hidden_g"], math.prod(image)]
        layers = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        layers[-1] = output(model)
        self.main = nn.Sequential(*layers, nn.Unflatten(1, image))

    def forward(self, z):
        return self.main(z)


class MaxoutDiscriminator(nn.Module):
    def __init__(self, config, image, draws):
        super().__init__()
        model = config["model"]
        self.draws = draws
        self.p_input, self.p_hidden = model["dropout_input"], model["dropout_hidden"]
        units, self.pieces = model["maxout_units"], model["maxout_pieces"]
        inputs = [math.prod(image), units]
        self.maxout = nn.ModuleList(nn.Linear(n, units * self.pieces) for n in inputs)
        self.out = nn.Linear(units, 1)

    def forward(self, x):
        h = self.draws.drop(x.flatten(1), self.p_input)
        for layer in self.maxout:
            h = layer(h).unflatten(1, (-1, self.pieces)).amax(2)
            h = self.draws.drop(h, self.p_hidden)
        self.seen = h
        return self.out(h)


class DcganGenerator(nn.Module):
    def __init__(self, config, image):
        super().__init__()
        model = config["model"]
        doublings = doublings_of(model, image)
        channels = model["width"] << (doublings - 1)
        if model["stem"] == "conv":
            layers = [
                nn.Unflatten(1, (model["latent"], 1, 1)),
                nn.ConvTranspose2d(model["latent"], channels, 4, 1, 0, bias=False),
            ]
        else:
            first = (channels, image[1] >> doublings, image[2] >> doublings)
            layers = [
                nn.Linear(model["latent"], math.prod(first), bias=False),
                nn.Unflatten(1, first),
            ]
        for _ in range(1, doublings):
            layers += [nn.BatchNorm2d(channels), nn.ReLU()]
            layers += [nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=False)]
            channels //= 2
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        bias = model["stem"] == "linear"
        layers += [nn.ConvTranspose2d(channels, image[0], 4, 2, 1, bias=bias), output(model)]
        # As in PyTorch's example, a conv stem takes z as a 1x1 image, so the
        # reshape is none of its layers.
        self.reshape = layers.pop(0) if model["stem"] == "conv" else nn.Identity()
        self.main = nn.Sequential(*layers)

    def forward(self, z):
        return self.main(self.reshape(z))


class DcganDiscriminator(nn.Module):
    def __init__(self, config, image):
        super().__init__()
        model = config["model"]
        doublings, channels = doublings_of(model, image), model["width"]
        linear, norm = model["stem"] == "linear", model["norm_d"]
        layers = [nn.Conv2d(image[0], channels, 4, 2, 1, bias=linear), nn.LeakyReLU(0.2)]
        for _ in range(1, doublings):
            layers += [nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=norm == "none")]
            channels *= 2
            layers += normalisation(norm, channels, model["norm_groups"])
            layers += [nn.LeakyReLU(0.2)]
        last = (channels, image[1] >> doublings, image[2] >> doublings)
        extra = compare_batch(self, model, math.prod(last))
        if linear:
            layers += [nn.Flatten(), nn.Linear((channels + extra) * last[1] * last[2], 1)]
        else:
            layers += [nn.Conv2d(channels + extra, 1, 4, 1, 0, bias=False)]
        self.features = len(layers) - (2 if linear else 1)
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        for layer in self.main[: self.features]:
            x = layer(x)
        self.seen = x
        x = compared(self, x)
        for layer in self.main[self.features :]:
            x = layer(x)
        return x.flatten(1)


class CdcganGenerator(nn.Module):
    def __init__(self, config, image, classes):
        super().__init__()
        model = config["model"]
        width, units = model["width"], model["units"]
        self.maps = (2 * width, image[1] // 4, image[2] // 4)
        self.dense1 = nn.Linear(model["latent"] + classes, units, bias=False)
        self.dense2 = nn.Linear(units + classes, math.prod(self.maps), bias=False)
        self.conv1 = doubling(2 * width + classes, width)
        self.conv2 = doubling(width + classes, image[0])
        self.norm1, self.norm2 = plain_norm(units), plain_norm(math.prod(self.maps))
        self.norm3 = plain_norm(width, nn.BatchNorm2d)
        self.last = output(model)

    def forward(self, z, y):
        h = self.norm1(self.dense1(beside(z, y))).relu()
        h = self.norm2(self.dense2(beside(h, y))).relu().unflatten(1, self.maps)
        h = self.norm3(self.conv1(beside(h, y))).relu()
        return self.last(self.conv2(beside(h, y)))


class CdcganDiscriminator(nn.Module):
    def __init__(self, config, image, classes):
        super().__init__()
        model = config["model"]
        width, units = model["width"], model["units"]
        self.conv1 = nn.Conv2d(image[0] + classes, width, 5, 2, 2, bias=False)
        self.conv2 = nn.Conv2d(width + classes, 2 * width, 5, 2, 2, bias=False)
        maps = 2 * width * (image[1] // 4) * (image[2] // 4)
        self.dense1 = nn.Linear(maps + classes, units, bias=False)
        self.dense2 = nn.Linear(units + classes, 1, bias=False)
        self.norm1, self.norm2 = plain_norm(2 * width, nn.BatchNorm2d), plain_norm(units)

    def forward(self, x, y):
        h = nn.functional.leaky_relu(self.conv1(beside(x, y)), 0.2)
        h = nn.functional.leaky_relu(self.norm1(self.conv2(beside(h, y))), 0.2)
        h = nn.functional.leaky_relu(self.norm2(self.dense1(beside(h.flatten(1), y))), 0.2)
        self.seen = h
        return self.dense2(beside(h, y))


def doubling(inputs, outputs):
    return nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1, bias=False)


def plain_norm(features, kind=nn.BatchNorm1d):
    return kind(features, eps=1e-8, affine=False)


def beside(x, y):
    """Features or maps with one-hot classes [N, K] beside their channels."""
    if x.dim() == 4:
        y = y[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, y], 1)


class ClassNorm(nn.BatchNorm2d):
    """Batch normalisation whose gain and offset are of the classes y [N, K]."""

    def __init__(self, channels, classes):
        super().__init__(channels, affine=False)
        self.gain, self.offset = (nn.Embedding(classes, channels) for _ in range(2))

    def forward(self, x, y):
        labels = y.argmax(1)
        gain, offset = (table(labels)[:, :, None, None] for table in (self.gain, self.offset))
        return super().forward(x) * gain + offset


def norm_of(channels, classes):
    return ClassNorm(channels, classes) if classes > 0 else nn.BatchNorm2d(channels)


class UpBlock(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.norm1, self.norm2 = (norm_of(channels, classes) for _ in range(2))
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x, *y):
        h = self.conv1(double(self.norm1(x, *y).relu()))
        return self.conv2(self.norm2(h, *y).relu()) + self.shortcut(double(x))


class DownBlock(nn.Module):
    """A block of the discriminator; the first sees the image, some halve it."""

    def __init__(self, inputs, channels, model, first, halves):
        super().__init__()
        self.first, self.halves = first, halves
        kind = "none" if first else model["norm_d"]
        self.conv1 = nn.Conv2d(inputs, channels, 3, 1, 1, bias=kind == "none")
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, channels, 1) if halves else nn.Identity()
        norms = [normalisation(kind, channels, model["norm_groups"]) for _ in range(2)]
        self.norm1, self.norm2 = (norm[0] if norm else nn.Identity() for norm in norms)

    def forward(self, x):
        h = self.conv1(x if self.first else self.norm1(x).relu())
        h = self.conv2(self.norm2(h).relu()) + self.shortcut(x)
        return nn.functional.avg_pool2d(h, 2) if self.halves else h


class ResnetGenerator(nn.Module):
    def __init__(self, config, image, classes):
        super().__init__()
        model = config["model"]
        channels, blocks = model["width"], halvings(image, 7)
        first = (channels, image[1] >> blocks, image[2] >> blocks)
        self.input = nn.Linear(model["latent"], math.prod(first))
        self.reshape = nn.Unflatten(1, first)
        self.blocks = nn.ModuleList(UpBlock(channels, classes) for _ in range(blocks))
        self.norm = norm_of(channels, classes)
        self.output = nn.Conv2d(channels, image[0], 3, 1, 1)
        self.last = output(model)

    def forward(self, z, *y):
        h = self.reshape(self.input(z))
        for block in self.blocks:
            h = block(h, *y)
        return self.last(self.output(self.norm(h, *y).relu()))


class ResnetDiscriminator(nn.Module):
    def __init__(self, config, image, classes):
        super().__init__()
        model = config["model"]
        channels, count = model["width"], halvings(image, 8)
        self.blocks = nn.Sequential(*(
            DownBlock(channels if i else image[0], channels, model, i == 0, i < count)
            for i in range(count + 2)
        ))
        self.pool = torch.sum if model["spectral_norm"] else torch.mean
        extra = compare_batch(self, model, channels)
        self.output = nn.Linear(channels + extra, 1)
        projects = classes > 0 and model["projection"]
        self.embedding = nn.Embedding(classes, channels) if projects else None
        loss = config["loss"]
        tells = classes > 0 and loss["class_weight_d"] + loss["class_weight_g"] > 0
        self.classes = nn.Linear(channels, classes) if tells else None

    def forward(self, x, *y):
        h = self.pool(self.blocks(x).relu(), (2, 3))
        self.seen = h
        self.said = self.classes(h) if self.classes else None
        logits = self.output(compared(self, h[:, :, None, None]).flatten(1))
        if self.embedding:
            logits = logits + (self.embedding(y[0].argmax(1)) * h).sum(1, keepdim=True)
        return logits


def double(x):
    return nn.functional.interpolate(x, scale_factor=2, mode="nearest")


def halvings(image, smallest):
    height, width = image[1:]
    count = 0
    while all(side > smallest and side % 2 == 0 for side in (height, width)):
        height, width, count = height // 2, width // 2, count + 1
    return count


def compare_batch(net, model, features):
    """Prepares `compared` on so many features; returns the channels it adds."""
    net.group = model["minibatch_std"]
    kernels, dims = model["minibatch_features"], model["minibatch_dims"]
    net.kernels = kernels
    if kernels > 0:
        net.minibatch = nn.Linear(features, kernels * dims, bias=False)
    return (1 if net.group > 0 else 0) + kernels


def compared(net, x):
    """Features [N, C, H, W] with channels of what the batch has in common."""
    parts = [x]
    if net.group > 0:
        groups = x.unflatten(0, (-1, net.group))
        deviation = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        parts.append(deviation.repeat_interleave(net.group)[:, None])
    if net.kernels > 0:
        m = net.minibatch(x.flatten(1)).unflatten(1, (net.kernels, -1))
        near = (-(m[:, None] - m[None]).abs().sum(3)).exp()
        others = 1 - torch.eye(len(x), dtype=x.dtype)
        parts.append((near * others[:, :, None]).sum(1))
    rest = [part[:, :, None, None].expand(-1, -1, *x.shape[2:]) for part in parts[1:]]
    return torch.cat([x, *rest], 1)


def normalisation(kind, channels, groups):
    if kind == "none":
        return []
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.GroupNorm({"layer": 1, "instance": channels, "group": groups}[kind], channels)]


class Dense(nn.Module):
    """Both networks of the plane; the discriminator may compare its batch."""

    def __init__(self, inputs, hidden, outputs, shape, model=None):
        super().__init__()
        layers = []
        for units in hidden:
            layers += [nn.Linear(inputs, units), nn.ReLU()]
            inputs = units
        off = {"minibatch_std": 0, "minibatch_features": 0, "minibatch_dims": 0}
        inputs += compare_batch(self, model or off, inputs)
        self.main = nn.Sequential(*layers, nn.Linear(inputs, outputs))
        self.shape = shape

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.main[:-1]:
            x = layer(x)
        self.seen = x
        x = compared(self, x[:, :, None, None]).flatten(1)
        return self.main[-1](x).reshape(-1, *self.shape)


def doublings_of(model, image):
    return (image[1] // 4).bit_length() - 1 if model["stem"] == "conv" else 2


def output(model):
    return {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "linear": nn.Identity}[model["output"]]()


def networks(config, image, draws, classes=0):
    """(G, D) of a configuration for images [C, H, W], of so many classes."""
    model, kind = config["model"], config["model"]["architecture"]
    seen = (image[0] * config["loss"]["pack"], *image[1:])
    if kind == "mlp":
        pair = MlpGenerator(config, image), MaxoutDiscriminator(config, seen, draws)
    elif kind == "dense":
        pair = (
            Dense(model["latent"], model["hidden_g"], math.prod(image), image),
            Dense(math.prod(seen), model["hidden_d"], 1, (1,), model),
        )
    elif kind == "cdcgan":
        pair = (
            CdcganGenerator(config, image, classes),
            CdcganDiscriminator(config, seen, classes),
        )
    elif kind == "resnet":
        pair = (
            ResnetGenerator(config, image, classes),
            ResnetDiscriminator(config, seen, classes),
        )
    else:
        pair = DcganGenerator(config, image), DcganDiscriminator(config, seen)
    if model["spectral_norm"]:
        for layer in list(pair[1].modules()):
            if isinstance(layer, (nn.Linear, nn.Conv2d, nn.Embedding)):
                nn.utils.spectral_norm(layer)
    return pair


# --- The updates -------------------------------------------------------------


class Pylearn2Momentum(torch.optim.Optimizer):
    """Momentum with the learning rate inside the velocity, which torch.optim
    has not."""

    def __init__(self, parameters, **defaults):
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                v = self.state[p].setdefault("v", torch.zeros_like(p))
                g = p.grad + group["weight_decay"] * p
                v.mul_(group["momentum"]).sub_(group["lr"] * g)
                p.add_(v)


def optimizer(module, config):
    common = {"lr": config["lr"], "weight_decay": config["weight_decay"]}
    parameters = module.parameters()
    if config["kind"] == "adam":
        betas = (config["beta1"], config["beta2"])
        return torch.optim.Adam(parameters, betas=betas, eps=config["eps"], **common)
    if config["kind"] == "rmsprop":
        alpha, eps = config["alpha"], config["eps"]
        return torch.optim.RMSprop(parameters, alpha=alpha, eps=eps, **common)
    kinds = {"torch": torch.optim.SGD, "pylearn2": Pylearn2Momentum}
    kind = kinds[config["momentum_form"]]
    return kind(parameters, momentum=config["momentum"], **common)


class Trace:
    """A trace file."""

    def __init__(self, path):
        with safe_open(path, "pt") as file:
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}
            metadata = file.metadata()
        self.config = tomllib.loads(metadata["config"])
        self.seed = int(metadata["seed"])
        self.draws = [int(draw) for draw in metadata["draws"].split()]
        self.updates = [{} for _ in self.draws]
        for name, tensor in self.tensors.items():
            if name.startswith("u"):
                number, network, field = name.split(".")
                self.updates[int(number[1:])] |= {"network": network, field: tensor}
        self.metrics = [
            dict(zip(METRICS, self.tensors[name].tolist()))
            for name in sorted(self.tensors)
            if name.startswith("step")
        ]

    def state(self, when, network):
        """The state_dict of a network `before` or `after`."""
        prefix = f"{when}.{network}."
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }

    def image(self):
        """[C, H, W]"""
        return next(tuple(u["real"].shape[1:]) for u in self.updates if "real" in u)

    def classes(self):
        """Classes that networks are told of."""
        model = self.config["model"]
        if model["architecture"] == "cdcgan":
            # What the first layer of D takes beside the image.
            return self.tensors["before.D.conv1.weight"].shape[1] - self.image()[0]
        if model.get("condition", "none") != "none":
            return self.tensors["before.G.norm.gain.weight"].shape[0]
        return 0


# --- Losses, penalties, augmentation -----------------------------------------


def bce(logits, target):
    return nn.functional.binary_cross_entropy_with_logits(
        logits, torch.full_like(logits, target)
    )


def relativistic(for_one, for_zero):
    return bce(for_one - for_zero.mean(), 1.0) + bce(for_zero - for_one.mean(), 0.0)


def discriminator_loss(config, real, fake):
    kind, label = config["kind"], config["real_label"]
    if kind == "relativistic":
        loss = relativistic(real, fake)
    elif kind == "least-squares":
        loss = ((real - label) ** 2).mean() / 2 + (fake**2).mean() / 2
    elif kind == "hinge":
        loss = (1 - real).relu().mean() + (1 + fake).relu().mean()
    elif kind == "wasserstein":
        loss = fake.mean() - real.mean()
    else:
        loss = bce(real, label) + bce(fake, 0.0)
    return config["d_weight"] * loss


def generator_loss(kind, real, fake):
    """Of pairs (logits, features)."""
    logits = fake[0]
    if kind == "minimax":
        return -bce(logits, 0.0)
    if kind == "relativistic":
        return relativistic(logits, real[0])
    if kind == "least-squares":
        return ((logits - 1) ** 2).mean() / 2
    if kind in ("hinge", "wasserstein"):
        return -logits.mean()
    if kind == "feature-matching":
        return ((real[1].mean(0) - fake[1].mean(0)) ** 2).sum()
    return bce(logits, 1.0)


def penalty(kind, real, fake, net, draws):
    """The mean penalty on the gradient of `net`, to be differentiated again."""
    one = (len(real), 1, 1, 1)
    if kind == "r1":
        at = real
    elif kind == "r2":
        at = fake
    elif kind == "dragan":
        way, noise = draws.uniform(one, real), draws.uniform(real.shape, real)
        step = 0.5 * (real.var(unbiased=False) + 1e-12).sqrt()
        at = real + way * (noise * step)
    else:
        at = real + draws.uniform(one, real) * (fake - real)
    at = at.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(net(at).sum(), at, create_graph=True)
    squares = gradient.pow(2).sum((1, 2, 3))
    if kind in ("r1", "r2"):
        return squares.mean() / 2
    excess = (squares + 1e-12).sqrt() - 1
    if kind == "gradient-one-sided":
        excess = excess.relu()
    return excess.pow(2).mean()


def augment(kind, x, draws, probability):
    """Each kind of change with a probability, or always where it is None."""
    for change in ("color", "translation", "cutout"):
        if kind not in (change, "all"):
            continue
        changed = CHANGES[change](x, draws)
        if probability is not None:
            chosen = draws.uniform((len(x), 1, 1, 1), x) < probability
            changed = torch.where(chosen, changed, x)
        x = changed
    return x


def color(x, draws):
    one = (len(x), 1, 1, 1)
    x = x + (draws.uniform(one, x) - 0.5)
    if x.shape[1] > 1:
        mean = x.mean(1, keepdim=True)
        x = mean + (x - mean) * (2 * draws.uniform(one, x))
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (draws.uniform(one, x) + 0.5)


def translation(x, draws):
    n, _, h, w = x.shape

    def shifts(side):
        most = side // 8
        by = draws.uniform((n,), torch.zeros(())) * (2 * most + 1)
        return (by.floor() - most).long()

    right, down = shifts(w), shifts(h)
    padded = nn.functional.pad(x, (w // 8, w // 8, h // 8, h // 8))
    return torch.stack([
        image[:, h // 8 - d : h // 8 - d + h, w // 8 - r : w // 8 - r + w]
        for image, d, r in zip(padded, down.tolist(), right.tolist())
    ])


def cutout(x, draws):
    n, _, h, w = x.shape

    def inside(side, axis):
        at = torch.arange(side, dtype=torch.float32) + 0.5
        centre = draws.uniform((n, 1), torch.zeros(())) * side
        shape = [n, 1, 1, 1]
        shape[axis] = side
        return ((at - centre).abs() < (side // 2) / 2).reshape(shape)

    return x * ~(inside(h, 2) & inside(w, 3))


CHANGES = {"color": color, "translation": translation, "cutout": cutout}


class Strength:
    """The probability of augmentation, fixed or adaptive."""

    def __init__(self, config):
        self.config = config
        self.adaptive = config["augment"] != "none" and config["augment_target"] > 0
        self.p, self.signs, self.updates = 0.0, 0.0, 0

    def probability(self):
        if self.adaptive:
            return self.p
        return None if self.config["augment_p"] == 1 else self.config["augment_p"]

    def adapt(self, logits):
        """After a discriminator update with these logits of real images."""
        config = self.config
        middle = config["real_label"] / 2 if config["kind"] == "least-squares" else 0.0
        self.signs += (logits - middle).sign().mean().item()
        self.updates += 1
        if self.updates < config["augment_every"]:
            return
        r = self.signs / self.updates
        images = len(logits) * config["pack"] * self.updates
        step = np.sign(r - config["augment_target"]) * images / config["augment_images"]
        self.p = min(max(self.p + step, 0.0), config["augment_p"])
        self.signs, self.updates = 0.0, 0

    def state(self):
        values = {"p": self.p, "signs": self.signs, "updates": self.updates}
        return {f"augment.{k}": torch.tensor(float(v)) for k, v in values.items()}


# --- The run -----------------------------------------------------------------


def schedule(train, steps):
    """The networks in the order of their updates."""
    order = ["D"] * train["d_pretrain"]
    for step in range(steps):
        every = train["d_steps_every"]
        boosted = step < train["d_steps_first"] or (every > 0 and step % every == 0)
        order += ["D"] * train["d_steps_boost" if boosted else "d_steps"] + ["G"]
    return order


class Replay:
    """The networks of a trace in PyTorch."""

    def __init__(self, trace, dtype):
        self.trace, self.dtype, self.config = trace, dtype, trace.config
        self.draws = Draws(trace.seed)
        pair = networks(self.config, trace.image(), self.draws, trace.classes())
        self.nets = dict(zip("GD", pair))
        self.optimizers = {}
        for name, net in self.nets.items():
            # Strict: the names, layouts and number of tensors are PyTorch's.
            net.load_state_dict(trace.state("before", name), strict=True)
            net.to(dtype).train()
            self.optimizers[name] = optimizer(net, self.config["optimizer"][name.lower()])
        self.average = None
        if self.config["train"]["ema_decay"] > 0:
            self.average = copy.deepcopy(self.nets["G"])
            self.average.load_state_dict(trace.state("before", "G_ema"), strict=True)
        self.strength = Strength(self.config["loss"])
        self.metrics, self.steps, self.g_updates, self.d_updates = {}, [], 0, 0

    @torch.no_grad()
    def disturb(self, size, seed):
        """Multiplies every weight by 1 + N(0, size^2), as rounding might."""
        noise = torch.Generator().manual_seed(seed)
        for net in self.nets.values():
            for p in net.parameters():
                p.mul_(1 + size * torch.randn(p.shape, generator=noise, dtype=p.dtype))

    def run(self):
        """Takes all updates; returns the metrics of each step."""
        assert [update["network"] for update in self.trace.updates] == schedule(
            self.config["train"], len(self.trace.metrics)
        )
        numbers = iter(range(len(self.trace.updates)))
        simultaneous = self.config["train"]["update"] == "simultaneous"
        for number in numbers:
            update = self.trace.updates[number]
            roles = [update["network"]]
            # A step of both networks is traced as an update of each.
            both = simultaneous and self.trace.draws[number + 1 : number + 2] == [
                self.trace.draws[number]
            ]
            if both:
                roles.append(self.trace.updates[next(numbers)]["network"])
            self.gradients(update, roles, self.trace.draws[number])
            for offset, role in enumerate(roles):
                self.step(role, self.trace.updates[number + offset]["update"])
            if "G" in roles:
                self.steps.append(dict(self.metrics))
        return self.steps

    def judge(self, images):
        """(logits, features) of packed images as the discriminator sees them."""
        loss = self.config["loss"]
        images = augment(loss["augment"], images, self.draws, self.strength.probability())
        if loss["instance_noise"] > 0:
            std = loss["instance_noise"]
            if loss["instance_noise_steps"] > 0:
                std *= 1 - min(len(self.steps) / loss["instance_noise_steps"], 1)
            images = images + std * self.draws.normal(images.shape, images)
        logits = self.nets["D"](images, *self.told)
        self.said.append(getattr(self.nets["D"], "said", None))
        return logits, self.nets["D"].seen

    def class_loss(self, said):
        """Cross-entropy of what D said of classes."""
        if not self.told or said is None:
            return 0.0
        return nn.functional.cross_entropy(said, self.told[0].argmax(1))

    def look_ahead(self, real, fake):
        """The discriminator's parameters after updates that gradients pass."""
        net = self.nets["D"]
        names = [name for name, _ in net.named_parameters()]
        moved = list(net.parameters())
        for _ in range(self.config["train"]["unroll"]):
            both = [
                torch.func.functional_call(net, dict(zip(names, moved)), (images,))
                for images in (real, fake)
            ]
            loss = discriminator_loss(self.config["loss"], *both)
            gradients = torch.autograd.grad(loss, moved, create_graph=True)
            rate = self.config["train"]["unroll_lr"]
            moved = [value - rate * g for value, g in zip(moved, gradients)]
        return dict(zip(names, moved))

    def gradients(self, update, roles, draw):
        loss = self.config["loss"]
        self.draws.restart(draw)
        # What both networks take beside latents and images, and what D says of it.
        self.told, self.said = [], []
        if "labels" in update:
            labels = update["labels"].flatten().long()
            self.told = [nn.functional.one_hot(labels, self.trace.classes()).to(self.dtype)]
        fake = self.nets["G"](update["z"].to(self.dtype), *self.told)

        def packed(images):
            return images.reshape(-1, loss["pack"] * images.shape[1], *images.shape[2:])

        fake = packed(fake)
        losses = {}
        if "real" in update:
            self.real = update["real"].to(self.dtype)
            if self.config["model"]["output"] == "sigmoid":
                self.real = (self.real + 1) / 2
        if "D" in roles:
            on_real = self.judge(packed(self.real))
            self.on_real = on_real[0].detach()
            on_fake = self.judge(fake)
            losses["D"] = discriminator_loss(loss, on_real[0], on_fake[0])
            self.metrics["loss_d"] = losses["D"].item()
            plain = loss["kind"] in ("least-squares", "hinge", "wasserstein")
            for name, (logits, _) in (("d_real", on_real), ("d_fake", on_fake)):
                self.metrics[name] = (logits if plain else logits.sigmoid()).mean().item()
            weight = loss["class_weight_d"]
            losses["D"] = losses["D"] + weight * sum(self.class_loss(said) for said in self.said)
            every = 1 if "G" in roles else loss["penalty_every"]
            if loss["penalty"] != "none" and self.d_updates % every == 0:
                told = self.told
                value = penalty(
                    loss["penalty"],
                    packed(self.real),
                    fake,
                    lambda images: self.nets["D"](images, *told),
                    self.draws,
                )
                losses["D"] = losses["D"] + loss["penalty_weight"] * every * value
        if "G" in roles:
            compares = loss["kind"] in ("relativistic", "feature-matching")
            if "D" not in roles and self.config["train"]["unroll"] > 0:
                moved = self.look_ahead(packed(self.real), fake)
                both = [
                    torch.func.functional_call(self.nets["D"], moved, (images,))
                    for images in (packed(self.real), fake)
                ]
                losses["G"] = -discriminator_loss(loss, *both)
            else:
                if "D" not in roles:
                    on_fake = self.judge(fake)
                    on_real = self.judge(packed(self.real)) if compares else None
                losses["G"] = generator_loss(loss["kind"], on_real if compares else None, on_fake)
            self.metrics["loss_g"] = losses["G"].item()
            if self.said:
                # Real images were judged first, where D was updated too.
                of_fake = self.said[1 if "D" in roles else 0]
                losses["G"] = losses["G"] + loss["class_weight_g"] * self.class_loss(of_fake)
        for role, value in losses.items():
            parameters = list(self.nets[role].parameters())
            gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
            for parameter, gradient in zip(parameters, gradients):
                parameter.grad = torch.zeros_like(parameter) if gradient is None else gradient

    def step(self, role, values):
        learning_rate, momentum = values[:2].tolist()
        for group in self.optimizers[role].param_groups:
            group["lr"] = learning_rate
            if "momentum" in group and self.config["optimizer"][role.lower()]["kind"] == "sgd":
                group["momentum"] = momentum
        self.optimizers[role].step()
        clip = self.config["loss"]["weight_clip"]
        if role == "D":
            self.strength.adapt(self.on_real)
            self.d_updates += 1
            if clip > 0:
                with torch.no_grad():
                    for parameter in self.nets["D"].parameters():
                        parameter.clamp_(-clip, clip)
        if role == "G":
            self.g_updates += 1
        if role == "G" and self.average is not None:
            decay = self.config["train"]["ema_decay"]
            decay = min(decay, self.g_updates / (self.g_updates + 9))
            new = self.nets["G"].state_dict()
            for name, tensor in self.average.state_dict().items():
                if tensor.is_floating_point():
                    tensor.mul_(decay).add_(new[name], alpha=1 - decay)

    def state(self):
        """Name to tensor of all networks, as in a checkpoint."""
        nets = dict(self.nets)
        if self.average is not None:
            nets["G_ema"] = self.average
        strength = self.strength.state() if self.strength.adaptive else {}
        return strength | {
            f"{prefix}.{name}": tensor.detach()
            for prefix, net in nets.items()
            for name, tensor in net.state_dict().items()
            if tensor.is_floating_point()
        }


def after(trace):
    """Name to tensor of all networks, and the strength, after a trace."""
    return {
        f"{net}.{name}": tensor
        for net in ("G", "D", "G_ema", "augment")
        for name, tensor in trace.state("after", net).items()
    }


def compare(replay, metrics, state, rounding=ROUNDING, say=print):
    """The worst errors (losses, weights) of a run against its replay."""

    def worse(errors):
        # Above all numbers, so that NaN is no success.
        return max(errors, key=lambda x: (math.isnan(x), x))

    losses, weights = [], []
    for number, (ours, theirs) in enumerate(zip(metrics, replay.steps, strict=True)):
        errors = {name: abs(ours[name] - theirs[name]) / abs(theirs[name]) for name in METRICS}
        say(f"step {number:3d} " + "  ".join(f"{name} {error:.1e}" for name, error in errors.items()))
        losses += errors.values()
    theirs = replay.state()
    assert state.keys() == theirs.keys(), state.keys() ^ theirs.keys()
    for name, tensor in theirs.items():
        # Zeros that nothing moves, as a critic's last bias, have no largest.
        largest = tensor.abs().max().item() or 1.0
        difference = (state[name].to(tensor.dtype) - tensor).abs().max().item()
        error = 0.0 if difference <= rounding else difference / largest
        moved = (tensor - replay.trace.tensors[f"before.{name}"]).abs().max().item() / largest
        say(f"{name:32s} error {error:.1e}  largest {largest:.3g}  moved {moved:.1e}")
        weights.append(error)
    return worse(losses), worse(weights)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace")
    parser.add_argument("--float32", action="store_true", help="replay in float32, not float64")
    parser.add_argument(
        "--disturb", action="store_true", help="compare with PyTorch from weights 1e-7 off instead"
    )
    arguments = parser.parse_args()
    trace = Trace(arguments.trace)
    dtype = torch.float32 if arguments.float32 else torch.float64
    replay = Replay(trace, dtype)
    replay.run()
    metrics, state = trace.metrics, after(trace)
    if arguments.disturb:
        other = Replay(trace, dtype)
        other.disturb(1e-7, seed=0)
        metrics, state = other.run(), other.state()
    loss, weight = compare(replay, metrics, state)
    print(f"PyTorch {torch.__version__}: worst loss {loss:.1e}, worst weight {weight:.1e}")
    sys.exit(0 if loss <= TOLERANCE and weight <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
