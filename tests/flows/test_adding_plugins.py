"""Adding a rule or an embedder is one file and one line in its union: everything that people look at knows it."""

import json
from pathlib import Path

import pytest

from tests.house import House

RULE = '''
"""A rule against squares."""

from typing import Literal

import pyarrow.compute as pc

from curation.quality.rule import QualityRule
from curation.quality.signals import Signal

APART = Signal(
    "apart", "Sides apart", "pixels of difference", counts=True,
    derived=lambda table, numbers: pc.abs(pc.subtract(table["width"].cast(numbers), table["height"].cast(numbers))),
)


class Square(QualityRule):
    """All four sides are of one length."""

    kind: Literal["square"] = "square"
    signal = APART
    phrase = "{} px between its sides"
    group = "sampled"
    threshold: float = 1
    """Drop when the sides differ by fewer pixels than this."""
'''

EMBEDDER = '''
"""An embedder of colours."""

from typing import Literal

import numpy as np

from curation.embedders.embedding import Embedding


class ColourEmbedder(Embedding):
    """The mean colour, as seen through a filter."""

    kind: Literal["colour"] = "colour"
    """Sees nothing but colour."""
    glass: str = "clear"
    """What the filter is made of."""

    copy_cosine = 0.999
    candidate_cosine = 0.99
    shorthand = "glass"

    def prepared(self, picture):
        return picture.pixels.reshape(-1, 3).mean(0, dtype=np.float32)

    def vectors(self, prepared):
        rows = np.stack(prepared)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)
'''

PRELUDE = """
import io, json, sys
from pathlib import Path
from conftest import encoded, picture
from looked_at import publish
from curation.params import MeasureParams, QualityParams
from flows.commands.console import Console
from flows.inspect.image_facts import image_facts
from flows.inspect.image_text import print_image
from flows.report.kit.reason_text import Checks
from flows.recipe.recipe import load_recipe
from shared.errors import RecipeError

root = Path(sys.argv[1])
(root / "photos").mkdir()
for i in range(6):
    (root / f"photos/{i}.jpg").write_bytes(encoded(picture(i, (160, 160 if i == 3 else 120))))

def explained(name, checks):
    sink = io.StringIO()
    print_image(Console(sink), image_facts(str(root / "w"), str(root / "photos" / name), None), checks)
    return sink.getvalue()

def refusal(setting):
    try:
        load_recipe(settings=[setting])
    except RecipeError as error:
        return str(error)
"""

LOOK_AT_RULE = """
dataset = publish(root / "photos", root / "w")
print(json.dumps({
    "set": refusal("curation.quality.rules=[{kind: squar}]"),
    "form": QualityParams.model_json_schema()["$defs"]["Square"],
    "report": dataset.store.read("report.html").decode(),
    "explain": explained("3.jpg", Checks("geometric")),
    "kept": explained("2.jpg", Checks("geometric")),
}))
"""

LOOK_AT_EMBEDDER = """
near = {"embedder": "colour:amber", "verify": "none"}
dataset = publish(root / "photos", root / "w", dedup={"near": near})
print(json.dumps({
    "set": refusal("curation.dedup.near.embedder=color"),
    "form": MeasureParams.model_json_schema()["$defs"]["ColourEmbedder"],
    "report": dataset.store.read("report.html").decode(),
    "explain": explained("2.jpg", Checks("none")),
}))
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "house")


def test_a_rule_that_is_added_is_known_to_help_form_report_explain_and_colours(house: House, tmp_path: Path) -> None:
    house.add("curation/quality", "Square", RULE, "Blurry")
    shown = house.ask("-m", "flows.cli", "quality", "--help")
    assert "kind: square" in shown
    assert "All four sides are of one length." in shown
    seen = json.loads(house.ask("-c", PRELUDE + LOOK_AT_RULE, str(tmp_path)))
    assert "'square'" in seen["set"]
    assert seen["form"]["description"] == "All four sides are of one length."
    assert "fewer pixels" in seen["form"]["properties"]["threshold"]["description"]
    report = seen["report"]
    assert "All four sides are of one length." in report
    assert "0 px between its sides, below 1" in report
    assert "Sides apart: pixels of difference" in report
    assert '<rect class="bar sampled"' in report
    assert '<span class="sampled" style="flex: 1" title="Square: 1"' in report
    assert "reason    square, found by quality: 0 px between its sides, below 1" in seen["explain"]
    assert "✓ Square           40 px between its sides" in seen["kept"]


def test_an_embedder_that_is_added_is_known_to_help_form_recipe_and_explain(house: House, tmp_path: Path) -> None:
    house.add("curation/embedders", "ColourEmbedder", EMBEDDER, "RunEmbedder")
    shown = house.ask("-m", "flows.cli", "dedup", "--help")
    assert "kind: colour" in shown
    assert "The mean colour, as seen through a filter." in shown
    seen = json.loads(house.ask("-c", PRELUDE + LOOK_AT_EMBEDDER, str(tmp_path)))
    assert "'colour'" in seen["set"]
    assert seen["form"]["properties"]["kind"]["description"] == "Sees nothing but colour."
    assert "&#34;glass&#34;: &#34;amber&#34;" in seen["report"]
    assert "near duplicate, found by dedup: similarity" in seen["explain"]
    assert "a copy from 0.999" in seen["explain"]
