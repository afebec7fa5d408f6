"""What can go wrong. Every message says what was expected and what was found."""


class Error(Exception):
    """Anything that skipgate refuses or fails at."""


class ArgumentError(Error, ValueError):
    """An argument does not fit: a shape, a type, a name or the length of a mask. Nothing was run."""


class ArtifactError(Error):
    """The artifact cannot be opened: missing, damaged, or for another machine."""


class RunError(Error):
    """The network cannot be loaded or failed while it ran."""
