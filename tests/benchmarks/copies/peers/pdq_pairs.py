"""PDQ and FAISS, as Meta's documentation recommends: distance at most 31 of 256, both of quality 50 or more.

python pdq_pairs.py IMAGES OUTPUT
"""

import json
import sys
from itertools import pairwise
from pathlib import Path

import faiss
import numpy as np
import pdqhash
from PIL import Image, ImageOps

DISTANCE, QUALITY = 31, 50

images, output = sys.argv[1:]
names, hashes = [], []
for path in sorted(Path(images).iterdir()):
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (512, 512))  # PDQ itself works on 512 pixels
            pixels = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    except (OSError, SyntaxError):
        continue
    bits, quality = pdqhash.compute(pixels)
    if quality >= QUALITY:
        names.append(path.name)
        hashes.append(np.packbits(bits))

packed = np.stack(hashes)
index = faiss.IndexBinaryFlat(256)
index.add(packed)
limits, _, found = index.range_search(packed, DISTANCE + 1)  # the radius is exclusive
spans = [slice(int(first), int(last)) for first, last in pairwise(limits)]
pairs = [[names[i], names[j]] for i, span in enumerate(spans) for j in found[span].tolist() if i < j]
Path(output).write_text(json.dumps({"pairs": pairs}))
