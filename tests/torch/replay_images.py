"""Replay a trace of a system that makes images of images in PyTorch: pix2pix, CycleGAN.

`replay_images.py TRACE.safetensors` compares one (`gpugan train --trace N`) as
replay.py does, with the same tolerances. Without a trace it makes the golden files of
tests/program/replay.rs again as regenerate.py does, all or those of the names given:
`replay_images.py --fixtures pix2pix`.

A bias in front of a normalisation that takes the mean away has a gradient that is
nothing but rounding, and Adam makes steps of it. No output depends on it, and it is
left out of the comparison (`free` in the golden files).
"""

import argparse
import math
import sys

import torch
from torch import nn
from torch.nn import functional

import networks
import regenerate
import replay

# So that no weight goes by the sign of a gradient of which nearly nothing is left.
STEADY = "--set optimizer.g.eps=1e-3 --set optimizer.d.eps=1e-3"
# Two generators that learn from each other's images make a disturbance of 1e-6 one of
# 1e-2 in 20 steps, whoever computes them.
STEPS = 5
DISTURBANCE = 1e-7
# Narrow, on few pixels, but with all that the keys change.
CASES = {
    "pix2pix": """--preset pix2pix32 --batch 4 --set data.size=16 --set model.width=4
        --set model.d_width=4 --set model.d_layers=1 --set optimizer.g.lr_hold=5
        --set optimizer.g.lr_steps=30""",
    "pix2pix-squares": """--preset pix2pix32 --batch 2 --set data.size=16 --set model.width=4
        --set model.d_width=4 --set model.d_layers=1 --set model.drop_layers=0
        --set model.norm=none --set loss.kind=least-squares --set loss.conditional=false
        --set loss.l1=10""",
    "cyclegan": f"""--preset cyclegan32 --batch 2 --set data.size=16 --set model.width=2
        --set model.blocks=1 --set model.d_width=4 --set model.d_layers=1 --set loss.pool=3 {STEADY}""",
    "cyclegan-batch": f"""--preset cyclegan32 --batch 2 --set data.size=16 --set model.width=2
        --set model.blocks=1 --set model.d_width=4 --set model.d_layers=1 --set loss.pool=0
        --set model.norm=batch --set loss.identity=0 --set loss.kind=non-saturating
        {STEADY}""",
}


class Drop(nn.Module):
    """Dropout by the draws of a trace."""

    def __init__(self, draws, p):
        super().__init__()
        self.draws, self.p = draws, p

    def forward(self, x):
        return self.draws.drop(x, self.p)


def adversarial(kind, logits, real):
    """A player's loss on logits that are to be real, or not."""
    if kind == "least-squares":
        return (logits - float(real)).pow(2).mean()
    if kind == "non-saturating":
        return replay.bce(logits, float(real))
    raise ValueError(kind)


class Pix2pix:
    """models/pix2pix_model.py of pytorch-CycleGAN-and-pix2pix."""

    reports = ["loss_d", "loss_g", "l1", "d_real", "d_fake"]

    def __init__(self, config, update, draws):
        model, self.loss = config["model"], config["loss"]
        (_, inputs, rows, columns), outputs = update["input"].shape, update["real"].shape[1]
        downs = model["levels"] or int(math.log2(min(rows, columns)))
        g = networks.Unet(inputs, outputs, model["width"], downs, model["norm"], model["most"])
        level = g.model
        levels = [level]
        while inner := [m for m in level.model if isinstance(m, networks.Level)]:
            (level,) = inner
            levels.append(level)
        for index, level in enumerate(reversed(levels[1:])):
            if 0 <= index - model["drop_first"] < model["drop_layers"]:
                level.model.append(Drop(draws, 0.5))
        seen = outputs + (inputs if self.loss["conditional"] else 0)
        d = networks.Patches(seen, model["d_width"], model["d_layers"], model["norm"])
        self.nets = {"G": g, "D": d}

    def judge(self, given, image):
        both = torch.cat([given, image], 1) if self.loss["conditional"] else image
        return self.nets["D"](both)

    def step(self, updates, take):
        """A step with what its updates saw; `take` makes an update of networks."""
        kind = self.loss["kind"]
        of_d, of_g = updates
        given, real = of_d["input"], of_d["real"]
        fake = self.nets["G"](given)
        on_fake, on_real = self.judge(given, fake.detach()), self.judge(given, real)
        loss_d = adversarial(kind, on_real, True) + adversarial(kind, on_fake, False)
        loss_d = loss_d * self.loss["d_weight"]
        take(loss_d, {"D": of_d})
        loss_g = adversarial(kind, self.judge(given, fake), True)
        l1 = functional.l1_loss(fake, real)
        take(loss_g * self.loss["adversarial"] + l1 * self.loss["l1"], {"G": of_g})
        score = torch.sigmoid if kind == "non-saturating" else (lambda x: x)
        return [loss_d, loss_g, l1, score(on_real).mean(), score(on_fake).mean()]

    def memory(self):
        return {}


