"""A hash over plain values."""

import hashlib


def sha256(decides: tuple[object, ...]) -> str:
    """Hash of plain values, by what Python shows of them."""
    return hashlib.sha256(repr(decides).encode()).hexdigest()
