"""A bank: what a teacher says of fixed views of every training image, for networks that learn from it.

A view is an image shifted, and every second time mirrored. Teacher and learner see the same one (Beyer et al. 2022,
"a good teacher is patient and consistent"), and the teacher runs once per view rather than once per training step
(Shen and Xing 2022). In every epoch each image takes its next view, so that mirrored views alternate with others.

The folder holds `bank.json` and one file per view, which appears when it is complete: `shifts` (`int8 [N, 2]`, pixels
from the top and from the left) and `logits` (`f16 [N, classes]`, the mean of all teachers').
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from tqdm import tqdm

from skipgate_models.augmentation import Views, ViewsOf
from skipgate_models.config import Augmentation, Padding, Precision
from skipgate_models.data import Dataset, Part
from skipgate_models.evaluate import device_of
from skipgate_models.files import replacing
from skipgate_models.fold import folded
from skipgate_models.gated import GatedNetwork

SETTINGS = "bank.json"
BATCH = 250


@dataclass(frozen=True)
class Plan:
    """What `bank.json` says: views per image, how they are made, and of which images."""

    views: int
    seed: int
    shift: int
    padding: Padding
    flip: bool
    images: int
    labels: str

    @classmethod
    def of(cls, part: Part, views: int, seed: int, change: Augmentation) -> "Plan":
        """Plan `views` views of the images of `part`."""
        return cls(views, seed, change.shift, change.padding, change.flip, len(part), _fingerprint(part.labels))

    def mirrored(self, view: int) -> bool:
        """Whether the view swaps left and right."""
        return self.flip and view % 2 == 1


@dataclass(frozen=True)
class Bank:
    """A bank in memory: shifts `int8 [views, N, 2]` and logits `f16 [views, N, classes]`."""

    plan: Plan
    shifts: Tensor
    logits: Tensor

    def views_of(self, epoch: int, seed: int) -> ViewsOf:
        """Give each image's view in this epoch: the one after the last epoch's, from a random first one."""
        first = torch.randint(self.plan.views, (self.plan.images,), generator=Generator().manual_seed(seed))
        view = (first + epoch) % self.plan.views
        mirrored = torch.tensor([self.plan.mirrored(number) for number in range(self.plan.views)])

        def views(index: Tensor) -> Views:
            chosen = view[index]
            shifts, logits = self.shifts[chosen, index], self.logits[chosen, index]
            return Views(shifts.long(), mirrored[chosen], self.plan.padding, logits.float())

        return views


def write(folder: Path, plan: Plan, teachers: Sequence[GatedNetwork], dataset: Dataset, precision: Precision) -> None:
    """Compute the views that `folder` does not hold yet, with teachers in eval mode on one device."""
    _agree(folder, plan)
    fast = [folded(teacher).to(memory_format=torch.channels_last) for teacher in teachers]
    generator = Generator().manual_seed(plan.seed)
    # `disable=None` shows the bar on a terminal only.
    for view in tqdm(range(plan.views), unit="view", disable=None):
        shifts = torch.randint(-plan.shift, plan.shift + 1, (plan.images, 2), generator=generator)
        path = _file(folder, view)
        if path.exists():
            continue
        mirrored = torch.full((plan.images,), plan.mirrored(view))
        logits = _logits(fast, dataset, Views(shifts, mirrored, plan.padding), precision)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, shifts=shifts.to(torch.int8).numpy(), logits=logits.half().numpy())
        share = 100 * (logits.argmax(1) == dataset.train.labels).float().mean()
        tqdm.write(f"view {view + 1} of {plan.views}: the teacher gives {share:.2f} % of the labels")


def read(folder: Path, part: Part) -> Bank:
    """Read a complete bank of the images in `part`; `ValueError` if it is not."""
    path = folder / SETTINGS
    if not path.exists():
        raise ValueError(f"{folder}: there is no bank; make one with `bank RECIPE TEACHER {folder}`")
    plan = Plan(**json.loads(path.read_text()))
    if plan.labels != _fingerprint(part.labels):
        raise ValueError(f"{folder}: this bank was made of other images than those to train on")
    missing = [view for view in range(plan.views) if not _file(folder, view).exists()]
    if missing:
        raise ValueError(f"{folder}: {len(missing)} of {plan.views} views are missing; let `bank` complete them")
    files = [np.load(_file(folder, view)) for view in range(plan.views)]
    shifts, logits = (torch.from_numpy(np.stack([file[name] for file in files])) for name in ("shifts", "logits"))
    return Bank(plan, shifts, logits)


def _logits(teachers: Sequence[GatedNetwork], dataset: Dataset, views: Views, precision: Precision) -> Tensor:
    """Mean logits `f32 [N, classes]` of the views of all training images."""
    device = device_of(teachers[0])
    results = []
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), autocast:
        for index in torch.arange(len(dataset.train)).split(BATCH):
            changed = views[index].apply(dataset.train.images[index]).to(device)
            images = dataset.preprocessing(changed).contiguous(memory_format=torch.channels_last)
            results.append(torch.stack([teacher(images).float() for teacher in teachers]).mean(0).cpu())
    return torch.cat(results)


def _agree(folder: Path, plan: Plan) -> None:
    """Begin a bank in `folder`, or check that the one in it has the same plan."""
    path = folder / SETTINGS
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(asdict(plan), indent=2) + "\n")
    elif Plan(**json.loads(path.read_text())) != plan:
        raise ValueError(f"{folder}: holds a bank with another plan; give another folder or delete it")


def _file(folder: Path, view: int) -> Path:
    return folder / f"view-{view:02}.npz"


def _fingerprint(labels: Tensor) -> str:
    return hashlib.sha256(labels.numpy().astype(np.int64).tobytes()).hexdigest()[:16]
