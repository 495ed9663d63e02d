"""Reasons and evidence in plain words, for readers who have not read the code."""

MEANINGS = {
    "unreadable": "The file cannot be read or decoded.",
    "too_small": "The shorter side has too few pixels.",
    "too_large": "The image has too many pixels.",
    "odd_aspect": "A strip: one side is several times the other.",
    "dark": "Even the brightest pixels are dark.",
    "bright": "Even the darkest pixels are bright.",
    "low_information": "A blank, a gradient or a few flat colours.",
    "blurry": "No sharp edges are left.",
    "exact_duplicate": "The same picture to the last pixel, in whatever file.",
    "perceptual_duplicate": "The same picture by perceptual hash: resized, recompressed, slightly changed.",
    "near_duplicate": "The same picture by its embedding: cropped, flipped or edited.",
    "contaminated": "It resembles an image of an evaluation set; training on it would spoil the scores.",
    "not_sampled": "Good, but left out to balance the dataset.",
}
GROUPS = {
    "broken": ("unreadable",),
    "quality": ("too_small", "too_large", "odd_aspect", "dark", "bright", "low_information", "blurry"),
    "duplicate": ("exact_duplicate", "perceptual_duplicate", "near_duplicate"),
    "held": ("contaminated", "not_sampled"),
}
"""Colour of a reason on the page → the reasons; a reason of a rule that is not listed is one of quality."""
PAIRED = ("exact_duplicate", "perceptual_duplicate", "near_duplicate", "contaminated")
SIGNAL_OF = {
    "luma_p99": "dark",
    "luma_p5": "bright",
    "aspect": "odd_aspect",
    "entropy": "low_information",
    "sharpness": "blurry",
}
"""Signal → the reason whose threshold is held against it."""
SIGNALS_IN_WORDS = {
    "luma_p5": ("Darkest pixels", "brightness that 5 % of the pixels stay below: 0 black, 1 white", (0, 1)),
    "luma_p99": ("Brightest pixels", "brightness that 99 % of the pixels stay below: 0 black, 1 white", (0, 1)),
    "aspect": ("Aspect", "shorter side / longer side: 1 is square", (0, 1)),
    "entropy": ("Information", "entropy of the gray tones, in bits", (0, 8)),
    "sharpness": ("Sharpness", "0 blurred, 1 sharp", (0, 1)),
    "detail": ("Fine detail", "gray levels", None),
}
"""Signal → its title, its unit, and the range that it can take (null = that of the data)."""
_VALUES = {
    "too_small": ("shorter side {} px", "below"),
    "too_large": ("{} megapixels", "above"),
    "odd_aspect": ("shorter / longer side {}", "below"),
    "dark": ("brightest pixels {}", "below"),
    "bright": ("darkest pixels {}", "above"),
    "low_information": ("entropy {} bits", "below"),
    "blurry": ("sharpness {}", "below"),
}


def title(reason: str) -> str:
    """Return a reason as a heading."""
    return reason.replace("_", " ").capitalize()


def meaning(reason: str) -> str:
    """Return what a reason means."""
    return MEANINGS.get(reason, "A rule of the recipe dropped it.")


def group(reason: str) -> str:
    """Return the group that a reason belongs to."""
    return next((name for name, reasons in GROUPS.items() if reason in reasons), "quality")


def evidence(reason: str, value: float | None, threshold: float | None) -> str:
    """Return the measured value against its threshold, as a phrase."""
    if reason == "exact_duplicate":
        return "equal pixels"
    if value is None:
        return ""
    if reason == "perceptual_duplicate":
        return f"{value:.0f} of 64 hash bits differ{_limit(threshold, 'up to', 0)}"
    if reason in ("near_duplicate", "contaminated"):
        return f"similarity {value:.3f}{_limit(threshold, 'from', 3)}"
    phrase, side = _VALUES.get(reason, ("value {}", "limit"))
    digits = 0 if reason == "too_small" else 2
    return phrase.format(f"{value:.{digits}f}") + ("" if threshold is None else f", {side} {threshold:g}")


def _limit(threshold: float | None, word: str, digits: int) -> str:
    return "" if threshold is None else f", a copy {word} {threshold:.{digits}f}"
