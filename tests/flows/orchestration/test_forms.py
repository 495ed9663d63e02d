"""A filled form changes what it names, and is refused as the command line would refuse it, in a form's words."""

import pytest
from pydantic import ValidationError

from curation.params import CurationParams
from flows.orchestration.forms import requested, with_sources
from flows.recipe.patches import patch_of
from flows.recipe.recipe import load_recipe
from shared.errors import RecipeError, SourceError
from shared.params import Compute
from training.params import PretrainParams


def test_one_changed_number_leaves_all_else_to_the_recipe() -> None:
    change = patch_of(PretrainParams).model_validate({"optim": {"steps": 700}})
    asked = requested("laptop", (), (), "", {"training": change})
    laptop = load_recipe("laptop")
    steps = laptop.training.optim.model_copy(update={"steps": 700})
    assert asked == laptop.model_copy(update={"training": laptop.training.model_copy(update={"optim": steps})})


def test_an_empty_form_is_the_recipe() -> None:
    empty = patch_of(CurationParams).model_validate({})
    assert requested("laptop", (), (), "", {"curation": empty, "compute": None}) == load_recipe("laptop")


def test_another_kind_replaces_what_the_recipe_says_of_the_former_one() -> None:
    timm = {"kind": "timm", "model": "resnet18"}
    change = patch_of(CurationParams).model_validate({"dedup": {"near": {"embedder": timm}}})
    settings = ["curation.dedup.near.embedder={kind: descriptor}"]
    asked = requested("laptop", settings, (), "", {"curation": change})
    assert asked.curation.dedup.near.embedder.kind == "timm"


def test_a_stage_alone_takes_what_differs_too() -> None:
    change = patch_of(CurationParams.model_fields["dedup"].annotation).model_validate({"min_detail": 0.5})
    asked = requested("laptop", (), (), "", {"curation.dedup": change})
    assert asked.curation.dedup == load_recipe("laptop").curation.dedup.model_copy(update={"min_detail": 0.5})


def test_a_form_has_no_sources_but_those_at_its_top() -> None:
    with pytest.raises(ValidationError, match="sources"):
        patch_of(CurationParams).model_validate({"index": {"sources": [{"kind": "folder", "url": "/b"}]}})
    with pytest.raises(RecipeError, match="set the sources at the top"):
        requested("laptop", ["curation.index.sources=[{kind: folder, url: /b}]"], (), "", {})


def test_processes_that_cannot_share_a_batch_are_refused_before_curation() -> None:
    two = patch_of(Compute).model_validate({"processes": 2})
    change = patch_of(PretrainParams).model_validate({"optim": {"batch_size": 64}, "objective": {"koleo_group": 64}})
    with pytest.raises(RecipeError, match=r"Each of 2 processes needs a multiple of objective\.koleo_group = 64"):
        requested("laptop", (), (), "", {"training": change, "compute": two})


def test_what_is_missing_is_said_in_the_words_of_a_form() -> None:
    with pytest.raises(SourceError, match="Fill in `sources`"):
        with_sources(requested("laptop", (), (), "", {}))
    with pytest.raises(RecipeError, match=r"^settings: needs KEY=VALUE"):
        requested("laptop", ["nonsense"], (), "", {})
