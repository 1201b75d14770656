"""Replay a trace of a system that makes images of images in PyTorch: pix2pix, CycleGAN.

`replay_images.py TRACE.safetensors` compares one (`gpugan train --trace N`) as
replay.py does, with the same tolerances. Without a trace it makes the golden files of
tests/program/replay.rs again as regenerate.py does, all or those of the names given:
`replay_images.py --fixtures pix2pix`.

A bias in front of a normalisation that takes the mean away has a gradient that is
nothing but rounding, and Adam makes steps of it. No output depends on it, and it is
left out of the comparison (`free` in the golden files).
"""

import math

import torch
from torch import nn
from torch.nn import functional

import golden
import networks
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


class Replay(golden.Played):
    """The networks of a trace in PyTorch."""

    elements, disturbance, length = 16, DISTURBANCE, STEPS

    def __init__(self, trace, dtype):
        super().__init__(trace, dtype)
        self.draws = replay.Draws(trace.seed)
        self.system = SYSTEMS[trace.config["system"]](trace.config, trace.updates[0], self.draws)
        self.networks, self.reports = self.system.nets, self.system.reports
        self.load()
        self.optimizers = {
            name: replay.optimizer(net.train(), trace.config["optimizer"][name[0].lower()])
            for name, net in self.networks.items()
        }

    def take(self, loss, networks):
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for name, update in networks.items():
            self.update(self.optimizers[name], update)

    def run(self):
        """Takes all updates."""
        of_step = len(self.networks)
        updates = [
            {k: v.to(self.dtype) if torch.is_tensor(v) else v for k, v in update.items()}
            for update in self.trace.updates
        ]
        for first in range(0, len(updates), of_step):
            self.draws.restart(self.trace.draws[first])
            reports = self.system.step(updates[first : first + of_step], self.take)
            self.steps.append([report.item() for report in reports])

    def memory(self):
        return self.system.memory()

    def free(self):
        """Biases that a normalisation takes away."""
        free = []
        for network, net in self.networks.items():
            for name, module in net.named_modules():
                if not isinstance(module, nn.Sequential):
                    continue
                pairs = zip(module.named_children(), list(module.children())[1:])
                for (place, layer), after in pairs:
                    if isinstance(after, nn.InstanceNorm2d) and layer.bias is not None:
                        free.append(f"{network}.{name}.{place}.bias")
        return sorted(free)


if __name__ == "__main__":
    golden.main(Replay, __doc__, CASES)
