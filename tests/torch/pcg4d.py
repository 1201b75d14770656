"""The random numbers of gpugan in NumPy."""

import numpy as np


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
