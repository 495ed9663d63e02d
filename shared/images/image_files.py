"""Which file holds one image, told by its name alone: the one definition, for sources and for evaluation sets."""

NO_IMAGES = frozenset(
    """.csv .tsv .txt .lst .list .json .jsonl .md .html .htm .xml .yaml .yml .toml .ini .log .py .ipynb .sh .cls .pdf
    .db .sqlite .parquet .arrow .feather .npy .npz .pt .pth .safetensors .pkl .mat .h5 .tfrecord
    .tar .tgz .tbz2 .txz .tzst .zip .gz .bz2 .xz .zst .7z .rar .mp4 .mov .avi .mkv .webm .mp3 .wav .flac .xmp .aae
    .md5 .sha256""".split()  # noqa: SIM905  one ending a line would be a page
)
"""Endings of files that are not one image each. Everything else may be one: only reading it tells."""


def ending(path: str) -> str:
    """Return the last ending of a name, in lower case: `.jpg`; empty where there is none."""
    name = path[path.rfind("/") + 1 :]
    return name[name.rfind(".") :].lower() if "." in name[1:] else ""


def may_be_image(path: str) -> bool:
    """Tell whether a file may be an image, by its name; a hidden file is none."""
    return path[path.rfind("/") + 1 :][:1] != "." and ending(path) not in NO_IMAGES
