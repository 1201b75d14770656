"""Make tests/torch/fixtures/networks.json again: `networks.py`.

What tests/plain/networks compares gpugan's networks of images to images with:

- `names`: the tensors of the large forms, in PyTorch's order, with their shapes.
- `cases`: for small forms and single layers in float64, the output y, and the
  gradients of sum(y v) with respect to the input and all weights; `second`, where a
  case has it, is the gradient of the sum of the squares of the input's gradient.
  Inputs, weights and v come from gpugan's generator of random numbers, by name.

Of each tensor the file holds its shape, its largest magnitude and up to 6 evenly
spaced elements.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import replay
from regenerate import evenly_spaced, short, written
from second_order import start

FIXTURE = Path(__file__).resolve().parent / "fixtures" / "networks.json"
ELEMENTS = 6


def norm_of(kind, channels):
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.InstanceNorm2d(channels) if kind == "instance" else nn.Identity()]


class Level(nn.Module):
    """Levels `at` to the last of a U-Net; `channels[at]` are those of level at, 0 the
    input's. Modules that hold nothing still take a place."""

    def __init__(self, channels, out, norm, at=1):
        super().__init__()
        bias = norm == "instance"
        first, last = at == 1, at == len(channels) - 1
        outside, here = channels[at - 1], channels[at]
        halve = nn.Conv2d(outside, here, 4, 2, 1, bias=bias)
        inner = [] if last else [Level(channels, out, norm, at + 1)]
        into = here if last else 2 * here
        self.beside = not first
        if first:
            double = nn.ConvTranspose2d(into, out, 4, 2, 1)
            layers = [halve, *inner, nn.ReLU(), double, nn.Tanh()]
        else:
            double = nn.ConvTranspose2d(into, outside, 4, 2, 1, bias=bias)
            layers = [nn.LeakyReLU(0.2), halve]
            # With no norm the others keep their places; a norm holds nothing then.
            layers += [] if last else norm_of(norm, here)
            layers += [*inner, nn.ReLU(), double, *norm_of(norm, outside)]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        y = self.model(x)
        return torch.cat([x, y], 1) if self.beside else y


class Unet(nn.Module):
    def __init__(self, inputs, out, width, downs, norm, most=8):
        super().__init__()
        channels = [inputs] + [width * min(2**level, most) for level in range(downs)]
        self.model = Level(channels, out, norm)

    def forward(self, x):
        return self.model(x)


class Residual(nn.Module):
    def __init__(self, channels, norm, dropout):
        super().__init__()
        bias = norm == "instance"
        layers = []
        for half in range(2):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias)]
            layers += norm_of(norm, channels)
            if half == 0:
                layers += [nn.ReLU(), *([nn.Dropout(0.5)] if dropout else [])]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv_block(x)


