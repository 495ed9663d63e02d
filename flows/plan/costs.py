"""Unit costs and arithmetic of training: images, parameters and devices in, days out."""

from dataclasses import dataclass

CROPS_MS = {True: 2.2, False: 5.3}
"""CPU milliseconds from the bytes of an image to 2 + 8 crops, colours on the device or not (README, Figures)."""
CROPS_PIXELS = 2 * 224**2 + 8 * 98**2
"""Pixels of those crops."""
GIB = 2.0**30
CPU = "CPU"
"""The title of a machine without a GPU."""
TYPICAL = 0.4
"""Share of the peak that good runs reach: DINOv2's ViT-g 39 % of an A100's (its model card, without skipped work)."""


@dataclass(frozen=True)
class Device:
    """What training runs on, and how much of it there is."""

    title: str
    count: int
    flops: float
    """FLOP/s at best, of one."""
    source: str
    """Who says so."""
    memory: float
    """Bytes of one; 0 = not known."""


def days(flops: float, device: Device, share: float) -> float:
    """Return the days that so many FLOPs take at a share of the devices' peak."""
    return flops / (device.count * device.flops * share) / 86400
