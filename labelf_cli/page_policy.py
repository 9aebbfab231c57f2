"""What a page of one file may do: its own script and style by their hashes."""

import base64
import hashlib


def inline_source(content: str) -> str:
    """An inline script or style as a Content-Security-Policy names it."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
