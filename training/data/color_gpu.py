"""The same photometric augmentation as in color_cpu.py, for whole batches on a GPU: torch operations on all crops.

Crops that get the same change at the same turn are changed together, so the random order costs no crop a pass.
No matrix product and no convolution: those may round to TF32 or bf16.

Shapes: N crops, 3 colours, H W pixels; G crops of a group, each with one number; K numbers of color_params.py.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from training.data.color_params import GRAY, LUMA, ORDER, SIGMA, SOLARISE, SOLARISE_FROM, TAPS
from training.distributed import to_device


def color_jitter_batch(crops_NHWC: Tensor, colours_NK: Tensor) -> Tensor:
    """Return uint8 crops_N3HW; colours_NK is on the CPU, because grouping by it must not wait for the GPU."""
    device, columns = crops_NHWC.device, colours_NK.numpy()
    drawn_NK = colours_NK.to(device, non_blocking=True)
    x_N3HW = crops_NHWC.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    steps = [
        *((change, column, columns[:, turn] == column) for turn in range(8)[ORDER] for column, change in CHANGES),
        (grayed, GRAY, columns[:, GRAY] > 0),
        (blurred, SIGMA, columns[:, SIGMA] > 0),
    ]
    groups = [np.flatnonzero(chosen) for _, _, chosen in steps]
    sizes = [len(group) for group in groups]
    grouped = torch.split(to_device(np.concatenate(groups), device), sizes)  # one transfer for all
    for (change, column, _), rows_G in zip(steps, grouped, strict=True):
        if len(rows_G):
            x_N3HW[rows_G] = change(x_N3HW[rows_G], drawn_NK[rows_G, column].view(-1, 1, 1, 1))
    x_N3HW = x_N3HW.round_().clamp_(0, 255)
    bright_N3HW = (x_N3HW >= SOLARISE_FROM) & (drawn_NK[:, SOLARISE] > 0).view(-1, 1, 1, 1)
    return torch.where(bright_N3HW, 255 - x_N3HW, x_N3HW).to(torch.uint8)


def _luma(x_G3HW: Tensor) -> Tensor:
    return x_G3HW[:, 0:1] * LUMA[0] + x_G3HW[:, 1:2] * LUMA[1] + x_G3HW[:, 2:3] * LUMA[2]


def brightened(x_G3HW: Tensor, factor_G111: Tensor) -> Tensor:
    """Multiply by the factor."""
    return (x_G3HW * factor_G111).clamp_(max=255)


def contrasted(x_G3HW: Tensor, factor_G111: Tensor) -> Tensor:
    """Move away from the mean luma of the crop, or towards it."""
    mean_G111 = _luma(x_G3HW).mean(dim=(1, 2, 3), keepdim=True, dtype=torch.float64).float()
    return (x_G3HW * factor_G111 + (1 - factor_G111) * mean_G111).clamp_(0, 255)


def saturated(x_G3HW: Tensor, factor_G111: Tensor) -> Tensor:
    """Move each pixel away from its luma, or towards it."""
    return (x_G3HW * factor_G111 + (1 - factor_G111) * _luma(x_G3HW)).clamp_(0, 255)


def hue_turned(x_G3HW: Tensor, share_G111: Tensor) -> Tensor:
    """Turn the colour circle by a share of it: h counts sextants from red, and value and chroma stay."""
    red, green, blue = (x_G3HW[:, colour : colour + 1] for colour in range(3))
    value, lowest = x_G3HW.amax(1, keepdim=True), x_G3HW.amin(1, keepdim=True)
    chroma = value - lowest
    divisor = chroma.clamp(min=1e-6)
    around_green_or_blue = torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4)
    h = torch.where(value == red, (green - blue) / divisor, around_green_or_blue) + 6 * share_G111
    h = h - 6 * torch.floor(h / 6)
    shares = ((h - 3).abs() - 1, 2 - (h - 2).abs(), 2 - (h - 4).abs())
    return torch.cat([lowest + chroma * share.clamp(0, 1) for share in shares], dim=1)


CHANGES = tuple(enumerate((brightened, contrasted, saturated, hue_turned)))
"""In the order of their columns."""


def grayed(x_G3HW: Tensor, _: Tensor) -> Tensor:
    """Give every colour the luma."""
    return _luma(x_G3HW).expand_as(x_G3HW)


def blurred(x_G3HW: Tensor, sigma_G111: Tensor) -> Tensor:
    """Convolve with a Gaussian of TAPS pixels, along one axis and then the other; borders are mirrored."""
    reach = TAPS // 2
    taps = [torch.exp(-0.5 * (distance / sigma_G111) ** 2) for distance in range(reach + 1)]
    total = taps[0] + 2 * sum(taps[1:])
    for dim in (3, 2):
        size = x_G3HW.shape[dim]
        padded = x_G3HW.index_select(dim, _mirrored(size, reach, x_G3HW.device))
        x_G3HW = x_G3HW * (taps[0] / total)
        for distance in range(1, reach + 1):
            sides = padded.narrow(dim, reach - distance, size) + padded.narrow(dim, reach + distance, size)
            x_G3HW = x_G3HW + sides * (taps[distance] / total)
    return x_G3HW


@cache
def _mirrored(size: int, reach: int, device: torch.device) -> Tensor:
    """Return which pixel stands at each place of a line with mirrored ends; copied once, as copies wait."""
    with torch.inference_mode(False):
        return to_device(np.pad(np.arange(size), reach, mode="reflect"), device)
