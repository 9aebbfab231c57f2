"""What a graph computes with; apart from what rewrites graphs, which needs the extra ``train``."""

from enum import StrEnum


class Precision(StrEnum):
    """Numbers in a graph's large products."""

    INT8 = "int8"
    FP32 = "fp32"