class Pool:
    """util/image_pool.py, with its draws given."""

    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, images, draws):
        given = []
        for image, (exchange, which) in zip(images, draws):
            if len(self.images) < self.size:
                self.images.append(image)
            elif exchange > 0.5:
                place = min(int(which * self.size), self.size - 1)
                image, self.images[place] = self.images[place], image
            given.append(image)
        return torch.stack(given)

    def tensor(self, like):
        empty = [torch.zeros_like(like[0])] * (self.size - len(self.images))
        return torch.stack(self.images + empty)


class CycleGan:
    """models/cycle_gan_model.py of pytorch-CycleGAN-and-pix2pix."""

    def __init__(self, config, update, draws):
        model, self.loss = config["model"], config["loss"]
        a, b = update["real_a"].shape[1], update["real_b"].shape[1]
        norm = model["norm"]

        def generator(inputs, outputs):
            size = (model["width"], model["blocks"], norm, model["dropout"])
            return networks.Translator(inputs, outputs, *size)

        def discriminator(channels):
            return networks.Patches(channels, model["d_width"], model["d_layers"], norm)

        self.nets = {
            "G_A": generator(a, b),
            "G_B": generator(b, a),
            "D_A": discriminator(b),
            "D_B": discriminator(a),
        }
        self.pools = [Pool(self.loss["pool"]) for _ in range(2)]
        terms = ["loss_d", "loss_g", "cycle", "identity"][: 4 if self.loss["identity"] else 3]
        self.reports = [f"{term}_{side}" for side in "ab" for term in terms]

    def step(self, updates, take):
        of_a, of_b, of_d_a, of_d_b = updates
        nets, loss, kind = self.nets, self.loss, self.loss["kind"]
        reals = [of_a["real_a"], of_a["real_b"]]
        generators = [nets["G_A"], nets["G_B"]]
        judges = [nets["D_A"], nets["D_B"]]
        fakes = [generators[i](reals[i]) for i in range(2)]
        total, terms = 0, []
        for i in range(2):
            of_g = adversarial(kind, judges[i](fakes[i]), True)
            cycle = functional.l1_loss(generators[1 - i](fakes[i]), reals[i])
            total = total + of_g + loss["cycle"] * cycle
            terms.append([of_g, cycle])
            if loss["identity"]:
                target = reals[1 - i]
                identity = functional.l1_loss(generators[i](target), target)
                total = total + loss["cycle"] * loss["identity"] * identity
                terms[i].append(identity)
        take(total, {"G_A": of_a, "G_B": of_b})
        self.made = [fake.detach() for fake in fakes]
        total, of_d = 0, []
        for i in range(2):
            fake = self.made[i]
            if loss["pool"]:
                draws = of_d_a["pool_draws"][:, 2 * i : 2 * i + 2] / math.sqrt(12) + 0.5
                fake = self.pools[i].query(fake, draws.tolist())
            on_real, on_fake = judges[i](reals[1 - i]), judges[i](fake)
            value = adversarial(kind, on_real, True) + adversarial(kind, on_fake, False)
            of_d.append(value * loss["d_weight"])
            total = total + of_d[i]
        take(total, {"D_A": of_d_a, "D_B": of_d_b})
        return [term for i in range(2) for term in [of_d[i], *terms[i]]]

    def memory(self):
        kept = {}
        for side, made, pool in zip("ba", self.made, self.pools):
            kept[f"made_{side}"] = made
            if pool.size:
                kept[f"pool_{side}"] = pool.tensor(made)
                kept[f"pool_{side}.count"] = torch.tensor(float(len(pool.images)))
        return kept


SYSTEMS = {"pix2pix": Pix2pix, "cyclegan": CycleGan}


