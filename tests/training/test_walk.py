"""What a reader opens to follow a batch to its losses: nine files; more for a frozen teacher and for compiled steps."""

import ast
from pathlib import Path

import training

FOLDER = Path(training.__file__).parent
WALK = {
    "training.data.batch": "what a step is given: crops, iBOT's mask",
    "training.loop.train_step": "teacher, student, losses, gradient, EMA",
    "training.model.student_teacher": "backbone and heads, and the teacher's copy of them",
    "training.model.vit": "pixels to tokens, the mask token, the blocks in turn",
    "training.model.drop_path": "how crops are packed, and what a branch leaves out",
    "training.model.blocks": "attention and MLP",
    "training.loss.losses": "DINO, iBOT, KoLeo, their sum",
    "training.loss.targets": "Sinkhorn-Knopp or centring",
    "training.loss.cross_entropy": "scores of prototypes in chunks",
}

ADAPTING = {
    "training.model.frozen": "a teacher to distil from, and the patches that set a Gram matrix",
    "training.loss.features": "distances to their features",
}
"""What is opened besides only by who asks for a frozen teacher."""


COMPILED = {
    "training.loss.fused": "the cross-entropy whose visits to the scores are one kernel each",
    "training.loss.passes": "the formulas of those visits, which become kernels",
    "training.model.some_rows": "taking and adding back the tokens that a branch keeps, with gradients of their own",
}
"""What is opened besides only by who compiles, and by who doubts a gradient."""


def imported(name: str) -> set[str]:
    """Return the modules that a module takes something from."""
    tree = ast.parse((FOLDER.parent / f"{name.replace('.', '/')}.py").read_text())
    return {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def test_from_a_batch_to_its_losses_a_reader_crosses_nine_files() -> None:
    crossed, ahead = {"training.data.batch"}, ["training.loop.train_step"]
    while ahead:
        name = ahead.pop()
        crossed.add(name)
        inside = {other for other in imported(name) if other.startswith(("training.model.", "training.loss."))}
        ahead += sorted(inside - crossed)
    assert crossed - ADAPTING.keys() - COMPILED.keys() == WALK.keys()
    assert ADAPTING.keys() | COMPILED.keys() <= crossed
    assert len(WALK) <= 9
