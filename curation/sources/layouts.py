"""What usual layouts hold beside their images: masks, sidecars, RAW photos that were developed. All by name, and for
folders of masks by a look at three of them, because a class may be called `mask`.
"""

import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from shared.images.image_files import IMAGES, MASK_WORDS, NO_IMAGES, RAW, ending

SUFFIX = re.compile(
    r"(.+?)[-_.]?(?:[-_](?:L|mask|masks|seg|segm|segmentation|gt|label|labels|labelids|annotation|matte|trimap|depth)"
    r"|_gt(?:fine|coarse)_\w+)",
    re.IGNORECASE,
)
"""A mask's name beside, or in another folder than, its image's: `0001_mask.png`, CamVid's `0001TP_L.png`."""
PHOTO_SUFFIX = re.compile(r"(.+)_leftImg8bit", re.IGNORECASE)
KNOWN = IMAGES | RAW | NO_IMAGES
ENDING = re.compile(r"\.\w+")
"""What may be an ending: that of `a.jpg~2` is none."""
MASK_FOLDER = re.compile(
    r"\w*annots?|annotations?|masks?|segmentation(class|object)?\w*|labels?|label_?ids?|gt\w*|ground_?truths?|trimaps?"
    r"|depth\w*|disparity|labeledapproved\w*|semantic\w*|instance\w*|\w+_(masks?|labels|annotations?)",
    re.IGNORECASE,
)
LOSSLESS = (".png", ".gif", ".bmp", ".tif", ".tiff", ".pgm", ".ppm")
PAIRED = 0.8
"""Of a folder of masks, so many have an image of their name elsewhere."""
SAMPLE, COLOURS, LARGEST = 3, 64, 50_000_000
"""So many masks are looked at, of at most so many colours and pixels each."""

Read = Callable[[], bytes]


class _Path(NamedTuple):
    """A path and its parts, taken apart once."""

    name: str
    stem: str
    """The path without its last ending."""
    kind: str
    """The ending."""


def beside_images(read: Mapping[str, Read]) -> dict[str, str]:
    """Return why some paths are no images of their own, of paths that may all be, each with how to read it."""
    kinds = {name: ending(name) for name in read}
    paths = [_Path(name, name[: len(name) - len(kind)], kind) for name, kind in kinds.items()]
    left_out = _sidecars(paths, read)
    paths = [path for path in paths if path.name not in left_out]
    left_out |= _developed(paths)
    left_out |= _named_masks(paths)
    return left_out | _mask_folders([path for path in paths if path.name not in left_out], read)


def _sidecars(paths: Sequence[_Path], read: Mapping[str, Read]) -> dict[str, str]:
    """A file of an ending that nobody knows, beside an image of the same name, says something about it."""
    unknown = [path for path in paths if path.kind not in KNOWN and ENDING.fullmatch(path.kind)]
    stems = {path.stem for path in paths if path.kind in IMAGES} if unknown else set[str]()
    return {path.name: "sidecar" for path in unknown if path.stem in stems or path.stem in read}


def _developed(paths: Sequence[_Path]) -> dict[str, str]:
    raws = [path for path in paths if path.kind in RAW]
    stems = {path.stem.lower() for path in paths if path.kind in IMAGES} if raws else set[str]()
    return {path.name: "raw" for path in raws if path.stem.lower() in stems}


def _named_masks(paths: Sequence[_Path]) -> dict[str, str]:
    """Masks in the folder of their image: `a.seg.png` and `a_mask.png` beside `a.jpg`."""
    stems = {path.stem for path in paths}
    return {path.name: "mask" for path in paths if _is_named_mask(path, stems)}


def _is_named_mask(path: _Path, stems: set[str]) -> bool:
    key, dot, word = path.stem.rpartition(".")
    if dot and word.lower() in MASK_WORDS and key in stems:
        return True
    found = SUFFIX.fullmatch(path.stem) if path.kind in LOSSLESS else None
    return bool(found and found[1] in stems)


def _mask_folders(paths: Sequence[_Path], read: Mapping[str, Read]) -> dict[str, str]:
    """Folders like SegmentationClass whose files have the names of images elsewhere, and few colours."""
    at = {folder: _mask_folder(folder) for folder in {path.name.rpartition("/")[0] for path in paths}}
    folders: dict[str, list[_Path]] = defaultdict(list)
    photos: set[str] = set()
    if any(at.values()):
        for path in paths:
            folder = at[path.name.rpartition("/")[0]]
            if folder and path.kind in LOSSLESS:
                folders[folder].append(path)
            else:
                photos.add(_bare(_base(path), PHOTO_SUFFIX))
    masks: dict[str, str] = {}
    for held in folders.values():
        paired = [path.name for path in held if {_base(path), _bare(_base(path), SUFFIX)} & photos]
        if len(paired) >= PAIRED * len(held) and _look_like_masks(paired, read):
            masks |= dict.fromkeys((path.name for path in held), "mask")
    return masks


def _mask_folder(folder: str) -> str:
    parts = folder.split("/")
    place = next((i for i, part in enumerate(parts) if MASK_FOLDER.fullmatch(part)), None)
    return "" if place is None else "/".join(parts[: place + 1])


def _look_like_masks(names: Iterable[str], read: Mapping[str, Read]) -> bool:
    ordered = sorted(names)
    sample = ordered[:: max(1, len(ordered) // SAMPLE)][:SAMPLE]
    return all(_has_few_colours(read[name]) for name in sample)


def _has_few_colours(read: Read) -> bool:
    """A mask is drawn with few colours, or with 16 bits of depth; a photograph has thousands."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(read())) as image:
            if image.width * image.height > LARGEST or image.mode.startswith("I;16"):
                return image.mode.startswith("I;16")
            image.thumbnail((512, 512), Image.Resampling.NEAREST)
            return image.getcolors(COLOURS) is not None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _base(path: _Path) -> str:
    return path.stem.rpartition("/")[2]


def _bare(stem: str, suffix: re.Pattern[str]) -> str:
    found = suffix.fullmatch(stem)
    return found[1] if found else stem
