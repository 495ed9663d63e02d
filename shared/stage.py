"""`@stage`: the only declaration of a stage. Its command, task, form, help and fingerprint follow from it."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shared.params import NOTHING, Params, Resources
from shared.schema import Contract

if TYPE_CHECKING:
    import pyarrow as pa

Shape = Literal["map", "exchange", "reduce", "rounds", "gang"]
"""map: part → part. exchange: parts → buckets. reduce: all parts → one table or a few.
rounds: all parts → tables, in several maps that the stage itself orders; it takes a keyword `rounds` to run them.
gang: processes that start and stop together (torchrun), from a dataset to a folder."""


ALL_ROWS = Resources(memory=4)
"""What a reduce needs that does not say otherwise: it looks at all rows at once."""


@dataclass(frozen=True)
class Stage:
    """A pure function from tables to a table, with what is needed to name, check and run it."""

    fn: Callable[..., Any]
    name: str
    help: str
    params: type[Params]
    reads: tuple[Contract, ...]
    writes: Contract | None
    shape: Shape
    version: int
    scatter: Callable[..., "pa.Table"] | None
    looks_outside: bool
    key: str
    """Where its parameters stand in a recipe."""
    unit: str
    """What a row of its first input is, for whoever follows the work."""
    remembers: bool
    """Whether it takes a keyword `memory`, where it finds rows of before again."""
    content: Callable[[Any], Mapping[str, Any]]
    """Parameters to what they point to outside the workspace, such as the content of a file of weights."""
    needs: Callable[[Any], Resources]
    """Parameters to what a piece of this work needs of the process that does it."""

    def __call__(self, *inputs: Any, **settings: Any) -> Any:
        """Call the plain function: that is all a test needs."""
        return self.fn(*inputs, **settings)

    def identity(self, params: Params) -> dict[str, Any]:
        """Return what, beside its inputs, names a result: the parameters, and the content of what they point to."""
        return {**params.identity(), **self.content(params)}

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel by name: a worker imports its own installed code."""
        return load, (f"{self.fn.__module__}:{self.name}",)


def load(name: str) -> Stage:
    """Return the stage called `module:name`."""
    module, attribute = name.split(":")
    named = getattr(importlib.import_module(module), attribute)
    assert isinstance(named, Stage)
    return named


def stage(
    *,
    reads: tuple[Contract, ...] = (),
    writes: Contract | None = None,
    shape: Shape = "map",
    version: int = 1,
    scatter: Callable[..., "pa.Table"] | None = None,
    looks_outside: bool = False,
    key: str = "",
    unit: str = "images",
    remembers: bool = False,
    content: Callable[[Any], Mapping[str, Any]] = lambda params: {},
    needs: Callable[[Any], Resources] | None = None,
) -> Callable[[Callable[..., Any]], Stage]:
    """Declare a stage.

    `reads` are tables with the columns that it is given (`Contract.only`): by what stands in these its work is named.
    The function takes one argument for each table and a keyword `params` whose annotation is its
    model; an exchange names the function that scatters rows (its table has a column `key`); a gang takes
    `dataset`, `params`, `compute`, `workspace` and `run`. Raises TypeError when the signature says otherwise: at
    import, not at hour three. `looks_outside` marks the one kind of stage that no fingerprint can settle,
    because it reads a listing of the world. `key` is where a recipe holds its parameters, `curation.<name>` by
    default. `content` returns, for parameters that point to something
    outside the workspace, what is there: parameters themselves are plain values. `needs` returns what a piece of the
    work asks of its process, such as a GPU: whatever runs it sees to that.
    """

    def declare(fn: Callable[..., Any]) -> Stage:
        who, arguments = fn.__name__, inspect.signature(fn).parameters
        positional = [a for a in arguments.values() if a.kind is a.POSITIONAL_OR_KEYWORD]
        wanted = 1 if shape in ("exchange", "gang") else len(reads)
        if len(positional) != wanted:
            raise TypeError(f"Stage {who} reads {wanted} inputs, but takes {len(positional)} arguments.")
        if "params" not in arguments or not issubclass(arguments["params"].annotation, Params):
            raise TypeError(f"Stage {who} needs a keyword `params` annotated with a Params model.")
        if (shape == "exchange") != (scatter is not None):
            raise TypeError(f"Stage {who} needs `scatter` exactly when its shape is exchange.")
        for beside in reads if shape == "map" else ():
            if beside.aligned != reads[0].aligned and "part" not in beside.columns:
                raise TypeError(f"Stage {who} needs the column `part` of {beside.name}, by which its rows are found.")
        if not fn.__doc__:
            raise TypeError(f"Stage {who} needs a docstring: it is the help of its command.")
        return Stage(
            fn=fn,
            name=who,
            help=inspect.cleandoc(fn.__doc__),
            params=arguments["params"].annotation,
            reads=reads,
            writes=writes,
            shape=shape,
            version=version,
            scatter=scatter,
            looks_outside=looks_outside,
            key=key or f"curation.{who}",
            unit=unit,
            remembers=remembers,
            content=content,
            needs=needs or (lambda params: ALL_ROWS if shape == "reduce" else NOTHING),
        )

    return declare
