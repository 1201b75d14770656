"""Writes quality.json: what scikit-image says of pairs of images that quality.rs draws
in the same way. Run with scikit-image; the file records its version."""

import json
import pathlib

import numpy as np
import skimage
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

SIZES = [(3, 40, 33), (3, 24, 64), (1, 31, 30), (3, 11, 12)]
BORDER = 4


def pair(seed, shape):
    """A drawing with noise, and the same with some more."""
    state = seed

    def draw(below):
        nonlocal state
        state = (1103515245 * state + 12345) % 2**31
        return (state >> 8) % below

    first, second = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for c, y, x in np.ndindex(*shape):
        value = (40 * c + 3 * y + 5 * x + draw(32)) % 256
        first[c, y, x] = value
        second[c, y, x] = min(max(value + draw(41) - 20, 0), 255)
    return first.transpose(1, 2, 0), second.transpose(1, 2, 0)


def scores(x, y, **how):
    return [
        float(peak_signal_noise_ratio(x, y, data_range=255)),
        float(
            structural_similarity(
                x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                data_range=255, **how,
            )
        ),
    ]


expected = []
for seed, shape in enumerate(SIZES):
    x, y = pair(seed, shape)
    expected.append({"channels": scores(x, y, channel_axis=2)})
    cut = slice(BORDER, -BORDER)
    x, y = x[cut, cut], y[cut, cut]
    if shape[0] == 3 and min(x.shape[:2]) >= 11:
        expected[-1]["luma"] = scores(rgb2ycbcr(x)[..., 0], rgb2ycbcr(y)[..., 0])

path = pathlib.Path(__file__).resolve().parent / "quality.json"
path.write_text(
    json.dumps({"scikit-image": skimage.__version__, "expected": expected}, indent=1) + "\n"
)
