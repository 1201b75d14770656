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

METRICS = ["loss_d", "loss_g", "d_real", "d_fake"]
TOLERANCE = 1e-3
# What 20 steps of sums of numbers near 1 round away in a weight.
ROUNDING = 1e-7


# --- The random numbers of dropout -------------------------------------------


def uniform(count, stream, counter, seed):
    """pcg4d (Jarzynski and Olano 2020) of (element, stream, counter, seed): the
    first of four words, as a multiple of 2^-24 in [0, 1)."""
    v = [np.arange(count, dtype=np.uint32)]
    v += [np.full(count, x, dtype=np.uint32) for x in (stream, counter, seed)]
    v = [x * np.uint32(1664525) + np.uint32(1013904223) for x in v]

    def mix():
        for target, a, b in (0, 1, 3), (1, 2, 0), (2, 0, 1), (3, 1, 2):
            v[target] = v[target] + v[a] * v[b]

    mix()
    v = [x ^ (x >> np.uint32(16)) for x in v]
    mix()
    return (v[0] >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


class Masks:
    """Dropout masks in the order in which a program draws them."""

    def __init__(self, seed):
        self.seed, self.counter, self.stream = seed, 0, 0

    def restart(self, counter):
        """The masks of one update."""
        self.counter, self.stream = counter, 0

    def drop(self, x, p):
        if p == 0:
            return x
        kept = np.float32(1) - np.float32(p)
        mask = uniform(x.numel(), self.stream, self.counter, self.seed) < kept
        self.stream += 1
        mask = torch.from_numpy(mask).to(x.dtype).reshape(x.shape)
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
    def __init__(self, config, image, masks):
        super().__init__()
        model = config["model"]
        self.masks = masks
        self.p_input, self.p_hidden = model["dropout_input"], model["dropout_hidden"]
        units, self.pieces = model["maxout_units"], model["maxout_pieces"]
        inputs = [math.prod(image), units]
        self.maxout = nn.ModuleList(nn.Linear(n, units * self.pieces) for n in inputs)
        self.out = nn.Linear(units, 1)

    def forward(self, x):
        h = self.masks.drop(x.flatten(1), self.p_input)
        for layer in self.maxout:
            h = layer(h).unflatten(1, (-1, self.pieces)).amax(2)
            h = self.masks.drop(h, self.p_hidden)
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
        linear = model["stem"] == "linear"
        layers = [nn.Conv2d(image[0], channels, 4, 2, 1, bias=linear), nn.LeakyReLU(0.2)]
        for _ in range(1, doublings):
            layers += [
                nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=False),
                nn.BatchNorm2d(2 * channels),
                nn.LeakyReLU(0.2),
            ]
            channels *= 2
        if linear:
            last = channels * (image[1] >> doublings) * (image[2] >> doublings)
            layers += [nn.Flatten(), nn.Linear(last, 1)]
        else:
            layers += [nn.Conv2d(channels, 1, 4, 1, 0, bias=False)]
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        return self.main(x).flatten(1)


def doublings_of(model, image):
    return (image[1] // 4).bit_length() - 1 if model["stem"] == "conv" else 2


def output(model):
    return nn.Sigmoid() if model["output"] == "sigmoid" else nn.Tanh()


def networks(config, image, masks):
    """(G, D) of a configuration for images [C, H, W]."""
    if config["model"]["architecture"] == "mlp":
        return MlpGenerator(config, image), MaxoutDiscriminator(config, image, masks)
    return DcganGenerator(config, image), DcganDiscriminator(config, image)


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


def bce(logits, target):
    return nn.functional.binary_cross_entropy_with_logits(
        logits, torch.full_like(logits, target)
    )


class Replay:
    """The networks of a trace in PyTorch."""

    def __init__(self, trace, dtype):
        self.trace, self.dtype, self.config = trace, dtype, trace.config
        self.masks = Masks(trace.seed)
        pair = networks(self.config, trace.image(), self.masks)
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
        self.metrics, self.steps, self.g_updates = {}, [], 0

    @torch.no_grad()
    def disturb(self, size, seed):
        """Multiplies every weight by 1 + N(0, size^2), as rounding might."""
        noise = torch.Generator().manual_seed(seed)
        for net in self.nets.values():
            for p in net.parameters():
                p.mul_(1 + size * torch.randn(p.shape, generator=noise, dtype=p.dtype))

    def run(self):
        """Takes all updates; returns the metrics of each step."""
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

    def gradients(self, update, roles, draw):
        net_g, net_d = self.nets["G"], self.nets["D"]
        loss = self.config["loss"]
        self.masks.restart(draw)
        fake = net_g(update["z"].to(self.dtype))
        losses = {}
        if "D" in roles:
            real = update["real"].to(self.dtype)
            if self.config["model"]["output"] == "sigmoid":
                real = (real + 1) / 2
            on_real = net_d(real)
        on_fake = net_d(fake)
        if "D" in roles:
            sum_of_losses = bce(on_real, loss["real_label"]) + bce(on_fake, 0.0)
            losses["D"] = loss["d_weight"] * sum_of_losses
            self.metrics["d_real"] = on_real.sigmoid().mean().item()
            self.metrics["d_fake"] = on_fake.sigmoid().mean().item()
        if "G" in roles:
            minimax = loss["kind"] == "minimax"
            losses["G"] = -bce(on_fake, 0.0) if minimax else bce(on_fake, 1.0)
        for role, value in losses.items():
            self.metrics[f"loss_{role.lower()}"] = value.item()
            parameters = list(self.nets[role].parameters())
            gradients = torch.autograd.grad(value, parameters, retain_graph=True)
            for parameter, gradient in zip(parameters, gradients):
                parameter.grad = gradient

    def step(self, role, values):
        learning_rate, momentum = values[:2].tolist()
        for group in self.optimizers[role].param_groups:
            group["lr"] = learning_rate
            if "momentum" in group and self.config["optimizer"][role.lower()]["kind"] == "sgd":
                group["momentum"] = momentum
        self.optimizers[role].step()
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
        return {
            f"{prefix}.{name}": tensor.detach()
            for prefix, net in nets.items()
            for name, tensor in net.state_dict().items()
            if tensor.is_floating_point()
        }


def after(trace):
    """Name to tensor of all networks after a trace."""
    return {
        f"{net}.{name}": tensor
        for net in ("G", "D", "G_ema")
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
        largest = tensor.abs().max().item()
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