class Translator(nn.Module):
    def __init__(self, inputs, out, width, blocks, norm, dropout=False):
        super().__init__()
        bias = norm == "instance"
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7, bias=bias)]
        layers += [*norm_of(norm, width), nn.ReLU()]
        for channels in (width, 2 * width):
            layers += [nn.Conv2d(channels, 2 * channels, 3, 2, 1, bias=bias)]
            layers += [*norm_of(norm, 2 * channels), nn.ReLU()]
        layers += [Residual(4 * width, norm, dropout) for _ in range(blocks)]
        for channels in (2 * width, width):
            layers += [nn.ConvTranspose2d(2 * channels, channels, 3, 2, 1, 1, bias=bias)]
            layers += [*norm_of(norm, channels), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class Patches(nn.Module):
    def __init__(self, inputs, width, layers, norm):
        super().__init__()
        bias = norm == "instance"
        if layers == 0:
            self.net = nn.Sequential(
                nn.Conv2d(inputs, width, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(width, 2 * width, 1, bias=bias),
                *norm_of(norm, 2 * width),
                nn.LeakyReLU(0.2),
                nn.Conv2d(2 * width, 1, 1, bias=bias),
            )
            return
        modules = [nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels = width
        for layer in range(1, layers + 1):
            out, stride = width * min(2**layer, 8), 2 if layer < layers else 1
            modules += [nn.Conv2d(channels, out, 4, stride, 1, bias=bias)]
            modules += [*norm_of(norm, out), nn.LeakyReLU(0.2)]
            channels = out
        self.model = nn.Sequential(*modules, nn.Conv2d(channels, 1, 4, 1, 1))

    def forward(self, x):
        return (self.net if hasattr(self, "net") else self.model)(x)


class Inner(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.rcb = nn.Sequential(
            *same(width, width), nn.PReLU(), *same(width, width)
        )

    def forward(self, x):
        return x + self.rcb(x)


def same(inputs, out, stride=1):
    return [nn.Conv2d(inputs, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)]


class Doubled(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.upsample_block = nn.Sequential(
            nn.Conv2d(width, 4 * width, 3, 1, 1), nn.PixelShuffle(2), nn.PReLU()
        )

    def forward(self, x):
        return self.upsample_block(x)


class SrResnet(nn.Module):
    def __init__(self, channels, width, blocks, doublings):
        super().__init__()
        self.conv_block1 = nn.Sequential(nn.Conv2d(channels, width, 9, 1, 4), nn.PReLU())
        self.trunk = nn.Sequential(*(Inner(width) for _ in range(blocks)))
        self.conv_block2 = nn.Sequential(*same(width, width))
        self.upsampling = nn.Sequential(*(Doubled(width) for _ in range(doublings)))
        self.conv_block3 = nn.Conv2d(width, channels, 9, 1, 4)

    def forward(self, x):
        first = self.conv_block1(x)
        h = first + self.conv_block2(self.trunk(first))
        return self.conv_block3(self.upsampling(h))


class SrDiscriminator(nn.Module):
    def __init__(self, image, width, stages, units):
        super().__init__()
        inputs, rows, columns = image
        layers = [nn.Conv2d(inputs, width, 3, 1, 1), nn.LeakyReLU(0.2)]
        channels = width
        for stage in range(stages):
            if stage > 0:
                layers += [*same(channels, 2 * channels), nn.LeakyReLU(0.2)]
                channels *= 2
            layers += [*same(channels, channels, 2), nn.LeakyReLU(0.2)]
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(channels * rows * columns, units), nn.LeakyReLU(0.2), nn.Linear(units, 1)
        )

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Drawer(nn.Module):
    def __init__(self, features, channels, first, doublings, width):
        super().__init__()
        sizes = [width << i for i in reversed(range(doublings))] + [channels]
        layers = [nn.ConvTranspose2d(features, sizes[0], first, bias=False)]
        for i in range(doublings):
            layers += [nn.BatchNorm2d(sizes[i]), nn.ReLU()]
            bias = i == doublings - 1
            layers += [nn.ConvTranspose2d(sizes[i], sizes[i + 1], 3, 2, 1, 1, bias=bias)]
        self.main = nn.Sequential(*layers, nn.Tanh())

    def forward(self, x):
        return self.main(x[:, :, None, None])


class Ternary(nn.Module):
    def __init__(self, channels, last, halvings, width):
        super().__init__()
        layers = [nn.Conv2d(channels, width, 3, 2, 1), nn.LeakyReLU(0.2)]
        for i in range(1, halvings):
            layers += [*same(width << (i - 1), width << i, 2), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(width << (halvings - 1), 3, last)]
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        return self.main(x).flatten(1)


class Function(nn.Module):
    """A layer and a smooth function, so that there is a second derivative."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return torch.tanh(self.layer(x))


class Bicubic(nn.Module):
    """With a = -1/2 and edges as Pillow's, which torch has for `antialias` alone."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return F.interpolate(x, self.size, mode="bicubic", antialias=True)


LARGE = {
    "unet of 8, batch": lambda: Unet(3, 3, 64, 8, "batch"),
    "unet of 7, instance": lambda: Unet(3, 3, 64, 7, "instance"),
    "translator of 9, instance": lambda: Translator(3, 3, 64, 9, "instance"),
    "translator of 6, batch, dropout": lambda: Translator(3, 3, 64, 6, "batch", True),
    "patches of 3, batch": lambda: Patches(6, 64, 3, "batch"),
    "pixels, instance": lambda: Patches(6, 64, 0, "instance"),
    "srresnet": lambda: SrResnet(3, 64, 16, 2),
    "srresnet's discriminator": lambda: SrDiscriminator((3, 96, 96), 64, 4, 1024),
}
# A network and its input's shape; tests/plain/networks/golden.rs has the same by name.
SMALL = {
    "unet, batch": lambda: (Unet(3, 3, 2, 5, "batch"), (2, 3, 32, 32)),
    "unet, instance": lambda: (Unet(2, 1, 2, 4, "instance", 4), (2, 2, 16, 32)),
    "unet, none": lambda: (Unet(1, 3, 2, 4, "none", 2), (1, 1, 16, 16)),
    "translator, instance": lambda: (Translator(3, 2, 2, 2, "instance"), (2, 3, 8, 12)),
    "translator, batch": lambda: (Translator(1, 3, 2, 1, "batch", True), (2, 1, 12, 12)),
    "patches of 1": lambda: (Patches(3, 2, 1, "none"), (2, 3, 8, 7)),
    "patches of 2": lambda: (Patches(6, 2, 2, "batch"), (2, 6, 16, 16)),
    "patches of 5": lambda: (Patches(1, 1, 5, "instance"), (1, 1, 128, 96)),
    "pixels, batch": lambda: (Patches(6, 3, 0, "batch"), (2, 6, 4, 5)),
    "pixels, instance": lambda: (Patches(3, 3, 0, "instance"), (2, 3, 4, 5)),
    "srresnet of 4": lambda: (SrResnet(3, 3, 2, 2), (2, 3, 4, 5)),
    "srresnet of 2": lambda: (SrResnet(1, 2, 1, 1), (2, 1, 4, 4)),
    "srresnet's discriminator": lambda: (
        SrDiscriminator((3, 9, 8), 2, 3, 5),
        (3, 3, 9, 8),
    ),
    "drawer of 28": lambda: (Drawer(5, 1, 7, 2, 2), (3, 5)),
    "drawer of 32": lambda: (Drawer(4, 3, 4, 3, 2), (2, 4)),
    "ternary of 28": lambda: (Ternary(1, 7, 2, 2), (3, 1, 28, 28)),
    "ternary of 32": lambda: (Ternary(3, 4, 3, 2), (2, 3, 32, 32)),
}
LAYERS = {
    "instance norm": lambda: (nn.InstanceNorm2d(3), (2, 3, 4, 5)),
    "reflection": lambda: (nn.ReflectionPad2d(2), (1, 2, 3, 4)),
    "prelu": lambda: (nn.PReLU(), (2, 3, 2, 2)),
    "shuffle": lambda: (nn.PixelShuffle(3), (2, 18, 2, 1)),
    "unshuffle": lambda: (nn.PixelUnshuffle(2), (2, 3, 4, 6)),
    "enlarged": lambda: (Bicubic((12, 10)), (2, 3, 3, 5)),
    "shrunk": lambda: (Bicubic((3, 2)), (1, 2, 9, 7)),
}


def digest(tensor):
    return {
        "shape": list(tensor.shape),
        "largest": short(tensor.abs().max().item()),
        "elements": [short(x) for x in evenly_spaced(tensor, ELEMENTS)],
    }


def case(net, shape, is_layer):
    draws = replay.Draws(0)
    draws.restart(1)
    if is_layer:
        net = Function(net)
    net = net.double().train()
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    x = start(draws, "x", shape).requires_grad_()
    parameters = dict(net.named_parameters())
    with torch.no_grad():
        for name, parameter in sorted(parameters.items()):
            parameter.copy_(start(draws, name, tuple(parameter.shape)))
    y = net(x)
    v = start(draws, "v", tuple(y.shape))
    targets = {"x": x, **parameters}
    gradients = torch.autograd.grad((y * v).sum(), list(targets.values()), create_graph=is_layer)
    made = {"output": digest(y), "gradients": dict(zip(targets, map(digest, gradients)))}
    if is_layer:
        made["second"] = digest(torch.autograd.grad(gradients[0].square().sum(), x)[0])
    return made


def main():
    with torch.device("meta"):
        names = {
            name: {key: list(tensor.shape) for key, tensor in make().state_dict().items()}
            for name, make in LARGE.items()
        }
    cases = {name: case(*make(), False) for name, make in SMALL.items()}
    cases |= {name: case(*make(), True) for name, make in LAYERS.items()}
    FIXTURE.write_text(written({"names": names, "cases": cases}) + "\n")
    for name, made in cases.items():
        print(f"{name}: {made['output']['largest']:.4g}")


if __name__ == "__main__":
    main()
