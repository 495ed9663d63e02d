"""imagededup: the pairs within its default distance of 10 between 64-bit PHashes.

python imagededup_phash.py IMAGES OUTPUT
"""

import json
import sys
from pathlib import Path

import torch

if torch.version.cuda is None:  # torchvision's compiled part does not load beside a CPU-only torch
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from imagededup.methods import PHash  # imports torchvision

images, output = sys.argv[1:]
hasher = PHash(verbose=False)
hashes = hasher.encode_images(images, num_enc_workers=0)
found = hasher.find_duplicates(encoding_map=hashes, max_distance_threshold=10, num_dist_workers=0)
Path(output).write_text(json.dumps({"pairs": [[name, other] for name, others in found.items() for other in others]}))
