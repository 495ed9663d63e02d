"""What looks alike and is another picture is kept, and called what it is; what was edited is still a copy."""

import io

import numpy as np
import pytest
from conftest import encoded
from PIL import Image, ImageDraw, ImageFont, ImageOps

from curation.dedup.geometry.compare import Comparison, compared
from curation.dedup.verified_pairs import counts
from curation.params.copies import DedupParams
from flows import pipeline
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.catalog import VERIFIED
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store
from shared.tables import Rows
from tests.benchmarks.copies.edits import EDITS
from tests.described import describe


def photo(seed: int, size: tuple[int, int] = (360, 270)) -> Image.Image:
    """Shades and grain without end, as in a photograph of stones."""
    rng = np.random.default_rng(seed)
    layers = [rng.integers(0, 256, (3 << k, 4 << k, 3), dtype=np.uint8) for k in range(7)]
    shades = [
        np.asarray(Image.fromarray(layer).resize(size, Image.Resampling.BICUBIC)) / 1.5**k
        for k, layer in enumerate(layers)
    ]
    return Image.fromarray(np.clip((sum(shades) - 362) * 1.4 + 128, 0, 255).astype(np.uint8))


def sudoku(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    page = Image.new("RGB", (460, 460), "white")
    pen = ImageDraw.Draw(page)
    for line in range(10):
        pen.line((5 + 50 * line, 5, 5 + 50 * line, 455), fill="black", width=4 if line % 3 == 0 else 1)
        pen.line((5, 5 + 50 * line, 455, 5 + 50 * line), fill="black", width=4 if line % 3 == 0 else 1)
    for cell in rng.choice(81, 26, replace=False):
        place = (20 + 50 * int(cell % 9), 12 + 50 * int(cell // 9))
        pen.text(place, str(rng.integers(1, 10)), font=ImageFont.load_default(28), fill="black")
    return page


def letter(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    page = Image.new("RGB", (500, 640), "white")
    pen = ImageDraw.Draw(page)
    pen.rectangle((40, 30, 460, 90), outline="navy", width=3)
    pen.text((60, 42), "WATER WORKS", font=ImageFont.load_default(32), fill="navy")
    for row in range(16):
        words = " ".join("".join(chr(97 + k) for k in rng.integers(0, 26, 6)) for _ in range(6))
        pen.text((40, 120 + 31 * row), words, font=ImageFont.load_default(20), fill="black")
    return page


def product(seed: int) -> Image.Image:
    page = Image.new("RGB", (400, 400), "white")
    pen = ImageDraw.Draw(page)
    pen.text((20, 350), "SHOP24 free delivery", font=ImageFont.load_default(28), fill=(60, 60, 60))
    pen.ellipse((110, 70, 290, 250), fill=[(200, 40, 40), (40, 160, 60), (60, 60, 200), (220, 180, 40)][seed])
    return page


def arrow(quarters: int) -> Image.Image:
    sign = Image.new("RGB", (200, 200), (0, 70, 160))
    ImageDraw.Draw(sign).polygon([(100, 30), (150, 95), (118, 95), (118, 165), (82, 165), (82, 95), (50, 95)], "white")
    return sign.rotate(90 * quarters)


def shirt(colour: tuple[int, int, int], bare: bool = False) -> Image.Image:
    page = Image.new("RGB", (400, 400), "white")
    pen = ImageDraw.Draw(page)
    if not bare:
        pen.rectangle((0, 340, 400, 400), fill=(240, 240, 240))
        pen.text((20, 350), "SHOP24 free delivery", font=ImageFont.load_default(28), fill=(60, 60, 60))
    outline = [(125, 60), (275, 60), (310, 125), (270, 135), (270, 300), (130, 300), (130, 135), (90, 125)]
    pen.polygon(outline, fill=colour)
    return page


PURPLE, OCHRE, RED = (136, 87, 171), (182, 123, 54), (80, 40, 40)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(
    ("one", "other"), [(PURPLE, (91, 71, 111)), (OCHRE, (118, 89, 52)), (RED, (60, 30, 30)), (RED, (200, 120, 120))]
)
def test_one_product_in_a_paler_or_darker_colour_is_another_product(one, other, bare):
    assert compared(describe(shirt(one, bare)), describe(shirt(other, bare))).verdict == "look-alike"


@pytest.mark.parametrize("edit", ["brighter", "darker", "less colour", "jpeg 30"])
def test_a_picture_of_a_product_under_another_light_is_a_copy(edit):
    for colour in (PURPLE, OCHRE):
        assert compared(describe(shirt(colour)), describe(EDITS[edit](shirt(colour)))).verdict == "copy"


KINDS = {"sudoku": sudoku, "letter": letter, "product": product, "arrow": arrow}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_one_template_are_no_copies(kind):
    drawn = [describe(KINDS[kind](seed)) for seed in range(4)]
    verdicts = {compared(a, b).verdict for i, a in enumerate(drawn) for b in drawn[:i]}
    assert verdicts <= {"look-alike", "other"}


def glyph(letter: str) -> Image.Image:
    page = Image.new("RGB", (160, 160), "white")
    ImageDraw.Draw(page).text((45, 10), letter, font=ImageFont.load_default(120), fill="black")
    return page


@pytest.mark.parametrize("pair", ["bp", "dq", "bd", "nu", "69", "MW"])
def test_letters_that_share_a_part_or_are_each_others_turn_are_no_copies(pair):
    one, other = (describe(glyph(letter)) for letter in pair)
    assert compared(one, other).verdict != "copy"


@pytest.mark.parametrize("edit", [EDITS[name] for name in ("jpeg 60", "noise", "two thirds")])
@pytest.mark.parametrize("kind", ["letter", "product", "arrow"])
def test_a_picture_of_a_template_still_has_copies_however_noise_moves_its_borders(kind, edit):
    image = KINDS[kind](1)
    assert compared(describe(image), describe(edit(image))).verdict == "copy"


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(encoded(image, quality=quality))).convert("RGB")


def overlaid(image: Image.Image) -> Image.Image:
    marked = image.copy()
    ImageDraw.Draw(marked).text((40, 110), "SAMPLE", font=ImageFont.load_default(60), fill="white")
    return marked


def holed(image: Image.Image) -> Image.Image:
    marked = image.copy()
    ImageDraw.Draw(marked).ellipse((120, 80, 230, 170), fill="white")
    return marked


@pytest.mark.parametrize(
    "edit", [overlaid, holed, lambda image: jpeg(image, 30), lambda image: image.convert("L").convert("RGB")]
)
def test_a_photograph_under_a_watermark_a_hole_or_noise_is_a_copy(edit):
    for seed in range(3):
        assert compared(describe(photo(seed)), describe(edit(photo(seed)))).verdict == "copy"


def with_passer_by(seed: int) -> Image.Image:
    frame = photo(9)
    x = (40, 150, 260)[seed]
    ImageDraw.Draw(frame).ellipse((x + 5, 110, x + 25, 132), fill=(222, 180, 150))
    ImageDraw.Draw(frame).rectangle((x, 132, x + 30, 210), fill=[(150, 20, 20), (20, 20, 160), (10, 90, 30)][seed])
    return frame


def test_frames_of_one_camera_are_one_scene_and_the_recipe_says_what_that_means():
    frames = [describe(with_passer_by(seed)) for seed in range(3)]
    comparisons = [compared(a, b) for i, a in enumerate(frames) for b in frames[:i]]
    assert {comparison.verdict for comparison in comparisons} == {"same scene"}
    drop = DedupParams.model_validate({"near": {"same_scene": "drop"}})
    assert not any(counts(comparison, DedupParams(), 1.0) for comparison in comparisons)
    assert all(counts(comparison, drop, 1.0) for comparison in comparisons)


def before_a_wall(left: int, coat: tuple[int, int, int]) -> Image.Image:
    frame = photo(9)
    pen = ImageDraw.Draw(frame)
    pen.rectangle((150, 0, 359, 200), fill=(250, 248, 240))
    pen.ellipse((left + 5, 70, left + 27, 95), fill=(222, 180, 150))
    pen.rectangle((left, 95, left + 32, 190), fill=coat)
    return frame


@pytest.mark.parametrize(
    "people",
    [
        pytest.param([(170, (226, 220, 110)), (300, (30, 110, 250))], id="one as bright as the wall"),
        pytest.param([(250, (50, 0, 40)), (262, (90, 160, 170))], id="one where the other stood"),
        pytest.param([(170, (226, 220, 110)), (185, (20, 60, 140))], id="both"),
        pytest.param([(100, (230, 225, 190)), (300, (30, 110, 250))], id="one half before bushes"),
    ],
)
def test_another_person_before_a_camera_is_no_copy_however_faint_and_wherever_the_first_stood(people):
    one, other = (describe(before_a_wall(left, coat)) for left, coat in people)
    assert compared(one, other).verdict == "same scene"


TURNS = {
    "upright": lambda image: image,
    "mirrored": ImageOps.mirror,
    "turned 90°": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned 180°": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "mirrored, turned 180°": ImageOps.flip,
}


@pytest.mark.parametrize("name", TURNS)
def test_a_match_tells_the_turn_that_it_needed(name):
    plain, turned = describe(photo(2)), describe(TURNS[name](photo(2)))
    assert compared(plain, turned) == Comparison(compared(plain, turned).score, "copy", name)


def test_a_recipe_chooses_which_turns_count():
    def allowed(orientations: str) -> set[str]:
        params = DedupParams.model_validate({"orientations": orientations})
        return {name for name in TURNS if counts(Comparison(1.1, "copy", name), params, 1.0)}

    assert allowed("none") == {"upright"}
    assert allowed("mirrored") == {"upright", "mirrored"}
    assert allowed("all") == set(TURNS)


def curate(folder, workspace, **dedup):
    curation = {"quality": {"rules": []}, "dedup": dedup}
    sources = [{"kind": "folder", "url": str(folder)}]
    session = Session(
        Recipe.model_validate({"sources": sources, "curation": curation}), Store(str(workspace)), Inline(), Silent()
    )
    return pipeline.curate(session)[0], session


def test_a_close_hash_alone_drops_nothing(tmp_path):
    for seed in range(5):
        sudoku(seed).save(tmp_path / f"{seed}.png")
    dataset, session = curate(tmp_path, tmp_path / "w", perceptual={"distance": 32})
    pairs = Rows(session.store, session.outputs["verify"]).table(VERIFIED, ["distance", "verdict"])
    assert pairs["distance"].null_count < pairs.num_rows
    assert dataset.info["counts"]["kept"] == 5


def test_mirrored_copies_stay_where_the_recipe_wants_them_upright(tmp_path):
    (tmp_path / "p").mkdir()
    photo(4).save(tmp_path / "p/a.png")
    ImageOps.mirror(photo(4)).resize((300, 225)).save(tmp_path / "p/b.png")
    dropped = curate(tmp_path / "p", tmp_path / "w")[0].table("dropped").to_pylist()
    assert [row["orientation"] for row in dropped] == ["mirrored"]
    assert curate(tmp_path / "p", tmp_path / "w", orientations="none")[0].info["counts"]["kept"] == 2


def test_the_order_of_files_changes_no_decision(tmp_path):
    """Names decide where a file stands in the listing, and nothing else."""
    images = {"photo": photo(1), "crop": photo(1).crop((20, 20, 330, 250)), "other": photo(5)}
    images |= {f"s{seed}": sudoku(seed) for seed in range(3)}
    fates = []
    for order in (list(images), list(reversed(images))):
        folder = tmp_path / order[0]
        folder.mkdir()
        for place, name in enumerate(order):
            images[name].save(folder / f"{place}-{name}.png")
        dropped = curate(folder, tmp_path / "w" / order[0])[0].table("dropped").to_pylist()
        fates.append({row["uri"].rpartition("-")[2] for row in dropped})
    assert fates == [{"crop.png"}] * 2
