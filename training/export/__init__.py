"""A run's teacher for other programs: timm, transformers, ONNX, with its heads and a card that says what it is.

for_timm.py, for_transformers.py, for_onnx.py: one file for each format · preprocessing.py: how images are prepared
card.py, history.py: the card, and what is known of the run.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file

from shared.errors import RecipeError, WorkspaceError
from shared.storage import Store, sha256
from training.export import for_onnx, for_timm, for_transformers
from training.export.card import card
from training.export.history import history
from training.runs.run_folder import RunFolder
from training.weights import Weights
from training.weights.exported import HEADS, MASK_TOKEN
from training.weights.run import from_run

FORMATS: dict[str, Callable[[Weights, Path], None]] = {
    "timm": for_timm.write_timm,
    "transformers": for_transformers.write_transformers,
    "onnx": for_onnx.write_onnx,
}
CARD = "README.md"
CONTENT = "content"


def export(
    run: Path, step: int, to: Path | None = None, formats: Sequence[str] = (), image_size: int = 0
) -> dict[str, Any]:
    """Write the teacher of a step in these formats, heads and card beside them; tell where they are.

    Without formats, in all that are possible, and tell why others were left out. Raises RecipeError where one that
    was asked for is not possible. Made again it has the same bytes; a format is whole or absent.
    """
    trained = from_run(run, step)
    weights = trained.at(image_size or trained.image_size)
    folder = to or run / "exports" / (f"step-{step}" + ("" if weights is trained else f"-{image_size}px"))
    _check_is_its_own(folder, weights)
    left_out: dict[str, str] = {}
    for name in formats or FORMATS:
        try:
            with _replaced(folder / name) as draft:
                FORMATS[name](weights, draft)
        except RecipeError as error:
            if formats:
                raise
            left_out[name] = str(error)
    _write_heads(weights, folder)
    checksums = _checksums(folder)
    Store(str(folder)).write(CARD, card(weights, history(RunFolder(run), step), checksums))
    written = {name: str(folder / name) for name in FORMATS if (folder / name).is_dir()}
    return {
        "run": run.name,
        "step": step,
        "export": str(folder),
        "image_size": weights.image_size,
        "formats": written,
        "left_out": left_out,
        "heads": str(folder / HEADS),
        "card": str(folder / CARD),
        "checksums": checksums,
    }


@contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    """Give a folder to fill; when the block ends well, it takes the place of the target."""
    draft = target.with_name(f".tmp-{target.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        for path in draft.iterdir():
            path.chmod(0o644)  # safetensors lets nobody else read what it writes
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write_heads(weights: Weights, folder: Path) -> None:
    """Write what only training needs: the heads, and what stands for a hidden patch."""
    tensors = {name: tensor.contiguous() for name, tensor in weights.heads.items()}
    if weights.mask_token is not None:
        tensors[MASK_TOKEN] = weights.mask_token
    with Store(str(folder)).commit(HEADS) as draft:
        save_file(tensors, draft, metadata={CONTENT: weights.content})  # one: their order is by chance


def _check_is_its_own(folder: Path, weights: Weights) -> None:
    """Raise WorkspaceError where the folder holds another model's export: formats that stay would not be of this."""
    if (folder / HEADS).is_file():
        with safe_open(folder / HEADS, "pt") as file:
            metadata = file.metadata()
        if metadata[CONTENT] != weights.content:
            raise WorkspaceError(
                f"Export needs a folder of its own, got {folder} with another model in it. "
                "Delete it, or give another one with --to."
            )


def _checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that is exported, by its path in the folder."""
    files = [path for name in FORMATS for path in sorted((folder / name).glob("*"))] + [folder / HEADS]
    return {str(path.relative_to(folder)): sha256(path) for path in files}
