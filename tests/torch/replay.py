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


# --- Random numbers ----------------------------------------------------------


def words(count, stream, counter, seed):
    """pcg4d (Jarzynski and Olano 2020) of (element, stream, counter, seed): the
    first two of four words, as whole multiples of 2^-24 below 1."""
    v = [np.arange(count, dtype=np.uint32)]
    v += [np.full(count, x, dtype=np.uint32) for x in (stream, counter, seed)]
    v = [x * np.uint32(1664525) + np.uint32(1013904223) for x in v]

    def mix():
        for target, a, b in (0, 1, 3), (1, 2, 0), (2, 0, 1), (3, 1, 2):
            v[target] = v[target] + v[a] * v[b]

    mix()
    v = [x ^ (x >> np.uint32(16)) for x in v]
    mix()
    return v[0] >> np.uint32(8), v[1] >> np.uint32(8)


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
        self.group = model["minibatch_std"]
        extra = 1 if self.group > 0 else 0
        if linear:
            pixels = (image[1] >> doublings) * (image[2] >> doublings)
            layers += [nn.Flatten(), nn.Linear((channels + extra) * pixels, 1)]
        else:
            layers += [nn.Conv2d(channels + extra, 1, 4, 1, 0, bias=False)]
        self.features = len(layers) - (2 if linear else 1)
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        for layer in self.main[: self.features]:
            x = layer(x)
        self.seen = x
        if self.group > 0:
            groups = x.unflatten(0, (-1, self.group))
            deviation = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
            channel = deviation.repeat_interleave(self.group)[:, None, None, None]
            x = torch.cat([x, channel.expand(-1, 1, *x.shape[2:])], 1)
        for layer in self.main[self.features :]:
            x = layer(x)
        return x.flatten(1)


def normalisation(kind, channels, groups):
    if kind == "none":
        return []
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.GroupNorm({"layer": 1, "instance": channels, "group": groups}[kind], channels)]


class Dense(nn.Module):
    """Both networks of the plane."""

    def __init__(self, inputs, hidden, outputs, shape):
        super().__init__()
        layers = []
        for units in hidden:
            layers += [nn.Linear(inputs, units), nn.ReLU()]
            inputs = units
        self.main = nn.Sequential(*layers, nn.Linear(inputs, outputs))
        self.shape = shape

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.main[:-1]:
            x = layer(x)
        self.seen = x
        return self.main[-1](x).reshape(-1, *self.shape)


def doublings_of(model, image):
    return (image[1] // 4).bit_length() - 1 if model["stem"] == "conv" else 2


def output(model):
    return {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "linear": nn.Identity}[model["output"]]()


def networks(config, image, draws):
    """(G, D) of a configuration for images [C, H, W]."""
    model, kind = config["model"], config["model"]["architecture"]
    seen = (image[0] * config["loss"]["pack"], *image[1:])
    if kind == "mlp":
        pair = MlpGenerator(config, image), MaxoutDiscriminator(config, seen, draws)
    elif kind == "dense":
        pair = (
            Dense(model["latent"], model["hidden_g"], math.prod(image), image),
            Dense(math.prod(seen), model["hidden_d"], 1, (1,)),
        )
    else:
        pair = DcganGenerator(config, image), DcganDiscriminator(config, seen)
    if model["spectral_norm"]:
        for layer in list(pair[1].modules()):
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
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


def augment(kind, x, draws):
    n, c, h, w = x.shape
    one = (n, 1, 1, 1)
    if kind in ("color", "all"):
        x = x + (draws.uniform(one, x) - 0.5)
        if c > 1:
            mean = x.mean(1, keepdim=True)
            x = mean + (x - mean) * (2 * draws.uniform(one, x))
        mean = x.mean((1, 2, 3), keepdim=True)
        x = mean + (x - mean) * (draws.uniform(one, x) + 0.5)
    if kind in ("translation", "all"):
        def shifts(side):
            most = side // 8
            by = draws.uniform((n,), torch.zeros(())) * (2 * most + 1)
            return (by.floor() - most).long()

        right, down = shifts(w), shifts(h)
        padded = nn.functional.pad(x, (w // 8, w // 8, h // 8, h // 8))
        x = torch.stack([
            image[:, h // 8 - d : h // 8 - d + h, w // 8 - r : w // 8 - r + w]
            for image, d, r in zip(padded, down.tolist(), right.tolist())
        ])
    if kind in ("cutout", "all"):
        def inside(side, axis):
            at = torch.arange(side, dtype=torch.float32) + 0.5
            centre = draws.uniform((n, 1), torch.zeros(())) * side
            shape = [n, 1, 1, 1]
            shape[axis] = side
            return ((at - centre).abs() < (side // 2) / 2).reshape(shape)

        x = x * ~(inside(h, 2) & inside(w, 3))
    return x


# --- The run -----------------------------------------------------------------


class Replay:
    """The networks of a trace in PyTorch."""

    def __init__(self, trace, dtype):
        self.trace, self.dtype, self.config = trace, dtype, trace.config
        self.draws = Draws(trace.seed)
        pair = networks(self.config, trace.image(), self.draws)
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
        images = augment(loss["augment"], images, self.draws)
        if loss["instance_noise"] > 0:
            std = loss["instance_noise"]
            if loss["instance_noise_steps"] > 0:
                std *= 1 - min(len(self.steps) / loss["instance_noise_steps"], 1)
            images = images + std * self.draws.normal(images.shape, images)
        logits = self.nets["D"](images)
        return logits, self.nets["D"].seen

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
        fake = self.nets["G"](update["z"].to(self.dtype))

        def packed(images):
            return images.reshape(-1, loss["pack"] * images.shape[1], *images.shape[2:])

        fake = packed(fake)
        losses = {}
        if "D" in roles:
            self.real = update["real"].to(self.dtype)
            if self.config["model"]["output"] == "sigmoid":
                self.real = (self.real + 1) / 2
            on_real = self.judge(packed(self.real))
            on_fake = self.judge(fake)
            losses["D"] = discriminator_loss(loss, on_real[0], on_fake[0])
            self.metrics["loss_d"] = losses["D"].item()
            plain = loss["kind"] in ("least-squares", "hinge", "wasserstein")
            for name, (logits, _) in (("d_real", on_real), ("d_fake", on_fake)):
                self.metrics[name] = (logits if plain else logits.sigmoid()).mean().item()
            every = 1 if "G" in roles else loss["penalty_every"]
            if loss["penalty"] != "none" and self.d_updates % every == 0:
                value = penalty(
                    loss["penalty"], packed(self.real), fake, self.nets["D"], self.draws
                )
                losses["D"] = losses["D"] + loss["penalty_weight"] * every * value
        if "G" in roles:
            compares = loss["kind"] in ("relativistic", "feature-matching")
            if "D" not in roles and self.config["train"]["unroll"] > 0:
                moved = self.look_ahead(packed(self.real), fake)
                on_fake = torch.func.functional_call(self.nets["D"], moved, (fake,)), None
            elif "D" not in roles:
                on_fake = self.judge(fake)
                on_real = self.judge(packed(self.real)) if compares else None
            losses["G"] = generator_loss(loss["kind"], on_real if compares else None, on_fake)
            self.metrics["loss_g"] = losses["G"].item()
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
