"""`dinoflow plan`: the request, checked; the plan, printed."""

import math
from typing import TYPE_CHECKING, Any

import psutil
import torch

from flows.commands.pipeline import console_for
from flows.plan.costs import CPU, GIB, Device
from flows.plan.deviations import deviations
from flows.plan.plan import plan, warnings
from flows.plan.text import lines
from flows.recipe.recipe import load_recipe
from shared.dataset_version import open_version
from shared.errors import RecipeError, WorkspaceError
from shared.storage import Store
from training.cost.peak_flops import DATA_SHEETS, peak_of
from training.distributed import DistributedContext

if TYPE_CHECKING:
    from flows.recipe.options import Options

MEMORY_GIB = {"B200": 180, "H200": 141, "H100": 80, "A100": 80, "A40": 48, "A30": 24, "A10": 24, "L40": 48, "L4": 24}
MEMORY_GIB |= {"RTX 5090": 32, "RTX 4090": 24, "RTX 3090": 24, "RTX A6000": 48, "V100": 32, "T4": 16}
"""Of the larger version, where there are two."""


def show_plan(
    recipe: str | None,
    options: "Options",
    *,
    images: float | None,
    image_kb: float,
    pairs_per_image: float | None,
    devices: int,
    device: str | None,
    deadline: float,
    price: float | None,
) -> dict[str, Any]:
    """Print the plan of a recipe; return its facts. Raises RecipeError for what cannot be planned."""
    for name, value in {"images": images, "image-kb": image_kb, "devices": devices, "days": deadline}.items():
        _refuse(name, value, "above 0", value is None or value > 0)
    for name, value in {"pairs-per-image": pairs_per_image, "price": price}.items():
        _refuse(name, value, "0 or more", value is None or value >= 0)
    loaded = load_recipe(recipe, settings=options.settings, name=options.name)
    count = images if images is not None else _published(options.workspace, loaded.name)
    machine = _device(device, devices, loaded.training.optim.precision)
    memory = psutil.virtual_memory().total if device is None else 0
    facts = plan(loaded, count, image_kb * 1000, machine, deadline, pairs_per_image, memory)
    if price is not None:
        facts |= {"price_of_hour": price, "price": facts["device_hours_at_typical"] * price}
    warned = list(warnings(loaded.training, facts))
    console, table = console_for(options), deviations(loaded)
    for line in lines(facts, loaded.training, warned, table):
        console.say(line)
    return facts | {"warnings": warned, "deviations": [one._asdict() for one in table]}


def _refuse(name: str, value: float | None, what: str, fits: bool) -> None:
    if value is not None and not (fits and math.isfinite(value)):
        raise RecipeError(f"--{name} must be a number {what}, got {value}.")


def _published(workspace: str, name: str) -> float:
    try:
        return float(open_version(Store(workspace), name).info["counts"]["kept"])
    except WorkspaceError:
        raise RecipeError(
            f"A plan needs the number of images: {name!r} is not published in {workspace}. Give it as --images 1.2e9."
        ) from None


def _device(name: str | None, count: int, precision: str) -> Device:
    """Return the named device, or what is here."""
    if name is None:
        here = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        flops, source = peak_of(
            DistributedContext(here, 0, 1), "bf16" if here.type == "cpu" and precision == "fp16" else precision
        )
        title = torch.cuda.get_device_name(here) if here.type == "cuda" else CPU
        memory = torch.cuda.get_device_properties(here).total_memory if here.type == "cuda" else 0
        return Device(title, count, flops, source, float(memory))
    for part, flops in DATA_SHEETS:
        if part.lower() == name.lower():
            gib = next((size for card, size in MEMORY_GIB.items() if part.startswith(card)), 0)
            return Device(part, count, flops, "data sheet, dense half precision", gib * GIB)
    raise RecipeError(
        f"--device needs a known name, got {name!r}. Choose one of: {', '.join(part for part, _ in DATA_SHEETS)}."
    )
