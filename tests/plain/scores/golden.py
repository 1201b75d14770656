"""Writes golden.safetensors and golden.json: features, probabilities and images,
and what SciPy, scikit-learn and torch-fidelity make of them.

Run with torch-fidelity 0.4, scipy, scikit-learn and safetensors; golden.json
records the versions. Patches and their distances have no package: they are
written here a second time, with scipy's filters.
"""

import json
import pathlib
import sys

import numpy as np
import scipy
import scipy.linalg
import scipy.ndimage
import scipy.signal
import sklearn
import torch
import torch_fidelity
from safetensors.numpy import save_file
from sklearn.neighbors import NearestNeighbors
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kernel_poly, mmd2
from torch_fidelity.metric_prc import prc_features_to_metric

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "torch"))
from replay import Draws, words  # noqa: E402

rng = np.random.default_rng(20)
expected = {}

# Features as a network's: correlated, not negative, of different scales.
mix = rng.normal(size=(12, 12))
real = np.maximum(rng.normal(size=(300, 12)) @ mix + 0.5, 0).astype(np.float32)
fake = np.maximum(rng.normal(size=(300, 12)) * 0.8 @ mix + 0.9, 0).astype(np.float32)
# As fake, with a copied and a constant feature: singular covariances.
flat_real, flat_fake = real.copy(), fake.copy()
for flat in (flat_real, flat_fake):
    flat[:, 3] = flat[:, 2]
    flat[:, 5] = 1


def frechet(x, y, offset=0.0):
    """SciPy's root of a singular product needs an offset."""
    x, y = np.float64(x), np.float64(y)
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    offset = offset * np.eye(len(s1))
    root = scipy.linalg.sqrtm((s1 + offset) @ (s2 + offset))
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root.real)


expected["frechet"] = frechet(real, fake)
expected["frechet_singular"] = frechet(flat_real, flat_fake, 1e-6)
statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (real, fake)]
theirs = fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
assert abs(theirs / expected["frechet"] - 1) < 1e-6, theirs

# The kernel distance of ten disjoint blocks of 30.
kernels = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}


def block(x, y):
    x, y = np.float64(x), np.float64(y)
    return mmd2(*[kernel_poly(a, b, **kernels) for a, b in ((x, x), (x, y), (y, y))])


blocks = np.array([block(real[b::10], fake[b::10]) for b in range(10)])
expected["kernel"] = blocks.mean()
expected["kernel_error"] = blocks.std(ddof=1) / np.sqrt(10)

shares = prc_features_to_metric(
    torch.from_numpy(fake), torch.from_numpy(real),
    prc_neighborhood=3, prc_batch_size=1000, save_cpu_ram=False, verbose=False,
)
expected["precision"], expected["recall"] = shares["precision"], shares["recall"]
# Naeem et al. 2020, equations 8 and 9.
balls = NearestNeighbors(n_neighbors=6).fit(real).kneighbors(real)[0][:, 5]
between = np.linalg.norm(real[:, None].astype(np.float64) - fake[None], axis=2)
expected["density"] = (between <= balls[:, None]).sum() / (5 * len(fake))
expected["coverage"] = (between.min(1) <= balls).mean()

logits = rng.normal(size=(205, 10)).astype(np.float32) * 2
scores = isc_features_to_metric(torch.from_numpy(logits), splits=10, shuffle=False)
expected["inception"] = scores["inception_score_mean"]
# Theirs divides by the number of splits.
expected["inception_deviation"] = scores["inception_score_std"] * np.sqrt(10 / 9)

# Blurred noise of two kinds, as images.
def pictures(count, blur):
    noise = rng.normal(size=(count, 28, 28))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, blur, blur))
    smooth /= smooth.std()
    return np.clip(127 + 50 * smooth, 0, 255).round()


coarse, fine = pictures(40, 2.0), pictures(40, 1.2)


def similarity(x, y):
    """Wang et al. 2003 with two scales."""
    weights = np.array([0.0448, 0.2856])
    weights /= weights.sum()
    taps = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    blur = lambda plane: scipy.signal.correlate2d(plane, window, "valid")
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    product = 1
    for scale, weight in enumerate(weights):
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        value = (2 * cov + c2) / (vx + vy + c2)
        if scale == 1:
            value = value * (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        product *= max(value.mean(), 0) ** weight
        x, y = [p.reshape(14, 2, 14, 2).mean((1, 3)) for p in (x, y)] if scale == 0 else (x, y)
    return product


mixed = np.clip(coarse + 0.5 * (fine - 127), 0, 255).round()
expected["similarity"] = [similarity(coarse[i], mixed[i]) for i in range(8)]

# Each generated image is an old one with noise.
generated = np.clip(coarse[:20] + rng.normal(size=(20, 28, 28)) * 8, 0, 255).round()
flat = lambda images: images.reshape(len(images), -1)
nearest = lambda of, to: NearestNeighbors(n_neighbors=1).fit(flat(to)).kneighbors(flat(of))[0][:, 0]
upper_median = lambda values: np.sort(values)[len(values) // 2]
expected["memorisation"] = upper_median(nearest(generated, coarse)) / upper_median(nearest(fine, coarse))

# Karras et al. 2018: patches of the Laplacian pyramid, normalised, projected,
# sorted; at the program's places (32 of each image) and in its directions, whose
# random numbers tests/torch/replay.py has too.
kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
down = lambda x: scipy.ndimage.convolve(x, kernel[None], mode="mirror")[:, ::2, ::2]


def up(x):
    sparse = np.zeros((len(x), 28, 28))
    sparse[:, ::2, ::2] = 4 * x
    return scipy.ndimage.convolve(sparse, kernel[None], mode="mirror")


def patches(images, level):
    views = np.lib.stride_tricks.sliding_window_view(images, (7, 7), (1, 2))
    count, side = len(images), views.shape[1]
    places = [words(count * 32, stream, level, 0)[0] * 2.0**-24 * side for stream in (3, 5)]
    top, left = (place.astype(int).reshape(count, 32) for place in places)
    rows = views[np.arange(count)[:, None], top, left].reshape(-1, 49)
    return (rows - rows.mean()) / rows.std()


def sliced(x, y):
    directions = Draws(0)
    directions.stream = 2
    directions = directions.normal((256, 49), torch.zeros((), dtype=torch.float64)).numpy().T
    directions /= np.linalg.norm(directions, axis=0)
    return 1000 * np.abs(np.sort(x @ directions, 0) - np.sort(y @ directions, 0)).mean()


pyramid = lambda x: [x - up(down(x)), down(x)]
levels = enumerate(zip(pyramid(coarse), pyramid(fine)))
expected["swd"] = [sliced(patches(x, level), patches(y, level)) for level, (x, y) in levels]

arrays = {
    "real": real, "fake": fake, "flat_real": flat_real, "flat_fake": flat_fake,
    "logits": logits, "coarse": coarse, "fine": fine, "mixed": mixed[:8], "generated": generated,
}
small = {name: x.astype(np.float16) if x.ndim == 3 else x for name, x in arrays.items()}
save_file(small, HERE / "golden.safetensors")
versions = {m.__name__: m.__version__ for m in (np, scipy, sklearn, torch, torch_fidelity)}
plain = {k: list(map(float, v)) if isinstance(v, list) else float(v) for k, v in expected.items()}
text = json.dumps({"versions": versions, "expected": plain}, indent=1)
(HERE / "golden.json").write_text(text + "\n")
print(text)
