"""A plan tells what a recipe takes before anything is spent, and says what looks wrong in it."""

import json
import math
import re

import pytest

from flows.commands.plan import show_plan
from flows.plan.costs import GIB, Device
from flows.plan.plan import launch_text, plan, warnings
from flows.plan.text import lines
from flows.recipe.options import DEFAULTS
from flows.recipe.recipe import load_recipe
from shared.errors import RecipeError
from shared.params import Compute
from tests.command_line import dinoflow

A100S = Device("A100", 256, 312e12, "data sheet", 80 * GIB)
IMAGES = 1.2e9


@pytest.mark.parametrize(
    ("compute", "devices", "text"),
    [
        (Compute(), 1, "local: processes of one machine; 3 restarts, a step may take 600 s"),
        (Compute(), 256, "256 devices are several machines: set compute.launcher"),
        (Compute(launcher="torchrun", nodes=4, rendezvous="n0:29500"), 32, "on 4 machines, which meet at n0:29500"),
        (Compute(launcher="slurm", max_restarts=9, stuck_after=60), 32, "srun dinoflow pretrain.* 9 restarts.* 60 s"),
    ],
)
def test_a_plan_says_how_processes_start_and_what_happens_to_a_lost_one(compute, devices, text):
    assert re.search(text, launch_text(compute, devices))


def test_the_seed_recipe_cannot_be_done_in_its_thirty_days_and_the_plan_says_why() -> None:
    recipe = load_recipe("meta-dinov2-giant")
    found = plan(recipe, IMAGES, 110e3, A100S, 30)
    assert found["samples"] == 1_500_000 * 32_768
    assert found["peak_lr"] == pytest.approx(1e-4 * 32_768 / 256)
    assert found["mfu_needed"] > 1.5
    told = "\n".join(warnings(recipe.training, found))
    for part in ("activation_checkpointing", "impossible", "10 global and 2 local", "learning rate", "24% of the run"):
        assert part in told


def test_the_consistent_recipe_needs_half_of_the_peak_and_fits() -> None:
    recipe = load_recipe("meta-dinov2-giant-fit")
    found = plan(recipe, IMAGES, 110e3, A100S, 30)
    assert found["mfu_needed"] == pytest.approx(0.53, abs=0.03)
    assert found["memory"]["total"] < 80 * GIB
    assert len(list(warnings(recipe.training, found))) == 1  # that 53 % is more than most runs reach
    assert any("51" in line for line in lines(found, recipe.training, []))


def test_a_batch_that_does_not_fit_the_devices_is_refused() -> None:
    with pytest.raises(RecipeError, match="multiple of the 7 processes"):
        plan(load_recipe("laptop"), 5000, 110e3, Device("A100", 7, 312e12, "", 0), 1)


def test_the_command_prints_or_gives_json_and_refuses_what_it_does_not_know() -> None:
    done = dinoflow("plan", "laptop", "--images", "5000", "--device", "l4", "--price", "2", "--json")
    facts = json.loads(done.stdout)
    assert facts["steps"] == 2400
    assert facts["price"] == pytest.approx(facts["device_hours_at_typical"] * 2)
    unknown = dinoflow("plan", "laptop", "--images", "5000", "--device", "abacus")
    assert unknown.returncode == 2
    assert "A100" in unknown.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("images", value) for value in (0.0, -1.0, math.nan, math.inf)),
        *(("image_kb", value) for value in (0.0, -1.0)),
        *(("pairs_per_image", value) for value in (-3.0, math.nan)),
        *(("devices", 0), ("deadline", 0.0), ("price", -1.0)),
    ],
)
def test_numbers_that_no_plan_can_be_made_of_are_refused(option, value) -> None:
    given = {"images": 5000.0, "image_kb": 110.0, "pairs_per_image": None, "devices": 1, "deadline": 1.0, "price": None}
    with pytest.raises(RecipeError, match=f"must be a number .*, got {value}"):
        show_plan("laptop", DEFAULTS, device="L4", **given | {option: value})


def test_without_a_published_dataset_the_number_of_images_must_be_given(tmp_path) -> None:
    done = dinoflow("plan", "laptop", "--workspace", tmp_path)
    assert done.returncode == 2
    assert "--images 1.2e9" in done.stderr
