"""What a request comes to on this dataset and these processes: facts for config.json, and as lines to read."""

from typing import Any

from training.cost.peak_flops import Peak
from training.cost.step_flops import step_flops
from training.loop.schedules import peak_lr
from training.model.student_teacher import Student
from training.params import PretrainParams
from training.params.resolved import ResolvedParams


def run_facts(params: ResolvedParams, images: int, world: int, accumulate: int, peak: Peak) -> dict[str, Any]:
    """Return what resolved params come to on so many devices with this peak, for config.json."""
    optim, objective, flops = params.optim, params.objective, step_flops(params)
    samples = optim.steps * optim.batch_size
    return {
        "model": params.model.title,
        "positions": params.model.positions,
        "training_images": images,
        "steps": optim.steps,
        "samples": samples,
        "epochs": samples / images,
        "warmup_steps": optim.warmup_steps,
        "freeze_prototypes_steps": optim.freeze_prototypes,
        "freeze_backbone_steps": optim.freeze_backbone,
        "phases": [phase.model_dump() for phase in params.phases],
        "teacher_temperature_steps": objective.teacher_temperature_steps,
        "checkpoint_every_steps": params.checkpoint_every,
        "batch_size": optim.batch_size,
        "processes": world,
        "batch_per_process": optim.batch_size // world,
        "accumulate": accumulate,
        "koleo_groups_per_process": optim.batch_size // world // objective.koleo_group,
        "images_at_once": optim.batch_size // world // accumulate,
        "peak_lr": peak_lr(optim),
        "final_lr": optim.lr_final,
        "step_flops": flops.true,
        "nominal_step_flops": flops.nominal,
        "run_flops": sum((end - first) * step_flops(params.at(first)).true for first, end in params.spans(0)),
        "peak_flops": peak.flops,
        "peak_source": peak.source,
        "peak_images_per_second": peak.flops * world * optim.batch_size / flops.true,
    }


def parameter_counts(student: Student) -> dict[str, int]:
    """Return how many parameters there are."""
    return {
        "backbone_parameters": sum(p.numel() for p in student.backbone.parameters()),
        "head_parameters": sum(p.numel() for name, p in student.named_parameters() if not name.startswith("backbone.")),
    }


def facts_text(facts: dict[str, Any], params: PretrainParams) -> str:
    """Return these facts, with device and parameter counts among them, as a block of lines to read."""
    optim, objective = params.optim, params.objective
    share = facts["warmup_steps"] / facts["steps"]
    reference = "" if optim.lr_rule == "none" else f", {optim.lr:g} at {optim.lr_reference_batch:,} images"
    weight_decay, momentum, temperature = (
        f"{first:g} → {last:g}" for first, last in (optim.weight_decay, optim.momentum, objective.teacher_temperature)
    )
    lines = {
        "model": f"{facts['model']}, patches of {params.model.patch_size} pixels, "
        f"{facts['backbone_parameters'] / 1e6:,.1f} M parameters, {facts['head_parameters'] / 1e6:,.1f} M in heads",
        "length": f"{facts['steps']:,} steps × {facts['batch_size']:,} = {facts['samples']:,} samples "
        f"= {facts['epochs']:,.2f} epochs of {facts['training_images']:,} images",
        "batch": f"processes {facts['processes']} × {facts['batch_per_process']:,} images, "
        f"{facts['images_at_once']:,} at once",
        "lr": f"0 → {facts['peak_lr']:.3g} in {facts['warmup_steps']:,} steps ({share:.1%}) → {facts['final_lr']:.3g}",
        "lr rule": optim.lr_rule + reference,
        "weight decay": weight_decay,
        "momentum": f"{momentum}, {optim.momentum_rule}",
        "temperature": f"{temperature} of the teacher, in {facts['teacher_temperature_steps']:,} steps",
        "work": f"{facts['step_flops'] / optim.batch_size / 1e9:,.3g} GFLOPs an image, {facts['run_flops']:.2e} in all "
        f"({facts['nominal_step_flops'] / optim.batch_size / 1e9:,.3g} an image with what is skipped)",
        "device": f"{facts['device']}, {optim.precision}",
        "peak": f"{facts['peak_flops'] / 1e12:,.3g} TFLOP/s a process, {facts['peak_source']}: "
        f"{facts['peak_images_per_second']:,.0f} images/s at most",
    }
    if facts["freeze_backbone_steps"]:
        lines["heads first"] = f"the backbone is frozen for {facts['freeze_backbone_steps']:,} steps"
    for phase in facts["phases"]:
        sizes = f"global crops of {phase['global_size']} pixels, local ones of {phase['local_size']}"
        lines[f"step {phase['begins']:,}"] = sizes
    return "\n".join(f"{name:<13} {text}" for name, text in lines.items())
