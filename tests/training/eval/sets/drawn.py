"""Files of small pictures for the tests of labelled sets."""

from pathlib import Path

from conftest import encoded, picture


def draw(path: Path, seed: int, kind: str = "JPEG") -> bytes:
    """Write a picture that no other seed resembles; return its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = encoded(picture(seed, (48, 36)), kind)
    path.write_bytes(data)
    return data


def class_folders(root: Path, per_class: int, classes: tuple[str, ...] = ("cats", "dogs"), first: int = 0) -> Path:
    """Write ROOT/CLASS/NUMBER.jpg."""
    for place, name in enumerate(classes):
        for number in range(per_class):
            draw(root / name / f"{number:03d}.jpg", first + 1000 * place + number)
    return root
