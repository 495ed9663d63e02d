"""cleanvision: its sets of exact and of near duplicates, by default; an unreadable file would make it crash.

python cleanvision_sets.py IMAGES OUTPUT
"""

import json
import sys
from pathlib import Path

from cleanvision import Imagelab

images, output = sys.argv[1:]
lab = Imagelab(data_path=images)
lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, n_jobs=1, verbose=False)
sets = [*lab.info["exact_duplicates"]["sets"], *lab.info["near_duplicates"]["sets"]]
Path(output).write_text(json.dumps({"groups": sets}))
