"""What usual layouts hold beside their images: masks, sidecars, RAW photos that were developed. All by name, and for
folders of masks by a look at three of them, because a class may be called `mask`.
"""

import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

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
SAMPLE, COLOURS = 3, 64
"""So many masks are looked at, and a mask has at most so many colours."""

Read = Callable[[], bytes]


def beside_images(read: Mapping[str, Read]) -> dict[str, str]:
    """Return why some paths are no images of their own, of paths that may all be, each with how to read it."""
    names = list(read)
    left_out = _sidecars(names)
    images = [name for name in names if name not in left_out]
    left_out |= _developed(images)
    left_out |= _named_masks(images)
    images = [name for name in images if name not in left_out]
    return left_out | _mask_folders(images, read)


def _sidecars(names: Sequence[str]) -> dict[str, str]:
    """A file of an ending that nobody knows, beside an image of the same name, says something about it."""
    stems = {_stem(name) for name in names if ending(name) in IMAGES}
    whole = set(names)
    unknown = (name for name in names if ENDING.fullmatch(ending(name)) and ending(name) not in KNOWN)
    return {name: "sidecar" for name in unknown if _stem(name) in stems or _stem(name) in whole}


def _developed(names: Sequence[str]) -> dict[str, str]:
    stems = {_stem(name).lower() for name in names if ending(name) in IMAGES}
    return {name: "raw" for name in names if ending(name) in RAW and _stem(name).lower() in stems}


def _named_masks(names: Sequence[str]) -> dict[str, str]:
    """Masks in the folder of their image: `a.seg.png` and `a_mask.png` beside `a.jpg`."""
    stems = {_stem(name) for name in names}
    return {name: "mask" for name in names if _is_named_mask(name, stems)}


def _is_named_mask(name: str, stems: set[str]) -> bool:
    stem = _stem(name)
    key, dot, word = stem.rpartition(".")
    if dot and word.lower() in MASK_WORDS and key in stems:
        return True
    found = SUFFIX.fullmatch(stem)
    return bool(found and found[1] in stems and ending(name) in LOSSLESS)


def _mask_folders(names: Sequence[str], read: Mapping[str, Read]) -> dict[str, str]:
    """Folders like SegmentationClass whose files have the names of images elsewhere, and few colours."""
    folders: dict[str, list[str]] = defaultdict(list)
    for name in names:
        at = _mask_folder(name)
        if at and ending(name) in LOSSLESS:
            folders[at].append(name)
    if not folders:
        return {}
    inside = {name for held in folders.values() for name in held}
    photos = {_bare(_base(name), PHOTO_SUFFIX) for name in names if name not in inside}
    masks: dict[str, str] = {}
    for held in folders.values():
        paired = [name for name in held if {_base(name), _bare(_base(name), SUFFIX)} & photos]
        if len(paired) >= PAIRED * len(held) and _look_like_masks(paired, read):
            masks |= dict.fromkeys(held, "mask")
    return masks


def _mask_folder(name: str) -> str:
    parts = name.split("/")[:-1]
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
            if image.mode.startswith("I;16"):
                return True
            image.thumbnail((512, 512), Image.Resampling.NEAREST)
            return image.getcolors(COLOURS) is not None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _stem(name: str) -> str:
    """Return the path without its last ending."""
    last = ending(name)
    return name[: -len(last)] if last else name


def _base(name: str) -> str:
    return _stem(name).rpartition("/")[2]


def _bare(stem: str, suffix: re.Pattern[str]) -> str:
    found = suffix.fullmatch(stem)
    return found[1] if found else stem
