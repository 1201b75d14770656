"""Networks of gpugan's presets, layer by layer, in the order in which gpugan
multiplies. Images are [N, channels, size, size]; of latents [N, latent] generators
make images, of images discriminators make scores [N, 1]."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class Sum(nn.Module):
    """The sum of two paths, of which an empty one is the identity."""

    def __init__(self, path: list[nn.Module], past: list[nn.Module]) -> None:
        super().__init__()
        self.path = nn.Sequential(*path)
        self.past = nn.Sequential(*past)

    def forward(self, x):
        return self.path(x) + self.past(x)


# DCGAN: the presets dcgan32 and dcgan64.


def dcgan(size: int, width: int, channels: int, latent: int) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator."""
    features = width * size // 8
    layers = [nn.Unflatten(1, (latent, 1, 1))]
    layers += [nn.ConvTranspose2d(latent, features, 4, 1, 0, bias=False)]
    while features > width:
        layers += [nn.BatchNorm2d(features), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(features, features // 2, 4, 2, 1, bias=False)]
        features //= 2
    layers += [nn.BatchNorm2d(features), nn.ReLU(True)]
    layers += [nn.ConvTranspose2d(features, channels, 4, 2, 1, bias=False), nn.Tanh()]
    g = nn.Sequential(*layers)

    layers = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    while size > 8:
        layers += [nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2, True)]
        width, size = 2 * width, size // 2
    d = nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 0, bias=False), nn.Flatten())
    return g.apply(dcgan_start), d.apply(dcgan_start)


def dcgan_start(module: nn.Module) -> None:
    """DCGAN's initial weights."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


# Residual networks: the preset sngan with model.architecture = resnet.


def resnet(size: int, width: int, channels: int, latent: int) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator, whose weights are spectrally normalised."""
    first, doublings = size, 0
    while first > 7:
        first, doublings = first // 2, doublings + 1
    g = nn.Sequential(
        nn.Linear(latent, width * first * first),
        nn.Unflatten(1, (width, first, first)),
        *(doubled(width) for _ in range(doublings)),
        nn.BatchNorm2d(width),
        nn.ReLU(True),
        nn.Conv2d(width, channels, 3, 1, 1),
        nn.Tanh(),
    )

    blocks = [halved(channels, width)]
    while (size := size // 2) > 8:
        blocks += [halved(width, width)]
    d = nn.Sequential(
        *blocks,
        *(Sum(two_convolutions(width, width), []) for _ in range(2)),
        nn.ReLU(),
        SumOfPixels(),
        nn.Linear(width, 1),
    )
    for layer in list(d.modules()):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            spectral_norm(layer)
    return g, d


class SumOfPixels(nn.Module):
    """[N, C, H, W] to [N, C]."""

    def forward(self, x):
        return x.sum((2, 3))


def doubled(width: int) -> Sum:
    """[N, width, H, W] to [N, width, 2 H, 2 W]."""
    path = [nn.BatchNorm2d(width), nn.ReLU(True), nn.Upsample(scale_factor=2)]
    path += [nn.Conv2d(width, width, 3, 1, 1, bias=False)]
    path += [nn.BatchNorm2d(width), nn.ReLU(True)]
    path += [nn.Conv2d(width, width, 3, 1, 1, bias=False)]
    # Of points, a convolution gives the same before the doubling, for a quarter of the work.
    return Sum(path, [nn.Conv2d(width, width, 1, bias=False), nn.Upsample(scale_factor=2)])


def halved(inputs: int, width: int) -> Sum:
    """[N, inputs, H, W] to [N, width, H/2, W/2]."""
    path = [*two_convolutions(inputs, width), nn.AvgPool2d(2)]
    return Sum(path, [nn.AvgPool2d(2), nn.Conv2d(inputs, width, 1)])


def two_convolutions(inputs: int, width: int) -> list[nn.Module]:
    """[N, inputs, H, W] to [N, width, H, W]. No ReLU cuts what is an image. The first
    ReLU leaves its input, which the other path takes too."""
    layers = [nn.ReLU()] if inputs == width else []
    layers += [nn.Conv2d(inputs, width, 3, 1, 1), nn.ReLU(True)]
    return [*layers, nn.Conv2d(width, width, 3, 1, 1)]


# SRResNet and SRGAN: the preset srgan32.


def srresnet(width: int, channels: int, blocks: int = 4, doublings: int = 2) -> nn.Module:
    """The generator, [N, channels, H, W] to [N, channels, 4 H, 4 W]."""
    trunk = []
    for _ in range(blocks):
        trunk += [Sum([*normalised(width, width), nn.PReLU(), *normalised(width, width)], [])]
    layers = [nn.Conv2d(channels, width, 9, 1, 4), nn.PReLU()]
    layers += [Sum([*trunk, *normalised(width, width)], [])]
    for _ in range(doublings):
        layers += [nn.Conv2d(width, 4 * width, 3, 1, 1), nn.PixelShuffle(2), nn.PReLU()]
    return Enlarger(nn.Sequential(*layers, nn.Conv2d(width, channels, 9, 1, 4)))


class Enlarger(nn.Module):
    """Adds what a network makes of images in [0, 1] to the images enlarged, in [-1, 1]."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.net(x)
        enlarged = F.interpolate(x, y.shape[2:], mode="bicubic", antialias=True)
        return 2 * enlarged - 1 + y


def srgan_discriminator(
    size: int, channels: int, width: int = 16, stages: int = 3, units: int = 128
) -> nn.Module:
    """Each stage halves the image and each but the first doubles the channels."""
    layers = [nn.Conv2d(channels, width, 3, 1, 1), nn.LeakyReLU(0.2, True)]
    layers += [*normalised(width, width, 2), nn.LeakyReLU(0.2, True)]
    for _ in range(1, stages):
        layers += [*normalised(width, 2 * width), nn.LeakyReLU(0.2, True)]
        layers += [*normalised(2 * width, 2 * width, 2), nn.LeakyReLU(0.2, True)]
        width *= 2
    side = size >> stages
    layers += [nn.Flatten(), nn.Linear(width * side * side, units), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Linear(units, 1))


def srgan_features(size: int, channels: int, width: int = 32) -> nn.Module:
    """What the content loss compares: the convolutions of `gpugan classify`, frozen,
    [N, channels, size, size] to [N, C, 8, 8]."""
    layers = []
    while size > 8:
        layers += [nn.Conv2d(channels, width, 5, 2, 2, bias=False)]
        layers += [nn.BatchNorm2d(width), nn.ReLU(True)]
        channels, width, size = width, min(2 * width, 128), size // 2
    return nn.Sequential(*layers).eval().requires_grad_(False)


def normalised(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """A 3x3 convolution with batch normalisation."""
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]
