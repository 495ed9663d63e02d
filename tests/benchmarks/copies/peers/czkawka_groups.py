"""czkawka: the groups of its similar-images search at level 10, which differ from run to run.

python czkawka_groups.py IMAGES OUTPUT
"""

import json
import sys
from pathlib import Path

from czkawka import ImageSimilarity

images, output = sys.argv[1:]
finder = ImageSimilarity()
finder.set_directories([images])
finder.set_similarity(10)
Path(output).write_text(json.dumps({"groups": [[str(path) for path in group] for group in finder.find_similar()]}))
