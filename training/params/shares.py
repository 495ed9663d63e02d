"""Whether a batch can be shared out: among processes, micro-batches and the groups in which neighbours are sought."""

from shared.errors import RecipeError
from training.params import PretrainParams


def check_shares(params: PretrainParams, world: int, accumulate: int = 1) -> None:
    """Raise RecipeError when the batch does not fit the processes or the micro-batches."""
    batch, group = params.optim.batch_size, params.objective.koleo_group
    if batch % world:
        raise RecipeError(
            f"optim.batch_size must be a multiple of the {world} processes, got {batch}. "
            f"Set it to {(batch // world + 1) * world}, or change compute.processes."
        )
    grouped = params.objective.koleo_weight or params.model.drop_path
    if grouped and (batch // world) % group:
        raise RecipeError(
            f"Each of {world} processes needs a multiple of objective.koleo_group = {group} images, got "
            f"{batch // world}. Set koleo_group to a divisor of {batch // world}, or koleo_weight and drop_path to 0."
        )
    share, whole = batch // world, group if grouped else 1
    if share % (accumulate * whole):
        most = share // whole
        fitting = [str(count) for count in range(1, most + 1) if most % count == 0]
        raise RecipeError(
            f"Gradient accumulation needs whole groups of {whole} images in each micro-batch, because neighbours are "
            f"sought and images skipped inside of them, got compute.accumulate = {accumulate} of a process's {share} "
            f"images. Set it to one of {', '.join(fitting)}, or objective.koleo_group to a smaller divisor."
        )
