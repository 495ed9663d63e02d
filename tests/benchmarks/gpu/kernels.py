"""Where the time of a step goes, kernel by kernel, and how fast each of PyTorch's attention kernels is here.

    python tests/benchmarks/gpu/kernels.py

Attention is timed as the blocks call it: views into one tensor of queries, keys and values, forward and backward.
"""

import importlib.util
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

SHAPES = {
    "ViT-L/14, 224 px": (128, 257, 16, 64),
    "ViT-L/14, 98 px": (512, 50, 16, 64),
    "450M, 224 px": (64, 257, 11, 88),
    "450M, 98 px": (320, 50, 11, 88),
}
"""Crops, tokens, heads, numbers of a head."""
PACKAGES = ("timm", "torchvision", "pydantic", "pyarrow", "cv2", "safetensors", "yaml", "pytest", "faiss", "triton")
BACKENDS = {
    "chosen by PyTorch": None,
    "flash": SDPBackend.FLASH_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}


def kernel_table(step: Callable[[], Any], title: str, rows: int = 40) -> str:
    """Return, as text, what three steps spent on each kind of kernel."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(3):
            step()
    on_gpu = torch.cuda.is_available()
    order = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    return f"{title}\n{profile.key_averages().table(sort_by=order, row_limit=rows, max_name_column_width=90)}\n\n"


def milliseconds(shape: tuple[int, int, int, int], backend: SDPBackend | None, device: torch.device) -> float:
    """Return the median of forward and backward together."""
    B, T, H, E = shape
    qkv = torch.randn(B * T, 3 * H * E, device=device, dtype=torch.bfloat16, requires_grad=True)
    change = torch.randn(B * T, H * E, device=device, dtype=torch.bfloat16)

    def once() -> None:
        q, k, v = qkv.view(B, T, 3, H, E).permute(2, 0, 3, 1, 4)
        F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B * T, H * E).backward(change)
        qkv.grad = None

    kinds = [backend] if backend is not None else list(SDPBackend.__members__.values())[2:]
    times = []
    with sdpa_kernel(kinds):
        for _ in range(12):
            begun = time.perf_counter()
            for _ in range(5):
                once()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append((time.perf_counter() - begun) / 5)
    return 1000 * statistics.median(times[2:])


def machine(device: torch.device) -> str:
    """Return what runs here, and what is absent."""
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    return (
        f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}, "
        f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}; absent: {', '.join(absent) or 'nothing'}"
    )


def main() -> None:
    """Print the table."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(machine(device))
    print(f"\n| attention, ms | {' | '.join(SHAPES)} |\n|---|{'--:|' * len(SHAPES)}", flush=True)
    for name, backend in BACKENDS.items():
        cells = []
        for B, T, H, E in SHAPES.values():
            shape = (B, T, H, E) if device.type == "cuda" else (1, 5, H, E)
            try:
                cells.append(f"{milliseconds(shape, backend, device):.3f}")
            except RuntimeError as error:
                print(f"{name} {shape}: {error}", file=sys.stderr)
                cells.append("none")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
