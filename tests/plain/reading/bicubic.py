"""Make bicubic.json again: what Pillow's BICUBIC makes of some planes.

    python tests/plain/reading/bicubic.py

Noise at full contrast overshoots and is cut, smooth planes with odd sides and a plane
that is smaller than the kernel show the edges. Nothing here was computed by gpugan.
"""

import json
from pathlib import Path

import numpy as np
import PIL
from PIL import Image


def planes():
    rng = np.random.default_rng(0)
    yield "noise", rng.choice([0, 255], (16, 24)).astype(np.uint8), (4, 6)
    y, x = np.mgrid[:19, :30]
    wave = 127.5 + 127.5 * np.sin(x / 3) * np.cos(y / 2)
    yield "wave", wave.astype(np.uint8), (5, 8)
    yield "tiny", rng.integers(0, 256, (3, 2)).astype(np.uint8), (12, 8)
    yield "enlarged", rng.integers(0, 256, (5, 4)).astype(np.uint8), (20, 16)
    yield "one way", rng.integers(0, 256, (8, 8)).astype(np.uint8), (16, 3)


def main():
    cases = []
    for name, plane, (rows, columns) in planes():
        resized = Image.fromarray(plane).resize((columns, rows), Image.Resampling.BICUBIC)
        cases.append(
            {
                "name": name,
                "from": list(plane.shape),
                "to": [rows, columns],
                "plane": plane.flatten().tolist(),
                "resized": np.asarray(resized).flatten().tolist(),
            }
        )
    lines = ",\n".join(" " + json.dumps(case) for case in cases)
    text = f'{{"pillow": "{PIL.__version__}", "cases": [\n{lines}\n]}}\n'
    Path(__file__).with_suffix(".json").write_text(text)


if __name__ == "__main__":
    main()
