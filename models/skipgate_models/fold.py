"""BatchNormalization folded into the convolutions in front of it, to compute faster what does not change."""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(network: nn.Module) -> nn.Module:
    """Copy `network`, in eval mode, and fold each pair that stands side by side in an `nn.Sequential`."""
    result = copy.deepcopy(network).eval()
    for layers in (module for module in result.modules() if isinstance(module, nn.Sequential)):
        for index in range(len(layers) - 1):
            convolution, norm = layers[index], layers[index + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                layers[index] = fuse_conv_bn_eval(convolution, norm)
                layers[index + 1] = nn.Identity()
    return result
