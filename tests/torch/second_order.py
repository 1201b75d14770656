"""Make tests/torch/fixtures/second_order.json again: `second_order.py`.

For small critics of every layer that a penalised one may have, what PyTorch
finds for the gradient with respect to the weights of the gradient penalty, of
R1 and of a generator's loss after one unrolled update of the critic
(`create_graph`). Inputs, weights and interpolation factors come from gpugan's
generator of random numbers, by name, so the file holds results only: of each
gradient its largest magnitude and up to 12 evenly spaced elements.
"""

import json
import math
from pathlib import Path

import torch
from torch import nn

import replay
from regenerate import evenly_spaced, short, written

FIXTURE = Path(__file__).resolve().parent / "fixtures" / "second_order.json"
BATCH = 4
# Updates as large as what they move show in what they lead to.
UNROLL_RATE = 0.5
ELEMENTS = 12

IMAGE, POINTS = [2, 6, 5], [3, 1, 1]
# Smooth functions have second derivatives of their own; the last layers make
# penalties see more than one slope.
DENSE = {
    "matmul relu": "linear 7, lrelu 0, linear 5, lrelu 0, linear 1",
    "matmul leaky relu": "linear 7, lrelu 0.2, linear 5, lrelu 0.2, linear 1",
    "matmul tanh": "linear 7, tanh, linear 5, tanh, linear 1",
    "matmul sigmoid": "linear 7, sigmoid, linear 5, sigmoid, linear 1",
    "matmul softplus": "linear 7, softplus, linear 5, softplus, linear 1",
    "matmul maxout": "linear 12, maxout 3, linear 8, maxout 2, linear 1",
    "matmul spectral": "spectral, linear 7, tanh, linear 5, softplus, linear 1",
}
IMAGES = {
    "conv leaky relu": "conv 4 3 1 1, lrelu 0.2, conv 3 3 2 1, lrelu 0.2, linear 1",
    "conv tanh": "conv 4 4 2 1, tanh, conv 3 3 1 1, tanh, linear 1",
    "transposed conv": "convt 3 3 2 1, softplus, conv 3 4 2 1, tanh, linear 1",
    "average pool, upsample": "conv 4 3 1 1, tanh, upsample, conv 3 3 1 1, softplus, pool, linear 1",
    "layer norm": "conv 4 3 1 1, norm 1, lrelu 0.2, conv 4 3 2 1, norm 1, lrelu 0.2, linear 1",
    "instance norm": "conv 4 3 1 1, norm 4, tanh, conv 3 3 2 1, norm 3, lrelu 0.2, linear 1",
    "group norm": "conv 4 3 1 1, norm 2, softplus, conv 4 3 2 1, norm 2, lrelu 0.2, linear 1",
    "minibatch deviation": "conv 4 3 1 1, tanh, minibatch 2, conv 3 3 2 1, lrelu 0.2, linear 1",
    "conv spectral": "spectral, conv 4 3 1 1, lrelu 0.2, conv 3 3 2 1, softplus, linear 1",
}
OBJECTIVES = "gradient", "r1", "unrolled"


class Maxout(nn.Module):
    def __init__(self, pieces):
        super().__init__()
        self.pieces = pieces

    def forward(self, x):
        return x.unflatten(1, (-1, self.pieces)).amax(2)


class MinibatchDeviation(nn.Module):
    def __init__(self, group):
        super().__init__()
        self.group = group

    def forward(self, x):
        groups = x.unflatten(0, (-1, self.group))
        deviation = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        channel = deviation.repeat_interleave(self.group)[:, None, None, None]
        return torch.cat([x, channel.expand(-1, 1, *x.shape[2:])], 1)


