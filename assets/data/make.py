#!/usr/bin/env python3
"""Makes the files embedded from assets/ out of the packages that carry them.

Nobody needs this to build gpugan: it says where the committed files come from
and makes them again, byte for byte with the same zopfli and fonttools
(written with zopfli 0.4.3 and fonttools 4.68.0). Sources, fetched by the
ordinary clients, in any scratch folder:

    pip install zopfli fonttools
    apt-get download dataset-fashion-mnist fonts-dejavu-core
    for f in *.deb; do dpkg-deb -x "$f" deb; done
    pip download --no-deps --only-binary=:all: scikit-learn==1.9.1

then, from the repository root, one command makes everything:

    python3 assets/data/make.py \
        --fashion DIR/deb/usr/share/datasets/fashion-mnist \
        --digits DIR/scikit_learn-1.9.1-*.whl \
        --font DIR/deb/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf

Each of the three may be left out. The licence texts beside the outputs are
kept by hand.
"""

import argparse
import csv
import gzip
import io
import struct
import sys
import zipfile
from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent

# Chosen so that all images, labels, the font and the licence texts together
# stay below 2,000,000 bytes: a binary that embeds them stays small.
FASHION_BUDGET = 1_880_000


def pack(data):
    """gzip with zopfli: 4 % smaller than gzip -9, and no time stamp inside."""
    from zopfli.gzip import compress

    return compress(data, numiterations=15)


def idx(shape, data):
    """The IDX container: two zero bytes, type 8 (u8), rank, big-endian sizes."""
    out = struct.pack(">BBBB", 0, 0, 8, len(shape))
    out += struct.pack(f">{len(shape)}I", *shape)
    assert len(data) == product(shape)
    return out + data


def product(shape):
    n = 1
    for s in shape:
        n *= s
    return n


def read_idx(path):
    raw = gzip.decompress(Path(path).read_bytes())
    zero, kind, rank = struct.unpack(">HBB", raw[:4])
    assert (zero, kind) == (0, 8), f"{path}: not an IDX file of bytes"
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    data = raw[4 + 4 * rank :]
    assert len(data) == product(shape), f"{path}: cut short"
    return shape, data


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{path.relative_to(ASSETS.parent)}: {len(data):,} bytes")


def fashion(folder):
    """The first n training images of every class, in their original order."""
    (count, h, w), pixels = read_idx(Path(folder) / "train-images-idx3-ubyte.gz")
    (labels_count,), labels = read_idx(Path(folder) / "train-labels-idx1-ubyte.gz")
    assert count == labels_count

    def subset(per_class):
        seen = [0] * 10
        picked = []
        for i, label in enumerate(labels):
            if seen[label] < per_class:
                seen[label] += 1
                picked.append(i)
        assert seen == [per_class] * 10
        size = h * w
        images = b"".join(pixels[i * size : (i + 1) * size] for i in picked)
        images = pack(idx((len(picked), h, w), images))
        return images, pack(idx((len(picked),), bytes(labels[i] for i in picked)))

    def fits(pair):
        return len(pair[0]) + len(pair[1]) <= FASHION_BUDGET

    low, high, best = 0, 600, None
    while high - low > 1:
        middle = (low + high) // 2
        pair = subset(middle)
        if fits(pair):
            low, best = middle, pair
        else:
            high = middle
    print(f"fashion: {low} images of each class, {10 * low} in all")
    write(ASSETS / "data/fashion-images-idx3-ubyte.gz", best[0])
    write(ASSETS / "data/fashion-labels-idx1-ubyte.gz", best[1])


def digits(wheel):
    """All 1,797 digits; 0..16 becomes 0..255, as every other image here."""
    with zipfile.ZipFile(wheel) as z:
        text = gzip.decompress(z.read("sklearn/datasets/data/digits.csv.gz")).decode()
    rows = [[int(float(v)) for v in row] for row in csv.reader(io.StringIO(text))]
    assert all(len(row) == 65 and max(row[:64]) <= 16 for row in rows)
    pixels = bytes(round(v * 255 / 16) for row in rows for v in row[:64])
    write(
        ASSETS / "data/digits-images-idx3-ubyte.gz",
        pack(idx((len(rows), 8, 8), pixels)),
    )
    write(
        ASSETS / "data/digits-labels-idx1-ubyte.gz",
        pack(idx((len(rows),), bytes(row[64] for row in rows))),
    )


def font(path):
    """DejaVu Sans, printable ASCII, without hinting and layout tables."""
    from fontTools import subset

    options = subset.Options()
    options.hinting = False
    options.layout_features = []
    options.drop_tables += ["FFTM", "GDEF", "GPOS", "GSUB", "kern", "MATH", "gasp"]
    # Copyright, family and version only: the licence lies beside the file.
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6]
    options.recalc_timestamp = False
    options.canonical_order = True
    loaded = subset.load_font(str(path), options)
    worker = subset.Subsetter(options)
    worker.populate(unicodes=range(0x20, 0x7F))
    worker.subset(loaded)
    out = io.BytesIO()
    subset.save_font(loaded, out, options)
    write(ASSETS / "font/DejaVuSans-ascii.ttf", out.getvalue())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fashion", metavar="FOLDER", help="folder of the Debian package's four files")
    parser.add_argument("--digits", metavar="WHEEL", help="scikit-learn wheel")
    parser.add_argument("--font", metavar="TTF", help="DejaVuSans.ttf, version 2.37")
    args = parser.parse_args()
    if not (args.fashion or args.digits or args.font):
        parser.print_help()
        sys.exit(2)
    if args.fashion:
        fashion(args.fashion)
    if args.digits:
        digits(args.digits)
    if args.font:
        font(args.font)


if __name__ == "__main__":
    main()
