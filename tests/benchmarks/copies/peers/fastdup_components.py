"""fastdup: the connected components of its default run. Its licence (CC BY-NC-ND) allows no more than comparing.

python fastdup_components.py IMAGES OUTPUT
"""

import json
import sys
from pathlib import Path

import fastdup

images, output = sys.argv[1:]
work = fastdup.create(work_dir="fastdup", input_dir=images)
work.run(overwrite=True, print_summary=False)
components, _ = work.connected_components()
groups = [] if components.empty else components.groupby("component_id")["filename"].apply(list).tolist()
Path(output).write_text(json.dumps({"groups": groups}))
