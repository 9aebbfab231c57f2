"""A comparison with other ways to get the same scores; see README.md."""
