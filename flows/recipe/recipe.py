"""A recipe: everything that one run depends on, in one YAML file or one shipped name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from curation.params import CurationParams
from curation.sources import Source, source_at
from flows.recipe.errors import explain
from flows.recipe.patches import laid_over
from flows.recipe.settings import apply_setting
from flows.recipe.source_names import named_apart
from shared.errors import RecipeError
from shared.params import Compute, Settings, with_present_names
from shared.storage.credentials import withheld, withheld_tree
from training.eval.params import EvaluateParams
from training.params import PretrainParams
from training.params.published import PublishedName
from training.params.shares import check_shares

SHIPPED = Path(__file__).with_name("recipes")


class Recipe(Settings):
    """The whole pipeline: where images come from, how they are curated, what is trained, how it is judged."""

    model_config = ConfigDict(title="Recipe")

    name: str = Field(default="images", pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """Name of the dataset that is published: lower-case letters, digits, dots, dashes."""
    sources: tuple[Source, ...] = ()
    """The collections of images."""
    curation: CurationParams = CurationParams()
    """From raw collections to a published dataset."""
    training: PretrainParams = PretrainParams()
    """Pre-training on the published dataset."""
    evaluation: EvaluateParams = EvaluateParams()
    """How checkpoints are scored."""
    compute: Compute = Compute()
    """Where the work runs and how wide; never changes a result."""
    compared_with: PublishedName = "ViT-L/14"
    """DINOv2's model whose training `plan` lays this recipe beside."""
    deviations: dict[str, str] = Field(default_factory=dict)
    """Why training differs from it: a setting, or the beginning of several, such as optim, and the reason."""

    @model_validator(mode="after")
    def _batch_fits_the_processes(self) -> Self:
        if self.compute.processes:
            try:
                check_shares(self.training, self.compute.processes, self.compute.accumulate)
            except RecipeError as error:
                raise ValueError(str(error).removesuffix(".")) from None
        return self

    @model_validator(mode="after")
    def _sources_at_the_top(self) -> Self:
        if self.curation.index.sources:
            count = len(self.curation.index.sources)
            raise ValueError(f"curation.index.sources must be empty, got {count}; set the sources at the top")
        return self


def shipped() -> list[str]:
    """Return the names of the recipes that come with dinoflow."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_recipe(
    recipe: str | None = None,
    *,
    settings: Sequence[str] = (),
    sources: Sequence[str] = (),
    name: str | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Recipe:
    """Read a recipe by path or shipped name and change it by `a.b.c=value` settings, sources, name and changes.

    `changes` gives, for a dotted key such as training or curation.dedup, the values below it that differ. This is the
    one way from a request to a recipe: command line, form, schedule and Python. An empty name is a recipe of defaults.
    Raises RecipeError naming the key, what was given and what is allowed; SourceError for a missing source.
    """
    values: dict[str, Any] = {} if recipe == "" else _read(recipe or default_recipe())
    for setting in settings:
        apply_setting(values, setting, Recipe)
    for key, change in (changes or {}).items():
        nested = dict(change)
        for part in reversed(key.split(".")):
            nested = {part: nested}
        values = laid_over(values, nested)
    if sources:
        values["sources"] = named_apart([source_at(withheld(url)) for url in dict.fromkeys(sources)])
    if name:
        values["name"] = name
    return _checked(values)


def _checked(values: dict[str, Any]) -> Recipe:
    try:
        return Recipe.model_validate(withheld_tree(values))
    except ValidationError as error:
        raise RecipeError(explain(error, Recipe)) from None


def default_recipe() -> str:
    """The recipe for this machine: `single-gpu` where there is a GPU, else `laptop`."""
    return "single-gpu" if Path("/dev/nvidia0").exists() else "laptop"


def _read(recipe: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the values of a recipe laid over those that it extends, which `above` lists."""
    path = SHIPPED / f"{recipe}.yaml" if recipe in shipped() else Path(recipe)
    if not path.is_file():
        raise RecipeError(
            f"There is no recipe {recipe!r}. Give a YAML file, or one of the shipped recipes: {', '.join(shipped())}."
        )
    chain = (*above, str(path.resolve()))
    if chain[-1] in above:
        raise RecipeError(f"A recipe must not extend itself, got {' → '.join(chain)}. Take one `extends` out.")
    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
    except UnicodeDecodeError:
        raise RecipeError(f"The recipe {path} must be text in UTF-8, got other bytes. Give a YAML file.") from None
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise RecipeError(f"The recipe {path} is not valid YAML: {where}. Mend it there.") from None
    if not isinstance(values, dict):
        raise RecipeError(f"The recipe {path} must hold keys and values, got {type(values).__name__}.")
    base, values = values.pop("extends", None), with_present_names(values, Recipe)
    if not isinstance(base, str | None):
        raise RecipeError(f"The recipe {path} must extend one recipe, got {base!r}. Name it: extends: laptop.")
    return laid_over(_read(base, chain), values) if base else values
