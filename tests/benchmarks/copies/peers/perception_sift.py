"""perception: the pairs that its local descriptors (SIFT, verified by geometry) match by default.

python perception_sift.py IMAGES OUTPUT
"""

import json
import sys
from pathlib import Path

from perception import local_descriptor_deduplication as local

images, output = sys.argv[1:]
pairs = local.deduplicate([str(path) for path in sorted(Path(images).iterdir())])
Path(output).write_text(json.dumps({"pairs": [list(map(str, pair)) for pair in pairs]}))
