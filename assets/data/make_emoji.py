#!/usr/bin/env python3
"""Makes assets/data/emoji.png and emoji.tsv out of the packages that carry them.

Nobody needs this to build gpugan: it says where the committed files come from
and makes them again (written with Pillow 13.0.0). Sources, fetched by the
ordinary client, in any scratch folder:

    pip install pillow
    npm pack emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0

then, from the repository root:

    python3 assets/data/make_emoji.py DIR/emoji-datasource-google-16.0.0.tgz \
        DIR/emoji-datasource-twitter-16.0.0.tgz

Every emoji is drawn twice: by Noto (Apache License 2.0) and by Twemoji (CC BY
4.0). The licence texts beside the outputs are kept by hand.
"""

import io
import json
import sys
import tarfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
SIZE = 32
COUNT = 300
# Pairs in a row of the sheet: each is Noto beside Twemoji.
COLUMNS = 10
# Flags are alike in both styles, and skin tones repeat one picture.
LEFT_OUT = {"Flags", "Component"}


def small(data):
    """A picture of 32x32 on white; colours are weighted by alpha."""
    image = Image.open(io.BytesIO(data)).convert("RGBA").convert("RGBa")
    image = image.resize((SIZE, SIZE), Image.Resampling.LANCZOS).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def main(google, twitter):
    google, twitter = tarfile.open(google), tarfile.open(twitter)
    listed = json.load(google.extractfile("package/emoji.json"))
    usable = [
        emoji
        for emoji in listed
        if emoji["has_img_google"]
        and emoji["has_img_twitter"]
        and emoji["category"] not in LEFT_OUT
    ]
    usable.sort(key=lambda emoji: (emoji["category"], emoji["sort_order"]))
    # Evenly spread, so that every category has its share.
    chosen = [usable[i * len(usable) // COUNT] for i in range(COUNT)]
    rows = -(-COUNT // COLUMNS)
    sheet = Image.new("RGB", (2 * SIZE * COLUMNS, SIZE * rows), "white")
    lines = []
    for number, emoji in enumerate(chosen):
        x, y = number % COLUMNS * 2 * SIZE, number // COLUMNS * SIZE
        for side, (package, style) in enumerate([(google, "google"), (twitter, "twitter")]):
            data = package.extractfile(f"package/img/{style}/64/{emoji['image']}").read()
            sheet.paste(small(data), (x + side * SIZE, y))
        lines.append(f"{emoji['category']}\t{emoji['name'].lower()}\n")
    sheet.save(HERE / "emoji.png", optimize=True)
    (HERE / "emoji.tsv").write_text("".join(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
