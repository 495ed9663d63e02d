"""Adding a source is one file and one line in the union: command line, form, recipe and report know it."""

import json
from pathlib import Path

import pytest
from conftest import encoded, picture

from tests.house import House

SOURCE = '''
"""A roll of film: images one behind the other in one file, with their lengths in the first line."""

import json
from collections.abc import Iterator
from typing import Literal

from curation.sources.files import open_location, stat_file, uri_of
from curation.sources.listing import IndexRow, Listed
from curation.sources.notes import Notes


class RollSource(Listed):
    """A roll of film."""

    endings = (".roll",)
    gathers = True

    kind: Literal["roll"] = "roll"
    """Images one behind the other, with their lengths in the first line."""
    skip: int = 0
    """Pictures to leave out at the start, where the film was exposed."""

    def rows(self, notes: Notes) -> Iterator[IndexRow]:
        """Yield the pictures."""
        fs, path = open_location(self.url, self.title)
        for file in sorted(fs.find(path)):
            uri, stamp, data = uri_of(fs, file), stat_file(fs, file).stamp, fs.cat_file(file)
            head = data.index(b"\\n") + 1
            for i, length in enumerate(json.loads(data[:head])):
                if i >= self.skip:
                    yield IndexRow(f"{uri}#{i}", uri, stamp, offset=head, length=length)
                head += length
'''

LOOK = """
import json, sys
from curation.params import CurationParams, IndexParams
from flows import pipeline
from flows.recipe.recipe import Recipe, load_recipe
from flows.session import Session
from shared.errors import RecipeError
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store

rolls, work = sys.argv[1:]
try:
    load_recipe(settings=["sources=[{kind: rol, url: x}]"])
except RecipeError as error:
    refusal = str(error)
recipe = load_recipe(sources=[rolls], settings=["curation.quality.rules=[]"])
dataset = pipeline.curate(Session(recipe, Store(work), Inline(), Silent()))[0]
print(json.dumps({
    "refusal": refusal,
    "form": IndexParams.model_json_schema()["$defs"]["RollSource"],
    "kept": dataset.info["counts"]["kept"],
    "report": dataset.store.read("report.html").decode(),
    "dataset": dataset.store.read("dataset.json").decode(),
}))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("house"))
    house.add("curation/sources", "RollSource", SOURCE, "ListSource")
    return house


def test_the_command_line_names_it_and_says_what_it_is(house: House) -> None:
    shown = house.ask("-m", "flows.cli", "index", "--help")
    assert "kind: roll" in shown
    assert "A roll of film." in shown


def test_a_place_alone_leads_to_it_and_form_recipe_and_report_know_it(house: House, tmp_path: Path) -> None:
    images = [encoded(picture(i, (160, 120))) for i in range(5)]
    (tmp_path / "rolls").mkdir()
    film = json.dumps([len(data) for data in images]).encode() + b"\n" + b"".join(images)
    (tmp_path / "rolls/1.roll").write_bytes(film)
    known = json.loads(house.ask("-c", LOOK, str(tmp_path / "rolls"), str(tmp_path / "work")))
    assert "'roll'" in known["refusal"]
    assert known["form"]["description"] == "A roll of film."
    assert known["form"]["properties"]["kind"]["description"].startswith("Images one behind the other")
    assert "where the film was exposed" in known["form"]["properties"]["skip"]["description"]
    assert known["kept"] == 5
    assert '"roll"' in known["dataset"]
    assert "&#34;roll&#34;" in known["report"]
