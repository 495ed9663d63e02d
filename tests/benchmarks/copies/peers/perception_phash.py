"""perception: the pairs whose 64-bit PHashes differ in less than 16 % of their bits.

python perception_phash.py IMAGES OUTPUT
"""

import json
import sys
from pathlib import Path

from perception import hashers, tools

images, output = sys.argv[1:]
files = [str(path) for path in sorted(Path(images).iterdir())]
pairs = tools.deduplicate(files=files, hashers=[(hashers.PHash(), 0.16)])
Path(output).write_text(json.dumps({"pairs": [list(map(str, pair)) for pair in pairs]}))
