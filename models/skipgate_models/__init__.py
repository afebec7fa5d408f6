"""Training recipes of skipgate: residual networks that can be skipped.

The words are those of the rest of the project. A *gate* stands in front of each residual block that is not the
first of its segment; gates are numbered from 0 in execution order. A *mask* has one boolean per gate: true runs the
block, false skips it (the paper's S, section II-A.2).
"""
