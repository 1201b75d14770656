"""Make tests/torch/fixtures/inception.json again: `inception.py`.

What the Inception network of the Fréchet Inception distance makes of two images, in
PyTorch and float64, with weights that gpugan's generator of random numbers gives in the
order of their names, from stream 2 on. Names are torchvision's. The file holds 64 evenly
spaced features and class probabilities of two images (stream 0), and 256 features of a
small image that is not resized (stream 1).
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import replay
from regenerate import evenly_spaced, short, written
from second_order import start

FIXTURE = Path(__file__).resolve().parent / "fixtures" / "inception.json"
ELEMENTS = 64
IMAGES = (2, 3, 24, 20)
SMALL, SMALL_ELEMENTS = (1, 3, 75, 107), 256


class Layer(nn.Module):
    def __init__(self, inputs, out, kernel, stride=1, pad=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, out, kernel, stride, pad, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x):
        return self.bn(self.conv(x)).relu()


def largest(x):
    return functional.max_pool2d(x, 3, 2)


def mean_around(x):
    return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def largest_around(x):
    return functional.max_pool2d(x, 3, 1, 1)


# Layers of a branch: name, output channels, kernel; an "s" behind it halves the image
# without padding. A list of branches in the place of a layer ends a branch.
def a(pooled):
    return [
        [("branch1x1", 64, "1x1")],
        [("branch5x5_1", 48, "1x1"), ("branch5x5_2", 64, "5x5")],
        [
            ("branch3x3dbl_1", 64, "1x1"),
            ("branch3x3dbl_2", 96, "3x3"),
            ("branch3x3dbl_3", 96, "3x3"),
        ],
        [mean_around, ("branch_pool", pooled, "1x1")],
    ]


B = [
    [("branch3x3", 384, "3x3s")],
    [
        ("branch3x3dbl_1", 64, "1x1"),
        ("branch3x3dbl_2", 96, "3x3"),
        ("branch3x3dbl_3", 96, "3x3s"),
    ],
    [largest],
]


def c(n):
    return [
        [("branch1x1", 192, "1x1")],
        [("branch7x7_1", n, "1x1"), ("branch7x7_2", n, "1x7"), ("branch7x7_3", 192, "7x1")],
        [
            ("branch7x7dbl_1", n, "1x1"),
            ("branch7x7dbl_2", n, "7x1"),
            ("branch7x7dbl_3", n, "1x7"),
            ("branch7x7dbl_4", n, "7x1"),
            ("branch7x7dbl_5", 192, "1x7"),
        ],
        [mean_around, ("branch_pool", 192, "1x1")],
    ]


D = [
    [("branch3x3_1", 192, "1x1"), ("branch3x3_2", 320, "3x3s")],
    [
        ("branch7x7x3_1", 192, "1x1"),
        ("branch7x7x3_2", 192, "1x7"),
        ("branch7x7x3_3", 192, "7x1"),
        ("branch7x7x3_4", 192, "3x3s"),
    ],
    [largest],
]


def e(pool):
    def both(name):
        return [[(f"{name}a", 384, "1x3")], [(f"{name}b", 384, "3x1")]]

    return [
        [("branch1x1", 320, "1x1")],
        [("branch3x3_1", 384, "1x1"), both("branch3x3_2")],
        [("branch3x3dbl_1", 448, "1x1"), ("branch3x3dbl_2", 384, "3x3"), both("branch3x3dbl_3")],
        [pool, ("branch_pool", 192, "1x1")],
    ]


class Mixed(nn.Module):
    """Branches side by side."""

    def __init__(self, inputs, branches):
        super().__init__()
        self.branches = branches
        self.out = sum(self.add(branch, inputs) for branch in branches)

    def add(self, branch, channels):
        for step in branch:
            if isinstance(step, list):
                channels = sum(self.add(inner, channels) for inner in step)
            elif isinstance(step, tuple):
                name, out, kernel = step
                size = [int(side) for side in kernel.rstrip("s").split("x")]
                stride, pad = (2, 0) if kernel.endswith("s") else (1, [n // 2 for n in size])
                self.add_module(name, Layer(channels, out, size, stride, pad))
                channels = out
        return channels

    def take(self, branches, x):
        return torch.cat([self.along(branch, x) for branch in branches], 1)

    def along(self, branch, x):
        for step in branch:
            if isinstance(step, list):
                x = self.take(step, x)
            elif isinstance(step, tuple):
                x = getattr(self, step[0])(x)
            else:
                x = step(x)
        return x

    def forward(self, x):
        return self.take(self.branches, x)


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = Layer(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Layer(32, 32, 3)
        self.Conv2d_2b_3x3 = Layer(32, 64, 3, 1, 1)
        self.Conv2d_3b_1x1 = Layer(64, 80, 1)
        self.Conv2d_4a_3x3 = Layer(80, 192, 3)
        blocks = {"5b": a(32), "5c": a(64), "5d": a(64), "6a": B}
        blocks |= {"6b": c(128), "6c": c(160), "6d": c(160), "6e": c(192)}
        blocks |= {"7a": D, "7b": e(mean_around), "7c": e(largest_around)}
        channels = 192
        for name, branches in blocks.items():
            block = Mixed(channels, branches)
            # What is pooled alone keeps its channels.
            channels = block.out
            self.add_module(f"Mixed_{name}", block)
        self.fc = nn.Linear(channels, 1008)

    def features(self, x):
        for name, layer in self.named_children():
            if name in ("Conv2d_3b_1x1", "Mixed_5b"):
                x = largest(x)
            if name != "fc":
                x = layer(x)
        return x.mean((2, 3))

    def forward(self, x):
        """Features, and logits without bias, of images in [0, 1]."""
        x = functional.interpolate(x, (299, 299), mode="bilinear", align_corners=False)
        x = self.features(2 * x - 1)
        return x, x @ self.fc.weight.T


def drawn(draws, name, shape):
    """A tensor, so that the images are not lost among offsets on the way."""
    value = start(draws, name, tuple(shape))
    if name.endswith("conv.weight"):
        value = 1.375 * value
    elif name.endswith("running_var"):
        value = value.abs() + 0.5
    elif name.endswith(("bias", "running_mean")):
        value = value / 16
    return value.float().double()


@torch.no_grad()
def main():
    net = Inception().double().eval()
    draws = replay.Draws(0)
    draws.restart(1)
    images = start(draws, "images", IMAGES)
    small = start(draws, "small", SMALL)
    state = net.state_dict()
    names = sorted(name for name, tensor in state.items() if tensor.ndim > 0)
    for name in names:
        state[name].copy_(drawn(draws, name, state[name].shape))
    features, logits = net((images + 1) / 2)
    narrow = evenly_spaced(net.features(small)[0], SMALL_ELEMENTS)
    cases = {
        "tensors": len(names),
        "elements": sum(state[name].numel() for name in names),
        "images": [
            {
                "features": [short(x) for x in evenly_spaced(features[image], ELEMENTS)],
                "probabilities": [
                    short(x) for x in evenly_spaced(logits[image].softmax(0), ELEMENTS)
                ],
            }
            for image in range(len(images))
        ],
        "small": [short(x) for x in narrow],
    }
    FIXTURE.write_text(written(cases) + "\n")
    print(cases["tensors"], cases["elements"], features.shape)
    print("features", features.std(), "between images", (features[0] - features[1]).std())
    print("probabilities", logits.softmax(1).amax(1))


if __name__ == "__main__":
    main()
