#!/usr/bin/env bash
# wandb 0.31.0, numpy 2.4.0, pillow 12.0.0: wandb.Image cuts floats down to whole numbers and does not scale
# them. A picture with values between 0 and 1, as torchvision's ToTensor, Matplotlib and most models give it,
# has only 0 and 1 of 255 in its file: it is black. Nothing warns.
# The usual guess: values between 0 and 1 are scaled, as Matplotlib, TensorBoard's add_image and wandb 0.20.1
# do, whose argument normalize=True is gone.
# It matters because samples that a training logs are lost by it: the file has lost them, not just the page.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet wandb==0.31.0 numpy==2.4.0 pillow==12.0.0
cd "$folder"
WANDB_MODE=offline WANDB_SILENT=true WANDB_CONSOLE=off venv/bin/python - <<'PYTHON'
from pathlib import Path

import numpy as np
import wandb
from PIL import Image

pixels = np.linspace(0, 1, 48).reshape(4, 4, 3)
with wandb.init(project="p") as run:
    run.log({"floats": wandb.Image(pixels), "scaled": wandb.Image((pixels * 255).astype(np.uint8))})
found = {}
for file in Path("wandb").rglob("*.png"):
    values = np.asarray(Image.open(file))
    found[file.name.partition("_")[0]] = (int(values.min()), int(values.max()))
print(found)
assert found == {"floats": (0, 1), "scaled": (0, 255)}, found
PYTHON
