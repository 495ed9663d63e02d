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
    "perceptual_duplicate": "The same picture, resized, recompressed or edited: a hash proposed it, the pixels agree.",
    "near_duplicate": "The same picture or a look-alike, by its embedding.",
    "contaminated": "It resembles an image of an evaluation set; training on it would spoil the scores.",
    "not_sampled": "Good, but left out to balance the dataset.",
    "nsfw": "A model takes it for nudity, pornography or violence.",
    "low_aesthetic": "A model that was taught by people's taste rates it low.",
}
VERIFIED = "The same picture, cropped, flipped, framed or edited: laid over the kept one, their pixels agree."
"""What a near duplicate is where geometry has the last word."""
GROUPS = {
    "broken": ("unreadable",),
    "quality": ("too_small", "too_large", "odd_aspect", "dark", "bright", "low_information", "blurry"),
    "duplicate": ("exact_duplicate", "perceptual_duplicate", "near_duplicate"),
    "contaminated": ("contaminated",),
    "sampled": ("not_sampled",),
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
    "detail": ("Fine detail", "gray levels; images with too little are compared for equality only", None),
    "shorter_side": ("Shorter side", "pixels", None),
    "megapixels": ("Size", "megapixels", None),
}
"""Signal → its title, its unit, and the range that it can take (null = that of the data)."""
_VALUES = {
    "too_small": ("shorter side {} px", "below"),
    "too_large": ("{} megapixels", "above"),
    "odd_aspect": ("side ratio {}", "below"),
    "dark": ("brightest pixels {}", "below"),
    "bright": ("darkest pixels {}", "above"),
    "low_information": ("entropy {} bits", "below"),
    "blurry": ("sharpness {}", "below"),
    "nsfw": ("model score {}", "above"),
    "low_aesthetic": ("model score {}", "below"),
    "watermark": ("model score {}", "above"),
}
GEOMETRIC = "geometric"


def title(reason: str) -> str:
    """Return a reason as a heading."""
    return reason.replace("_", " ").capitalize()


def meaning(reason: str, verify: str | None = None) -> str:
    """Return what a reason means; `verify` is how the recipe has near duplicates checked."""
    if reason == "near_duplicate" and verify == GEOMETRIC:
        return VERIFIED
    return MEANINGS.get(reason, "A rule of the recipe dropped it.")


def group(reason: str) -> str:
    """Return the group that a reason belongs to."""
    return next((name for name, reasons in GROUPS.items() if reason in reasons), "quality")


def evidence(reason: str, value: float | None, threshold: float | None, verify: str | None = None) -> str:
    """Return the measured value against its threshold, as a phrase."""
    if reason == "exact_duplicate":
        return "equal pixels"
    if value is None:
        return ""
    if reason == "perceptual_duplicate" or (reason == "near_duplicate" and verify == GEOMETRIC):
        return f"match {value:.2f}{_limit(threshold, 'a copy from', 2)}"
    if reason == "near_duplicate":
        return f"similarity {value:.3f}{_limit(threshold, 'a copy from', 3)}"
    if reason == "contaminated" and value == threshold == 1:
        return "equal pixels"
    if reason == "contaminated":
        return f"similarity {value:.3f}{_limit(threshold, 'too close from', 3)}"
    phrase, side = _VALUES.get(reason, ("value {}", "limit"))
    told = phrase.format(_digits(reason, value, threshold))
    return told + ("" if threshold is None else f", {side} {threshold:g}")


def turned(orientation: str | None) -> str:
    """Return the turn or mirror that a match needed, as the end of a phrase; nothing where it needed none."""
    return f", {orientation}" if orientation not in (None, "upright") else ""


def edge(reason: str, threshold: float | None, verify: str | None = None) -> str:
    """Return the limit of a duplicate reason, as a phrase."""
    told = evidence(reason, 0.0, threshold, verify)
    return told.partition(", ")[2]


def tag(reason: str, kept: bool) -> tuple[str, str]:
    """Return the colour and the name of the image that a dropped one resembles; balance may have left it out, too."""
    if reason == "contaminated":
        return "contaminated", "evaluation image"
    return ("kept", "kept") if kept else ("sampled", "left out for balance")


def signal_value(reason: str, value: float, threshold: float | None = None) -> str:
    """Return the value that a rule looks at, as a phrase."""
    return _VALUES.get(reason, ("value {}", ""))[0].format(_digits(reason, value, threshold))


def _digits(reason: str, value: float, threshold: float | None) -> str:
    """Write as many digits as it takes to tell the value from its threshold, two at least."""
    if reason == "too_small":
        return f"{value:.0f}"
    for digits in (2, 3, 4):
        told = f"{value:.{digits}f}"
        if threshold is None or float(told) != float(f"{threshold:g}"):
            break
    return told


def _limit(threshold: float | None, words: str, digits: int) -> str:
    return "" if threshold is None else f", {words} {threshold:.{digits}f}"
