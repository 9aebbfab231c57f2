"""labelf: classify every text of a table with several models in one pass."""

__version__ = "0.1.0"
