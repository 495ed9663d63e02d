"""What names the weights that a run starts from or is guided by: their content, wherever they lie."""

from shared.params import fingerprint
from training.params import PretrainParams
from training.weights import read_weights
from training.weights.files import content_of


def contents(params: PretrainParams) -> dict[str, str]:
    """Return the content of every file of weights that a request names, by what it is for."""
    return {name: content(spec) for name, spec in params.weights_named.items()}


def content(spec: str) -> str:
    """Return what changes when anything changes that a run takes from these weights; where they lie does not count.

    Empty where there are none.
    """
    if not spec:
        return ""
    weights = read_weights(spec)
    mask = {} if weights.mask_token is None else {"mask_token": weights.mask_token}
    return fingerprint(weights.content, content_of(weights.heads | mask))
