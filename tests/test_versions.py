"""A default that changes must come with a new version of its stage, or results of the old one would be found again."""

from typing import Any

import pytest

from curation.stages import STAGES
from shared.params import Params, fingerprint
from training.stages import evaluate, pretrain

GOLDEN: dict[str, tuple[int, str]] = {
    "index": (2, "c0eb1d43b3f69545bac7"),
    "references": (4, "736939d96cd78fd8fa36"),
    "measure": (8, "a2107da60d863e1a94ec"),
    "measure_references": (8, "a2107da60d863e1a94ec"),
    "quality": (2, "cefa6571f1e94daaf32d"),
    "candidates": (6, "62e42ffec6538fcae7f7"),
    "verify": (9, "1791e8bf588ac422805c"),
    "decontaminate": (5, "736939d96cd78fd8fa36"),
    "dedup": (5, "62e42ffec6538fcae7f7"),
    "balance": (2, "995dbffee9fdf95a04ef"),
    "select": (3, "1791e8bf588ac422805c"),
    "pack": (5, "f87ffbc01fea174b1841"),
    "pretrain": (4, "9b34fe303aba88a3b145"),
    "evaluate": (4, "e5dcd96739f41b492c05"),
}
"""Version of each stage, and the fingerprint of its defaults. A name in `identity` stands only for what differs from
them: where this fails, raise the stage's version, then write down both.
"""


def under_former_names(params: Params, dump: dict[str, Any]) -> dict[str, Any]:
    """Return a dump as it was before fields were renamed: a name alone changes no result."""
    former = {}
    for name, value in params:
        inner = under_former_names(value, dump[name]) if isinstance(value, Params) else dump[name]
        former[params.former_names.get(name, name)] = inner
    return former


@pytest.mark.parametrize("stage", [*STAGES, pretrain, evaluate], ids=lambda stage: stage.name)
def test_defaults_change_only_with_the_version(stage):
    params = stage.params()
    assert (stage.version, fingerprint(under_former_names(params, params.model_dump(mode="json")))) == GOLDEN[
        stage.name
    ]
