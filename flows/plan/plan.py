"""The plan of a recipe: images, storage, hours, memory, the MFU that a deadline needs; and what looks wrong in it."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch

from flows.plan.coordinator import coordinator_memory
from flows.plan.costs import (
    CPU,
    CROPS_MS,
    CROPS_PIXELS,
    GIB,
    TYPICAL,
    Device,
    days,
)
from flows.plan.storage import disk_bytes
from flows.plan.unit_costs import Corpus, chance_pairs, measured, pairs_per_image, stage_costs
from flows.recipe.recipe import Recipe
from shared.params import Compute
from training.cost.peak_flops import Peak
from training.cost.step_memory import step_memory
from training.loop.pretrain import check_batch
from training.loop.run_facts import parameter_counts, run_facts
from training.loop.schedules import peak_lr
from training.loss.cross_entropy import COLUMNS
from training.model.student_teacher import Student
from training.params import PretrainParams
from training.params.resolved import resolved

TRIED_PEAK = 6e-3
"""The greatest peak learning rate that DINOv2 publishes, rounded up: its short recipe's, with layer decay."""
LONG_WARMUP = 0.2
BY_STAGE = ("stages", "network_search", "held")
"""What the table of unit costs has of each stage."""
ONE_MACHINE = 16
"""More devices than are sold in one machine."""


def plan(
    recipe: Recipe,
    images: float,
    image_bytes: float,
    device: Device,
    deadline: float,
    pairs: float | None = None,
    machine_memory: float = 0,
) -> dict[str, Any]:
    """Return the plan as plain facts; `pairs` of candidates an image are those of the measured corpus by default.

    `machine_memory` is that of the machine that will curate; 0 = not known.
    Raises RecipeError where the batch does not fit the images or processes.
    """
    params, compute = resolved(recipe.training, round(images)), recipe.compute
    check_batch(params, round(images), device.count, compute.accumulate)
    with torch.device("meta"):  # shapes without numbers
        parameters = parameter_counts(Student(params))
    peak = Peak(device.flops, device.source)
    resolved_facts = run_facts(params, round(images), device.count, compute.accumulate, peak) | parameters
    memory = step_memory(params, sum(parameters.values()), resolved_facts["images_at_once"], COLUMNS)
    least = days(resolved_facts["run_flops"], device, 1.0)
    pixels = sum(count * size**2 for count, size in params.crops.sizes)
    facts = resolved_facts | _curation(recipe, Corpus.of(images, image_bytes, pairs))
    return facts | {
        "launch": launch_text(compute, device.count),
        "device": f"{device.count} × {device.title}",
        "images": round(images),
        "image_bytes": image_bytes,
        "shard_bytes": images * image_bytes,
        "parts": -(-round(images) // recipe.curation.index.part_images),
        "days_at_peak": least,
        "days_at_typical": least / TYPICAL,
        "deadline_days": deadline,
        "mfu_needed": least / deadline,
        "device_hours_at_typical": least / TYPICAL * 24 * device.count,
        "images_per_second_needed": resolved_facts["samples"] / deadline / 86400,
        "crop_ms": CROPS_MS[compute.colours_on_device(device.title != CPU)] * pixels / CROPS_PIXELS,
        "memory": memory._asdict() | {"total": memory.total},
        "device_memory": device.memory,
        "machine_memory": machine_memory,
    }


def _curation(recipe: Recipe, corpus: Corpus) -> dict[str, Any]:
    """Return what curation will take, and what that rests on."""
    costs, near = list(stage_costs(recipe, corpus)), recipe.curation.dedup.near
    hours, pairs = sum(one.core_hours for one in costs), pairs_per_image(recipe, corpus)
    disk = disk_bytes(recipe, corpus.images, pairs)
    return {
        "curation": [asdict(one) | {"core_hours": one.core_hours} for one in costs],
        "core_hours_to_curate": hours,
        "core_hours_per_million": hours / corpus.images * 1e6,
        "unit_costs": {name: fact for name, fact in measured().items() if name not in BY_STAGE},
        "megapixels": corpus.megapixels,
        "pairs_per_image": pairs,
        "network": not near.embedder.sees_layout and near.enabled,
        "chance_pairs": chance_pairs(recipe, corpus.images),
        "table_bytes": disk.tables,
        "memory_bytes": disk.memory,
        "scratch_bytes": disk.scratch,
        "coordinator": asdict(coordinator_memory(recipe, corpus.images)),
    }


def launch_text(compute: Compute, devices: int) -> str:
    """Return how the processes of a training are started, and what happens when one is lost or stuck."""
    places = {
        "local": "local: processes of one machine",
        "torchrun": f"torchrun: this command on {compute.nodes} machines, which meet at {compute.rendezvous}",
        "slurm": "slurm: srun dinoflow pretrain, one task on each machine",
        "env": "env: one command in each pod, by PET_*, JOB_COMPLETION_INDEX or RANK",
    }
    several = devices > ONE_MACHINE and compute.launcher == "local"
    advice = f"; {devices} devices are several machines: set compute.launcher" if several else ""
    return (
        f"{places[compute.launcher]}{advice}; {compute.max_restarts} restarts, a step may take "
        f"{compute.stuck_after:g} s"
    )


def warnings(params: PretrainParams, plan: dict[str, Any]) -> Iterator[str]:
    """Yield what a reader should know before starting: what cannot work, and what nobody has tried."""
    total, available = plan["memory"]["total"], plan["device_memory"]
    if available and total > available:
        instead = "raise compute.accumulate, or take more devices"
        if not params.model.activation_checkpointing:
            instead = f"set training.model.activation_checkpointing=true, {instead}"
        yield f"a step needs about {total / GIB:,.0f} GiB of a device's {available / GIB:,.0f}: {instead}"
    held, there = plan["coordinator"], plan["machine_memory"]
    if there and held["bytes"] > there:
        yield (
            f"the process that orders the work of {held['stage']} needs about {held['bytes'] / GIB:,.1f} GiB, and this "
            f"machine has {there / GIB:,.1f}: start the run on one that has as much, workers may be anywhere"
        )
    if plan["mfu_needed"] > 1:
        yield f"{plan['deadline_days']:g} days need {plan['mfu_needed']:.0%} of the peak: impossible on these devices"
    elif plan["mfu_needed"] > TYPICAL:
        yield f"{plan['deadline_days']:g} days need {plan['mfu_needed']:.0%} of the peak; {TYPICAL:.0%} is good"
    if params.crops.local_count and params.crops.global_count > params.crops.local_count:
        yield (
            f"{params.crops.global_count} global and {params.crops.local_count} local crops: DINOv2 has few global "
            "and many local ones, at a third of the work or less"
        )
    if (peak := peak_lr(params.optim)) > TRIED_PEAK:
        yield f"a peak learning rate of {peak:.2g}: DINOv2's are 3.5e-4 (ViT-g, at 3,072 images) to 5.7e-3 (short)"
    if plan["warmup_steps"] > LONG_WARMUP * plan["steps"]:
        yield f"the warm-up is {plan['warmup_steps'] / plan['steps']:.0%} of the run; DINOv2's 10 to 16 %"
    if plan["chance_pairs"] > 1:
        yield (
            f"a hash meets {plan['chance_pairs']:,.2g} others by chance alone, and every such pair is verified: set "
            "curation.dedup.perceptual.distance lower, 6 for a billion images"
        )
    if plan["epochs"] < 1:
        yield f"the run sees only {plan['epochs']:.0%} of the images"