def network(layers, image):
    """The critic; a module each layer but `spectral`, `linear` with its flattening."""
    x = torch.zeros(BATCH, *image)
    modules, spectral = [], False
    for layer in layers.split(", "):
        word, *numbers = layer.split()
        numbers = [float(number) for number in numbers]
        whole = [int(number) for number in numbers]
        if word == "spectral":
            spectral = True
            continue
        if word == "linear":
            module = nn.Linear(x.flatten(1).shape[1], whole[0])
        elif word == "conv":
            module = nn.Conv2d(x.shape[1], *whole)
        elif word == "convt":
            module = nn.ConvTranspose2d(x.shape[1], *whole)
        elif word == "norm":
            module = nn.GroupNorm(whole[0], x.shape[1])
        elif word == "maxout":
            module = Maxout(whole[0])
        elif word == "minibatch":
            module = MinibatchDeviation(whole[0])
        elif word == "lrelu":
            module = nn.LeakyReLU(numbers[0])
        elif word == "upsample":
            module = nn.Upsample(scale_factor=2)
        elif word == "pool":
            module = nn.AvgPool2d(2)
        else:
            module = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "softplus": nn.Softplus}[word]()
        if word in ("linear", "conv") and spectral:
            module = nn.utils.spectral_norm(module)
        if word == "linear":
            module = nn.Sequential(nn.Flatten(), module)
        modules.append(module)
        with torch.no_grad():
            x = module(x)
    return nn.Sequential(*modules).double()


def named(net):
    """Parameter and buffer names as gpugan has them to PyTorch's."""
    layers = dict(net.named_parameters()) | dict(net.named_buffers())
    return {
        ".".join(part for i, part in enumerate(name.split(".")) if i != 1 or not part.isdigit()): name
        for name in layers
    }


def start(draws, name, shape):
    """The value of a tensor; tests/device/theory/second_order.rs has the same rule."""
    uniform = 2 * draws.uniform(shape, torch.zeros((), dtype=torch.float64)) - 1
    if name.split(".")[-1].startswith("weight") and len(shape) > 1:
        uniform = uniform * math.sqrt(3 / (math.prod(shape) // shape[0]))
    elif name.endswith("weight"):
        uniform = 1 + uniform / 2
    # What gpugan starts from are f32.
    return uniform.float().double()


def objective(kind, net, real, fake):
    """The scalar that is differentiated."""
    if kind != "unrolled":
        draws = replay.Draws(0)
        return replay.penalty(kind, real, fake, net, draws)
    config = {"kind": "non-saturating", "real_label": 1.0, "d_weight": 1.0}
    names, weights = zip(*net.named_parameters())
    loss = replay.discriminator_loss(config, net(real), net(fake))
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    moved = [weight - UNROLL_RATE * g for weight, g in zip(weights, gradients)]
    logits = torch.func.functional_call(net, dict(zip(names, moved)), (fake,))
    return replay.bce(logits, 1.0)


def case(name, layers, image, kind):
    net = network(layers, image)
    net.train()
    draws = replay.Draws(0)
    draws.restart(1)
    shape = (BATCH, *image)
    real, fake = start(draws, "real", shape), start(draws, "fake", shape)
    state = net.state_dict()
    names = named(net)
    with torch.no_grad():
        for ours, theirs in sorted(names.items()):
            state[theirs].copy_(start(draws, ours, tuple(state[theirs].shape)))
    fake.requires_grad_(kind == "unrolled")
    value = objective(kind, net, real, fake)
    targets = dict(net.named_parameters())
    targets = {ours: targets[theirs] for ours, theirs in sorted(names.items()) if theirs in targets}
    if kind == "unrolled":
        targets["fake"] = fake
    gradients = torch.autograd.grad(value, list(targets.values()), allow_unused=True)
    return {
        "layers": layers,
        "image": image,
        "objective": kind,
        "value": short(value.item()),
        "gradients": {
            target: {
                "shape": list(tensor.shape),
                "largest": short(0.0 if gradient is None else gradient.abs().max().item()),
                "elements": []
                if gradient is None
                else [short(x) for x in evenly_spaced(gradient, ELEMENTS)],
            }
            for (target, tensor), gradient in zip(targets.items(), gradients)
        },
    }


def main():
    cases = {
        f"{name}, {kind}": case(name, layers, image, kind)
        for list_, image in ((DENSE, POINTS), (IMAGES, IMAGE))
        for name, layers in list_.items()
        for kind in OBJECTIVES
        # functional_call does not reach the weights that a hook makes.
        if not (kind == "unrolled" and "spectral" in layers)
    }
    FIXTURE.write_text(written(cases) + "\n")
    for name, made in cases.items():
        print(f"{name}: {made['value']:.4g}")


if __name__ == "__main__":
    main()
