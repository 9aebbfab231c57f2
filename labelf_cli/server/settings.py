"""What the server is told: the models, where it listens, whom it answers, and its bounds."""

from dataclasses import dataclass, field

from labelf_cli.config import Config

_MIB = 1 << 20

# A character as JSON may write it: \u and four hexadecimal digits, twice beyond the first plane,
# which real texts are not made of.
_BYTES_A_CHARACTER = 6


@dataclass(frozen=True)
class Limits:
    """Bounds of what one request, and all of them at once, may cost.

    Attributes:
        texts: in a request.
        characters: in a text.
        models: model settings in a request.
        waiting: texts that are accepted and not yet answered, in all requests.
        connections: open at once.
        head_seconds: for the head of a request to come in.
        body_seconds: for its body.
        answer_seconds: for its answer.
        grace_seconds: for what is accepted to be answered once the server is to stop.
    """

    texts: int = 8
    characters: int = 100_000
    models: int = 64
    waiting: int = 256
    connections: int = 512
    head_seconds: float = 10.0
    body_seconds: float = 20.0
    answer_seconds: float = 30.0
    grace_seconds: float = 30.0

    @property
    def body_bytes(self) -> int:
        """Of one request."""
        return min(_MIB + self.texts * self.characters * _BYTES_A_CHARACTER, 32 * _MIB)

    @property
    def buffered_bytes(self) -> int:
        """Of all bodies that are coming in."""
        return max(64 * _MIB, 2 * self.body_bytes)


@dataclass(frozen=True)
class ServeSettings:
    """All that decides what the server does.

    Attributes:
        config: lists the models.
        models: names of those that are served, each of which has an id; all of them if empty.
        threads: size of the pool that runs them.
        host: name or address to listen at.
        port: 0 for any that is free.
        tokens: who names one is answered; everybody is where there are none.
        limits: its bounds.
    """

    config: Config
    threads: int
    models: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8000
    tokens: tuple[str, ...] = field(default=(), repr=False)
    limits: Limits = Limits()
