import subprocess
import sys
from pathlib import Path


def test_torchvision_and_those_that_need_it_can_be_imported():
    code = "import shared.images.torchvision_cpu, torchvision, timm, imagededup.methods"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=True, timeout=120)
