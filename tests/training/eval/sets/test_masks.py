import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import encoded
from PIL import Image

from shared.errors import RecipeError
from training.eval.crops import CentreCrops, CropSize, centre_crop_mask
from training.eval.sets import MaskSet
from training.eval.sets.base import IGNORED

CLASSES = "value,name,ignored\n7,sky,0\n255,ground,0\n3,unknown,1\n"


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """White above black, and masks that say so: 7 above 255, the left column 3."""
    for split, count in (("train", 3), ("val", 2)):
        for number in range(count):
            top = 10 + 4 * number
            value = np.full((40, 60), 255, dtype=np.uint8)
            value[:top] = 7
            pixels = np.repeat((value == 7).astype(np.uint8)[..., None] * 255, 3, axis=2)
            value[:, 0] = 3
            for folder, array in (("images", pixels), ("masks", value)):
                path = tmp_path / split / folder / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encoded(Image.fromarray(array), "PNG"))
    (tmp_path / "classes.csv").write_text(CLASSES)
    return tmp_path


def test_folders_of_images_and_masks_are_paired_and_values_numbered(scenes: Path) -> None:
    found = MaskSet(url=str(scenes)).opened(None)
    assert (found.classes, found.bank.tolist(), found.queries.tolist()) == (("sky", "ground"), [0, 1, 2], [3, 4])
    assert found.masks is not None
    class_HW = found.masks.classes(1, (60, 40))
    assert class_HW.dtype == np.uint8
    assert (class_HW[:14, 1:] == 0).all()
    assert (class_HW[14:, 1:] == 1).all()
    assert (class_HW[:, 0] == IGNORED).all()


def test_mask_and_image_are_cut_alike(scenes: Path) -> None:
    found = MaskSet(url=str(scenes)).opened(None)
    crops = CentreCrops(found.images, np.arange(5), CropSize(32, 1.143, 2), found.masks, again=frozenset())
    for place in range(5):
        item = crops[place]
        assert isinstance(item, dict)
        white, counted = item["pixels"][0] > 127, item["mask"] != IGNORED
        edge = torch.zeros(32, 32, dtype=torch.bool)
        rows = (item["mask"] == 0).sum(dim=0).max()
        edge[max(0, int(rows) - 1) : int(rows) + 1] = True  # bicubic blurs the border by a pixel
        assert torch.equal(white & counted & ~edge, (item["mask"] == 0) & ~edge)


def test_a_table_of_masks_says_the_same_as_the_folders(scenes: Path) -> None:
    lines = ["image,mask,set,split"]
    for path in sorted(scenes.rglob("images/*.png")):
        name = path.relative_to(scenes)
        lines.append(f"{name},{str(name).replace('images', 'masks')},scenes,{name.parts[0]}")
    (scenes / "list.csv").write_text("\n".join(lines))
    table, folder = (MaskSet(url=str(url)).opened(None) for url in (scenes / "list.csv", scenes))
    assert table.masks is not None
    assert folder.masks is not None
    assert table.classes == folder.classes
    assert np.array_equal(table.masks.classes(4, (60, 40)), folder.masks.classes(4, (60, 40)))


def test_without_a_table_of_classes_the_values_are_the_classes(scenes: Path) -> None:
    (scenes / "classes.csv").unlink()
    found = MaskSet(url=str(scenes)).opened(None)
    assert found.classes == ("3", "7")
    assert found.split == "train and val as given; classes are the values of the masks, 255 counts for nothing"


def repainted(scenes: Path, paint: Callable[[np.ndarray], Image.Image], form: str = "PNG") -> None:
    """Paint every mask anew: 255 where there was sky, 0 elsewhere, as most tools write two classes."""
    (scenes / "classes.csv").unlink()
    for path in scenes.rglob("masks/*.png"):
        with Image.open(path) as mask:
            value = (np.asarray(mask) == 7).astype(np.uint8) * 255
        path.write_bytes(encoded(paint(value), form))


