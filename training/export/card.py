"""The card of an exported model: what it is, what it was made from, what it is worth, and how to load it."""

import json
from collections.abc import Mapping

from training.export import for_onnx, for_timm, for_transformers
from training.export.history import History
from training.export.preprocessing import sizes_with_antialiasing
from training.params import CropParams
from training.runs.scores import score_label
from training.weights import Weights
from training.weights.exported import HEADS

CardRows = list[tuple[str, ...]]


def card(weights: Weights, past: History, checksums: Mapping[str, str]) -> str:
    """Return the card as Markdown, for the files that are there."""
    sections = [
        f"# {past.run}, step {past.step:,}",
        "A vision transformer, pre-trained without labels by DINOv2's objective with dinoflow. "
        "What was exported is the teacher: the moving average (EMA) of the trained model.",
        _table(_model(weights)),
        "## Training",
        _table(_training(past)),
        _folded("The whole recipe", json.dumps(past.config, indent=1)),
        "## Data",
        _data(past),
        "## Scores",
        _scores(past),
        "## Loading",
        *_loading(weights, checksums),
        "## Training on",
        f"`{HEADS}` holds the teacher's heads and mask token, which only training needs. "
        "`read_weights(FOLDER)` in `training.weights` reads this folder back, to the bit.",
        "## Licence",
        "Yours to choose: it depends on the rights in the images above, and on the weights that training started "
        "from, if any. Write it here before you share the model.",
        "## Files",
        _table([("file", "SHA-256"), *((name, f"`{digest}`") for name, digest in checksums.items())], header=True),
    ]
    return "\n\n".join(sections) + "\n"


def _model(weights: Weights) -> CardRows:
    model = weights.model
    count = sum(tensor.numel() for tensor in weights.vit.values())
    return [
        ("parameters", f"{count:,}, in fp32"),
        ("shape", f"{model.depth} blocks of width {model.width}, {model.heads} heads, {model.ffn}"),
        ("patch", f"{model.patch_size} × {model.patch_size} pixels"),
        ("registers", str(model.registers or "none")),
        ("image", f"{weights.image_size} × {weights.image_size}; other multiples of the patch work too"),
        ("colours", f"RGB from 0 to 1, minus {list(weights.mean)}, over {list(weights.std)}"),
    ]


def _training(past: History) -> CardRows:
    params, resolved = past.config["params"], past.config.get("resolved", {})
    optim = params["optim"]
    whole, images = resolved.get("steps", optim["steps"]), past.step * optim["batch_size"]
    rows: CardRows = [
        ("steps", f"{past.step:,} of {whole if isinstance(whole, str) else format(whole, ',')}"),
        ("images seen", f"{images:,}, {optim['batch_size']:,} a step"),
        ("crops", _crops(CropParams.model_validate(params["crops"]))),
        ("precision", optim["precision"]),
        ("seed", str(params["seed"])),
    ]
    if "training_images" in resolved:
        rows.append(("passes over the data", f"{images / resolved['training_images']:.1f}"))
    if "peak_lr" in resolved:
        rows.append(("peak learning rate", f"{resolved['peak_lr']:.3g}"))
    return [*rows, ("started from", params.get("start") or "chance")]


def _crops(crops: CropParams) -> str:
    return f"{crops.global_count} of {crops.global_size} pixels, {crops.local_count} of {crops.local_size} pixels"


def _data(past: History) -> str:
    info = past.dataset
    rows: CardRows = [("dataset", past.config.get("dataset", "not recorded"))]
    if "training_images" in past.config.get("resolved", {}):
        rows.append(("images to train on", f"{past.config['resolved']['training_images']:,}"))
    counts = info.get("counts", {})
    if counts:
        rows.append(("indexed, kept", f"{counts['indexed']:,}, {counts['kept']:,}"))
        rows += [(f"dropped: {why.replace('_', ' ')}", f"{count:,}") for why, count in counts["reasons"].items()]
        rows += [(f"source {name}", f"{of['kept']:,} of {of['indexed']:,}") for name, of in counts["sources"].items()]
    rows += [(key, str(info[key])) for key in ("created", "fingerprint") if key in info]
    lineage = (
        _folded("Lineage: the tables behind it", json.dumps(info["lineage"], indent=1)) if "lineage" in info else ""
    )
    return "\n\n".join(part for part in (_table(rows), lineage) if part)


def _scores(past: History) -> str:
    if not past.scores:
        return "None yet: `dinoflow evaluate`, then export again."
    rows: CardRows = [("score", "value", "measured on", "protocol")]
    for score in past.scores:
        protocol = ", ".join(f"{key} {value}" for key, value in score.get("protocol", {}).items())
        rows.append((score_label(score), f"{score['value']:.4g}", score["dataset"], protocol))
    return _table(rows, header=True)


def _loading(weights: Weights, checksums: Mapping[str, str]) -> list[str]:
    """Return title, code and for which sizes it is ours, of each format that is there."""
    sections = {
        "timm": (for_timm.LOADING, sizes_with_antialiasing(weights)),
        "transformers": (for_transformers.loading(weights), for_transformers.sizes(weights)),
        "onnx": (for_onnx.loading(weights), sizes_with_antialiasing(weights) + " Batches may have any size."),
    }
    formats = {name.partition("/")[0] for name in checksums}
    blocks = [
        f"### {name}\n\n```python\n{code}```\n\n{sizes}" for name, (code, sizes) in sections.items() if name in formats
    ]
    return ["Run in this folder; `cls` is one vector an image, `patches` one a patch, row by row.", *blocks]


def _table(rows: CardRows, header: bool = False) -> str:
    width = len(rows[0])
    first = [rows[0]] if header else [("",) * width]
    body = rows[1:] if header else rows
    lines = [*first, ("---",) * width, *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n```json\n{text}\n```\n\n</details>"