class Replay:
    """The networks of a trace in PyTorch, with the interface of replay.Replay."""

    def __init__(self, trace, dtype):
        self.trace, self.dtype = trace, dtype
        self.draws = replay.Draws(trace.seed)
        self.system = SYSTEMS[trace.config["system"]](trace.config, trace.updates[0], self.draws)
        self.optimizers = {}
        for name, net in self.system.nets.items():
            # Strict: the names, layouts and number of tensors are PyTorch's.
            net.load_state_dict(trace.state("before", name), strict=True)
            net.to(dtype).train()
            section = trace.config["optimizer"][name[0].lower()]
            self.optimizers[name] = replay.optimizer(net, section)
        self.steps = []

    @torch.no_grad()
    def disturb(self, size, seed):
        """Multiplies every weight by 1 + N(0, size^2), as rounding might."""
        noise = torch.Generator().manual_seed(seed)
        for net in self.system.nets.values():
            for p in net.parameters():
                p.mul_(1 + size * torch.randn(p.shape, generator=noise, dtype=p.dtype))

    def take(self, loss, networks):
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for name, update in networks.items():
            for group in self.optimizers[name].param_groups:
                group["lr"] = update["update"][0].item()
            self.optimizers[name].step()

    def run(self):
        """Takes all updates; returns the reports of each step."""
        of_step = len(self.system.nets)
        updates = [
            {k: v.to(self.dtype) if torch.is_tensor(v) else v for k, v in update.items()}
            for update in self.trace.updates
        ]
        for first in range(0, len(updates), of_step):
            self.draws.restart(self.trace.draws[first])
            reports = self.system.step(updates[first : first + of_step], self.take)
            self.steps.append([report.item() for report in reports])
        return self.steps

    def state(self):
        """What is left of the networks and the memory, by name."""
        tensors = {
            f"{network}.{name}": tensor.detach()
            for network, net in self.system.nets.items()
            for name, tensor in net.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        return tensors | self.system.memory()

    def free(self):
        """Names of biases that a normalisation takes away."""
        free = []
        for network, net in self.system.nets.items():
            for name, module in net.named_modules():
                if not isinstance(module, nn.Sequential):
                    continue
                pairs = zip(module.named_children(), list(module.children())[1:])
                for (place, layer), after in pairs:
                    if isinstance(after, nn.InstanceNorm2d) and layer.bias is not None:
                        free.append(f"{network}.{name}.{place}.bias")
        return sorted(free)


def reports(trace):
    """Those of each step."""
    names = sorted(name for name in trace.tensors if name.startswith("step"))
    return [trace.tensors[name].tolist() for name in names]


def after(trace):
    names = (name.removeprefix("after.") for name in trace.tensors if name.startswith("after."))
    names = (name for name in names if not name.startswith("moment"))
    return {name: trace.tensors[f"after.{name}"] for name in names}


def compare(played, steps, state, rounding=replay.ROUNDING, say=print):
    """The worst errors (losses, weights) of a run against its replay."""
    names, losses, weights = played.system.reports, [], []
    for number, (ours, theirs) in enumerate(zip(steps, played.steps, strict=True)):
        errors = [abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True)]
        say(f"step {number:3d} " + "  ".join(f"{n} {e:.1e}" for n, e in zip(names, errors)))
        losses += errors
    theirs, free = played.state(), played.free()
    assert state.keys() == theirs.keys(), state.keys() ^ theirs.keys()
    for name, tensor in theirs.items():
        if name in free:
            continue
        largest = tensor.abs().max().item() or 1.0
        difference = (state[name].to(tensor.dtype) - tensor).abs().max().item()
        error = 0.0 if difference <= rounding else difference / largest
        say(f"{name:40s} error {error:.1e}  largest {largest:.3g}")
        weights.append(error)
    # NaN above all numbers, so that it is no success.
    return [max(errors, key=lambda x: (math.isnan(x), x)) for errors in (losses, weights)]


def check(name, trace, say=print):
    """The replay of a trace; ends where they disagree."""
    played = Replay(trace, torch.float64)
    played.run()
    loss, weight = compare(played, reports(trace), after(trace), say=say)
    print(f"{name}: PyTorch {torch.__version__}: worst loss {loss:.1e}, worst weight {weight:.1e}")
    if not (loss <= replay.TOLERANCE and weight <= replay.TOLERANCE):
        sys.exit(f"error: {name} disagrees with PyTorch by more than {replay.TOLERANCE:g}")
    return played


def is_steady(played):
    """Whether a replay leads to the same result from disturbed weights."""
    for seed in range(3):
        other = Replay(played.trace, torch.float64)
        other.disturb(DISTURBANCE, seed)
        other.run()
        errors = compare(played, other.steps, other.state(), 0, lambda line: None)
        if not max(errors) <= regenerate.TOLERANCE:
            return False
    return True


def fixture(arguments, played):
    short = regenerate.short
    return {
        "arguments": arguments,
        "pytorch": torch.__version__.split("+")[0],
        "metrics": [[short(x) for x in step] for step in played.steps],
        "free": played.free(),
        "tensors": {
            name: {
                "shape": list(tensor.shape),
                "largest": short(tensor.abs().max().item()),
                "elements": [short(x) for x in regenerate.evenly_spaced(tensor, 16)],
            }
            for name, tensor in sorted(played.state().items())
        },
    }


def make_fixture(gpugan, name):
    for seed in range(regenerate.SEEDS):
        arguments = [*CASES[name].split(), "--seed", str(seed)]
        trace = regenerate.traced(gpugan, arguments, STEPS)
        played = Replay(trace, torch.float64)
        played.run()
        if is_steady(played):
            check(f"{name}, seed {seed}", trace, say=lambda line: None)
            text = regenerate.written(fixture(arguments, played)) + "\n"
            (regenerate.HERE / "fixtures" / f"{name}.json").write_text(text)
            return
    sys.exit(f"error: {name} is not steady with any of {regenerate.SEEDS} seeds")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", nargs="?")
    parser.add_argument("--fixtures", nargs="*", metavar="NAME", default=[])
    arguments = parser.parse_args()
    if arguments.trace:
        check(arguments.trace, replay.Trace(arguments.trace))
        return
    gpugan = regenerate.program()
    for name in arguments.fixtures or list(CASES):
        make_fixture(gpugan, name)


if __name__ == "__main__":
    main()
