"""What every stage of curation costs an image: the table from which `dinoflow plan` reckons, written anew.

    OMP_NUM_THREADS=1 python tests/benchmarks/scale/unit_costs.py FOLDER SET [--images 1400] [--rows 30000 100000]
    OMP_NUM_THREADS=1 python tests/benchmarks/scale/unit_costs.py FOLDER --images 100000

One process, CPU milliseconds. The JPEGs of FOLDER are curated, stage by stage, against the evaluation set in the folder
SET, as they are and enlarged. What a small corpus cannot tell, because it grows with the corpus, is measured on the
synthetic tables of middle.py, of two sizes: dedup, balance, and the search by a network's vectors without hashes. The
search by the descriptor costs what it does on the photographs, and grows as middle.md says. Hashes have a formula of
their own (curation/dedup/hash_tables.py), which hash_pairs.py measures. Writes flows/plan/unit_costs.json; prints it as
Markdown. Without a SET, only what the JPEGs cost as they are is printed.
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

import measure
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
ENLARGED = 1.5
"""Megapixels."""
PER_PIXEL = ("measure", "verify")
"""Stages that read all pixels."""
SEARCH_EXPONENT = 1.14
"""Of candidates, from 100,000 to 10,000,000 images: the first table of middle.md."""
CLUSTERS_GROW_UNTIL = 1_000_000
"""Balance makes 10·√n clusters, at most 10,000."""


def real(paths, evaluation, part_images=256):
    """Return CPU ms an image of each stage and of publishing, on JPEGs, but of verify those of a pair; and pairs."""
    with tempfile.TemporaryDirectory() as folder:
        root, workspace = Path(folder, "images"), Path(folder, "workspace")
        root.mkdir()
        for number, path in enumerate(paths):
            shutil.copy(path, root / f"{number:06}.jpg")
        sets = [{"name": "set", "source": {"kind": "folder", "url": str(evaluation)}}] if evaluation else []
        curation = {
            "index": {"part_images": part_images},
            "decontaminate": {"sets": sets},
            "balance": {"enabled": True},
        }
        session, spent = stage_seconds(root, workspace, curation, pipeline.made_version)
        outputs = session.outputs
        counted = {"verify": "candidates"} | dict.fromkeys(PER_SET, "references")
        rows = {name: outputs[counted.get(name, "index")].rows for name in spent}
        spent = {name: seconds / max(1, rows[name]) * 1e3 for name, seconds in spent.items()}
        return spent, outputs["candidates"].rows


def enlarged(paths, evaluation):
    """Return the same of the images with ENLARGED megapixels."""
    with tempfile.TemporaryDirectory() as folder:
        return real(measure.gathered(paths, ENLARGED, folder), evaluation)[0]


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
    parser.add_argument("evaluation", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=1400)
    parser.add_argument("--rows", type=int, nargs=2, default=[30_000, 100_000])
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    random.Random(0).shuffle(paths)
    paths = paths[: options.images]
    sizes = [simplejpeg.decode_jpeg_header(path.read_bytes())[:2] for path in paths]
    megapixels = sum(height * width for height, width in sizes) / len(sizes) / 1e6
    real(paths[:WARM], options.evaluation)  # what is imported and made ready once in a process
    spent, pairs = real(paths, options.evaluation)
    print(f"{hardware()} {len(paths)} JPEGs of {megapixels:.3f} MP, {pairs} pairs: {spent}", flush=True)
    if options.evaluation is None:
        return
    larger = enlarged(paths, options.evaluation)
    small, _ = synthetic(options.rows[0])
    large, recall = synthetic(options.rows[1])
    stages = {name: {"ms": round(ms, 4), "at": len(paths)} for name, ms in spent.items()}
    for name in PER_PIXEL:
        stages[name]["megapixel_ms"] = round((larger[name] - spent[name]) / (ENLARGED - megapixels), 3)
    stages["candidates"]["exponent"] = SEARCH_EXPONENT
    grows = grown(small, large, options.rows)
    network = grows.pop("candidates") | {"exponent": SEARCH_EXPONENT}
    stages |= grows
    stages["balance"]["until"] = CLUSTERS_GROW_UNTIL
    table = {
        "hardware": hardware(),
        "date": datetime.date.today().isoformat(),
        "megapixels": round(megapixels, 3),
        "kilobytes": round(sum(path.stat().st_size for path in paths) / len(paths) / 1e3, 1),
        "enlarged": ENLARGED,
        "images": len(paths),
        "pairs_per_image": round(pairs / len(paths), 2),
        "synthetic": options.rows,
        "recall": recall,
        "stages": stages,
        "network_search": network,
        "held": json.loads(TABLE.read_text())["held"],  # held.py measures it
    }
    TABLE.write_text(json.dumps(table, indent=1) + "\n")
    print("| stage | CPU ms an image | a megapixel more | measured at | grows as n to the power of |")
    print("|---|--:|--:|--:|--:|")
    for name, one in (stages | {"candidates by a network's vectors": network}).items():
        more = f"{one['megapixel_ms']:.3f}" if "megapixel_ms" in one else ""
        print(f"| {name} | {one['ms']:.3f} | {more} | {one['at']:,} | {one.get('exponent', 1.0):.2f} |")


if __name__ == "__main__":
    main()
