"""The page to try the models: one file, and the policy that lets nothing else run in it."""

import re
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import HTMLResponse, Response

from labelf_cli.page_policy import inline_source

_FILE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Page:
    """A page of one file.

    Attributes:
        html: its content.
        policy: its Content-Security-Policy: its own script and style by their hashes, requests to
            this server alone, no frame around it.
    """

    html: str
    policy: str

    @classmethod
    def read(cls) -> "Page":
        """Read it."""
        html = _FILE.read_text("utf-8")
        return cls(
            html,
            "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'; "
            f"script-src {_hash(html, 'script')}; style-src {_hash(html, 'style')}",
        )

    def response(self) -> Response:
        """The answer to a browser."""
        return HTMLResponse(
            self.html,
            headers={
                "Content-Security-Policy": self.policy,
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-cache",
            },
        )


def _hash(html: str, tag: str) -> str:
    """The one element of a kind as a policy names it."""
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return inline_source(content)
