"""What every network here has in common: residual blocks, some of which can be skipped."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class GatedNetwork(nn.Module, ABC):
    """Network that takes, beside the images, what to do with each skippable block."""

    @abstractmethod
    def segments_of_blocks(self) -> list[list[bool]]:
        """Whether a gate stands in front of the block, for every block of every segment in execution order."""

    @abstractmethod
    def forward(self, image: Tensor, scales: Sequence[float] | None = None) -> Tensor:
        """Logits of images `[N, 3, H, W]`.

        `scales` holds one factor per gate for the block's residual. A block with factor 0 is not computed: its
        output is its input. A mask is a list of zeros and ones; without `scales` all blocks run.
        """

    @abstractmethod
    def load_weights(self, weights: dict[str, Tensor], source: str) -> None:
        """Take the weights of an earlier training; `source` names them in errors."""

    def skippable(self) -> list[bool]:
        """Whether a gate stands in front of the block, for every block in execution order."""
        return [gated for segment in self.segments_of_blocks() for gated in segment]

    def gates(self) -> int:
        """Length of a mask."""
        return sum(self.skippable())

    def scale_per_block(self, scales: Sequence[float] | None) -> list[float]:
        """One factor per block from one per gate."""
        skippable = self.skippable()
        if scales is None:
            return [1.0] * len(skippable)
        if len(scales) != sum(skippable):
            raise ValueError(f"the mask has {len(scales)} entries, the model has {sum(skippable)} gates")
        factors = iter(scales)
        return [float(next(factors)) if gated else 1.0 for gated in skippable]
