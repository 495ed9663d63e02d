"""The options that every command of the pipeline takes, as plain values."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

SourceOption = Annotated[
    tuple[str, ...],
    Parameter(help="Folder or URL of images; repeatable. Replaces the recipe's.", negative=(), show_default=False),
]


SetOption = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        help="Change the recipe: a.b.c=value; repeatable. One rule goes by its name: "
        "curation.quality.rules.blurry.threshold=0.2.",
        negative=(),
        show_default=False,
    ),
]


JsonOption = Annotated[bool, Parameter(help="Print one JSON object instead of text.", negative=(), show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """What every command takes."""

    source: SourceOption = ()
    workspace: Annotated[str, Parameter(help="Folder or URL for datasets, runs and the stage cache.")] = "workspace"
    name: Annotated[str | None, Parameter(help="Name of the dataset.")] = None
    settings: SetOption = ()
    json: JsonOption = False


DEFAULTS = Options()
