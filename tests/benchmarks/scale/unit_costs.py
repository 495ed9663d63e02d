"""What every stage of curation costs an image: the table from which `dinoflow plan` reckons, written anew.

    OMP_NUM_THREADS=1 python tests/benchmarks/scale/unit_costs.py FOLDER SET [--images 1400] [--rows 30000 100000]

One process, CPU milliseconds. The JPEGs of FOLDER are curated, stage by stage, against the evaluation set in the folder
SET. What a small corpus cannot tell, because it grows with the corpus, is measured on the synthetic tables of
middle.py, of two sizes: the search for near pairs without hashes, dedup and balance. Hashes have a formula of their own
(curation/dedup/hash_tables.py), which hash_pairs.py measures. Writes flows/plan/unit_costs.json; prints it as Markdown.
"""

import argparse
import datetime
import json
import math
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import middle
import simplejpeg
from hardware import hardware
from stage_seconds import stage_seconds

from curation.params.balance import BalanceParams
from curation.params.copies import DedupParams
from curation.stages import balance, candidates, dedup
from flows import pipeline
from flows.plan.unit_costs import TABLE
from shared.launch.executors import Inline
from shared.stage_runner import run
from shared.storage import Store
from shared.tables import Output

PER_SET = ("references", "measure_references")
"""Stages whose images are those of evaluation sets."""
WARM = 16
CLUSTERS_GROW_UNTIL = 1_000_000
"""Balance makes 10·√n clusters, at most 10,000."""


def real(paths, evaluation, part_images=256):
    """Return CPU ms an image of each stage and of publishing, on JPEGs; and pairs an image."""
    with tempfile.TemporaryDirectory() as folder:
        root, workspace = Path(folder, "images"), Path(folder, "workspace")
        root.mkdir()
        for number, path in enumerate(paths):
            shutil.copy(path, root / f"{number:06}.jpg")
        curation = {
            "index": {"part_images": part_images},
            "decontaminate": {"sets": [{"name": "set", "source": {"kind": "folder", "url": str(evaluation)}}]},
            "balance": {"enabled": True},
        }
        session, spent = stage_seconds(root, workspace, curation, pipeline.made_version)
        outputs = session.outputs
        rows = {name: outputs["references" if name in PER_SET else "index"].rows for name in spent}
        return {name: seconds / rows[name] * 1e3 for name, seconds in spent.items()}, outputs["candidates"].rows


def synthetic(rows):
    """Return CPU ms an image of what grows with the corpus, on tables of so many rows; and the recall."""
    with tempfile.TemporaryDirectory() as folder:
        store, spent = Store(folder), {}
        planted = middle.make(store, rows)
        tables = middle.tables(store)
        none = [Output(name, "idle", "references", ()) for name in ("references", "measure_references")]
        near = {"embedder": {"kind": "efficientnet-lite0"}, "candidates": {"layout": False, "cosine": 0.7}}
        params = DedupParams.model_validate({"near": near, "perceptual": {"enabled": False}})

        def made(stage, params, *inputs):
            start = time.process_time()
            output = run(stage, params, inputs, store=store, executor=Inline())
            spent[stage.name] = (time.process_time() - start) / rows * 1e3
            return output

        pairs = made(candidates, params, *tables, *none)
        verified, _ = middle.verified_of(store, pairs, planted)
        nothing = Output("decontaminate", "idle", None, ())
        dropped = made(dedup, params, *tables, verified, nothing)
        made(balance, BalanceParams(enabled=True), *tables, nothing, dropped)
        return spent, (pairs.facts | pairs.parts[0].facts)["searched"]["vector"]["recall"]


def grown(small, large, sizes):
    """Return the rows of the table for what was measured at two sizes: cost at the larger, and how it grows."""
    return {
        name: {
            "ms": round(large[name], 4),
            "at": sizes[1],
            "exponent": round(1 + max(0.0, math.log(large[name] / small[name]) / math.log(sizes[1] / sizes[0])), 3),
        }
        for name in large
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("--images", type=int, default=1400)
    parser.add_argument("--rows", type=int, nargs=2, default=[30_000, 100_000])
    options = parser.parse_args()
    paths = sorted(options.folder.rglob("*.jpg"))
    random.Random(0).shuffle(paths)
    paths = paths[: options.images]
    sizes = [simplejpeg.decode_jpeg_header(path.read_bytes())[:2] for path in paths]
    real(paths[:WARM], options.evaluation)  # what is imported and made ready once in a process
    spent, pairs = real(paths, options.evaluation)
    print(f"{hardware()} {len(paths)} JPEGs, {pairs} pairs: {spent}", flush=True)
    small, _ = synthetic(options.rows[0])
    large, recall = synthetic(options.rows[1])
    stages = {name: {"ms": round(ms, 4), "at": len(paths)} for name, ms in spent.items()}
    stages |= grown(small, large, options.rows)
    stages["balance"]["until"] = CLUSTERS_GROW_UNTIL
    table = {
        "hardware": hardware(),
        "date": datetime.date.today().isoformat(),
        "megapixels": round(sum(height * width for height, width in sizes) / len(sizes) / 1e6, 3),
        "images": len(paths),
        "pairs_per_image": round(pairs / len(paths), 2),
        "synthetic": options.rows,
        "recall": recall,
        "stages": stages,
    }
    TABLE.write_text(json.dumps(table, indent=1) + "\n")
    print("| stage | CPU ms an image | measured at | grows as n to the power of |\n|---|--:|--:|--:|")
    for name, one in stages.items():
        print(f"| {name} | {one['ms']:.3f} | {one['at']:,} | {one.get('exponent', 1.0):.2f} |")


if __name__ == "__main__":
    main()
