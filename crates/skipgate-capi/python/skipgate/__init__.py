"""Run residual networks whose blocks can be skipped, call by call.

    import numpy as np
    import skipgate

    with skipgate.Artifact("build/resnet20-host") as artifact, skipgate.Session(artifact) as session:
        image = np.zeros(artifact.inputs[0].shape, np.float32)
        logits = session.run(image, "110110")

An artifact is made by `skipgate compile`. It is native code: open only those that you made or trust.
"""

from ._artifact import Artifact, Configuration, Gate, Tensor
from ._errors import ArgumentError, ArtifactError, Error, RunError
from ._session import Mask, Session

__all__ = [
    "ArgumentError",
    "Artifact",
    "ArtifactError",
    "Configuration",
    "Error",
    "Gate",
    "Mask",
    "RunError",
    "Session",
    "Tensor",
]
