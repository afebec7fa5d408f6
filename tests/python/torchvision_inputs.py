"""What torchvision makes of images: `python torchvision_inputs.py < jobs.json`.

Every job is `{"image", "output", "resize", "interpolation", "crop", "gray", "mean", "std"}`; the tensor is written as
.npy.
"""

import json
import sys

import numpy as np
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode


def tensor(job: dict) -> np.ndarray:
    """Return the input of a network, with a batch of one."""
    image = Image.open(job["image"]).convert("L" if job["gray"] else "RGB")
    steps = transforms.Compose(
        [
            transforms.Resize(job["resize"], InterpolationMode(job["interpolation"])),
            transforms.CenterCrop(job["crop"]),
            transforms.ToTensor(),
            transforms.Normalize(job["mean"], job["std"]),
        ]
    )
    return steps(image).unsqueeze(0).numpy()


for job in json.load(sys.stdin):
    np.save(job["output"], tensor(job))
