"""What a request comes to on this dataset and these processes: lengths in steps, and the facts told at the start."""

from typing import Any

from shared.errors import RecipeError
from training.cost.peak_flops import Peak
from training.cost.step_flops import step_flops
from training.loop.schedules import peak_lr
from training.model.student_teacher import Student
from training.params import PretrainParams
from training.params.duration import in_steps


def resolved(params: PretrainParams, images: int) -> PretrainParams:
    """Return the params with every length in steps. Raises RecipeError when the warm-up outlasts the run."""
    batch = params.optim.batch_size

    def steps(length: int) -> int:
        return in_steps(length, batch, images)

    asked = params.optim
    optim = asked.model_copy(
        update={
            "steps": steps(asked.steps),
            "warmup_steps": steps(asked.warmup_steps),
            "freeze_prototypes": steps(asked.freeze_prototypes),
        }
    )
    if optim.warmup_steps >= optim.steps:
        raise RecipeError(
            f"optim.warmup_steps must be below optim.steps, got {asked.warmup_steps} and {asked.steps}: "
            f"{optim.warmup_steps:,} and {optim.steps:,} steps of {batch:,} samples, with {images:,} images to train "
            "on. Make training.optim.warmup_steps shorter, or the run longer."
        )
    rise = steps(params.objective.teacher_temperature_steps)
    objective = params.objective.model_copy(update={"teacher_temperature_steps": rise})
    every = {name: steps(getattr(params, name)) for name in ("checkpoint_every", "knn_every")}
    return params.model_copy(update={"optim": optim, "objective": objective, **every})


def facts(params: PretrainParams, images: int, world: int, accumulate: int, peak: Peak) -> dict[str, Any]:
    """Return what resolved params come to on so many devices with this peak, for config.json."""
    optim, objective, flops = params.optim, params.objective, step_flops(params)
    samples = optim.steps * optim.batch_size
    return {
        "model": params.model.title,
        "training_images": images,
        "steps": optim.steps,
        "samples": samples,
        "epochs": samples / images,
        "warmup_steps": optim.warmup_steps,
        "freeze_prototypes_steps": optim.freeze_prototypes,
        "teacher_temperature_steps": objective.teacher_temperature_steps,
        "checkpoint_every_steps": params.checkpoint_every,
        "batch_size": optim.batch_size,
        "processes": world,
        "batch_per_process": optim.batch_size // world,
        "accumulate": accumulate,
        "images_at_once": optim.batch_size // world // accumulate,
        "peak_lr": peak_lr(optim),
        "final_lr": optim.lr_final,
        "step_flops": flops.true,
        "nominal_step_flops": flops.nominal,
        "run_flops": flops.true * optim.steps,
        "peak_flops": peak.flops,
        "peak_source": peak.source,
        "peak_images_per_second": peak.flops * world * optim.batch_size / flops.true,
    }


def counted(student: Student) -> dict[str, int]:
    """Return how many parameters there are."""
    return {
        "backbone_parameters": sum(p.numel() for p in student.backbone.parameters()),
        "head_parameters": sum(p.numel() for head in student.heads() for p in head.parameters()),
    }


def told(known: dict[str, Any], params: PretrainParams) -> str:
    """Return these facts, and what is known beside them, as a block of lines to read."""
    optim, objective = params.optim, params.objective
    share = known["warmup_steps"] / known["steps"]
    reference = "" if optim.lr_rule == "none" else f", {optim.lr:g} at {optim.lr_reference_batch:,} images"
    weight_decay, momentum, temperature = (
        f"{first:g} → {last:g}" for first, last in (optim.weight_decay, optim.momentum, objective.teacher_temperature)
    )
    lines = {
        "model": f"{known['model']}, patches of {params.model.patch_size} pixels, "
        f"{known['backbone_parameters'] / 1e6:,.1f} M parameters, {known['head_parameters'] / 1e6:,.1f} M in heads",
        "length": f"{known['steps']:,} steps × {known['batch_size']:,} = {known['samples']:,} samples "
        f"= {known['epochs']:,.2f} epochs of {known['training_images']:,} images",
        "batch": f"processes {known['processes']} × {known['batch_per_process']:,} images, "
        f"{known['images_at_once']:,} at once",
        "lr": f"0 → {known['peak_lr']:.3g} in {known['warmup_steps']:,} steps ({share:.1%}) → {known['final_lr']:.3g}",
        "lr rule": optim.lr_rule + reference,
        "weight decay": weight_decay,
        "momentum": f"{momentum}, {optim.momentum_rule}",
        "temperature": f"{temperature} of the teacher, in {known['teacher_temperature_steps']:,} steps",
        "work": f"{known['step_flops'] / optim.batch_size / 1e9:,.3g} GFLOPs an image, {known['run_flops']:.2e} in all "
        f"({known['nominal_step_flops'] / optim.batch_size / 1e9:,.3g} an image with what is skipped)",
        "device": f"{known['device']}, {optim.precision}",
        "peak": f"{known['peak_flops'] / 1e12:,.3g} TFLOP/s a process, {known['peak_source']}: "
        f"{known['peak_images_per_second']:,.0f} images/s at most",
    }
    return "\n".join(f"{name:<13} {text}" for name, text in lines.items())