def test_masks_of_0_and_255_have_two_classes(scenes: Path) -> None:
    repainted(scenes, Image.fromarray)
    found = MaskSet(url=str(scenes)).opened(None)
    assert found.classes == ("0", "255")
    assert found.split.endswith("; masks of 0 and 255: two classes")
    assert found.masks is not None
    class_HW = found.masks.classes(0, (60, 40))
    assert set(np.unique(class_HW)) == {0, 1}
    assert class_HW[0, 5] == 1


def resized(value_HW: np.ndarray) -> Image.Image:
    """Drawn at a size that masks were not made for, by a resampling for photographs."""
    round_HW = np.hypot(*np.ogrid[-20:20, -30:30]) < 14
    return Image.fromarray(round_HW.astype(np.uint8) * 255).resize((90, 60), Image.Resampling.BILINEAR)


def test_masks_with_values_between_classes_are_refused(scenes: Path) -> None:
    repainted(scenes, resized)
    with pytest.raises(RecipeError, match=r"one value for each class, got \d+ values, \d+ of which .* resized or JPEG"):
        MaskSet(url=str(scenes)).opened(None)


def test_with_a_test_split_masks_for_validation_are_left_out(scenes: Path) -> None:
    shutil.copytree(scenes / "val", scenes / "test")
    found = MaskSet(url=str(scenes)).opened(None)
    assert (len(found.bank), len(found.queries)) == (3, 2)
    assert "left out: val (2); classes of classes.csv" in found.split


def test_masks_that_cannot_be_used_are_named(scenes: Path) -> None:
    def every_mask() -> None:
        found = MaskSet(url=str(scenes)).opened(None)
        assert found.masks is not None
        for row in range(5):
            found.masks.classes(row, (60, 40))

    def refused(match: str) -> None:
        with pytest.raises(RecipeError, match=match):
            every_mask()

    (scenes / "classes.csv").write_text(CLASSES.replace("7,sky,0\n", ""))
    refused(r"train/masks/0.png holds the value 7, which is no class. Add it to classes.csv")
    (scenes / "classes.csv").write_text(CLASSES)
    mask = scenes / "val" / "masks" / "1.png"
    mask.write_bytes(encoded(Image.new("L", (60, 45), 7), "PNG"))
    refused(r"needs the proportions of its image, 60 × 40, got 60 × 45 in .*val/masks/1.png")
    mask.write_bytes(encoded(Image.new("RGB", (60, 40), (1, 2, 3)), "PNG"))
    refused(r"val/masks/1.png needs one number below 256 for each pixel")
    mask.write_bytes(b"no picture")
    refused(r"every mask to decode, got .*val/masks/1.png")
    mask.unlink()
    refused(r"needs a mask for every image, got none for val/images/1.png")


def test_a_mask_of_half_the_size_is_cut_alike(scenes: Path) -> None:
    whole = MaskSet(url=str(scenes)).opened(None)
    cut = CropSize(20, 1.0, 2)
    items = [CentreCrops(whole.images, np.arange(5), cut, whole.masks, again=frozenset())[1] for _ in range(1)]
    for path in scenes.rglob("masks/*.png"):
        with Image.open(path) as mask:
            path.write_bytes(encoded(mask.resize((30, 20), Image.Resampling.NEAREST), "PNG"))
    half = MaskSet(url=str(scenes)).opened(None)
    items += [CentreCrops(half.images, np.arange(5), cut, half.masks, again=frozenset())[1]]
    first, second = (item["mask"] for item in items if isinstance(item, dict))
    assert (first == second).float().mean() > 0.9


def test_the_mask_of_a_crop_holds_only_values_of_the_mask() -> None:
    class_HW = np.random.default_rng(0).choice(np.array([0, 5, 255], dtype=np.uint8), (50, 70))
    assert set(np.unique(centre_crop_mask(class_HW, 28, 1.2))) <= {0, 5, 255}
