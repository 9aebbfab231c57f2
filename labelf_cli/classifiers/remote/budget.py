"""How many requests services may be sent, and how many they were."""

from threading import Lock

from labelf_cli.errors import ServiceError


class Budget:
    """Counts the requests of all services and threads; the one that is too many is not sent.

    Attributes:
        requests: that were sent.
    """

    def __init__(self, most: int | None = None) -> None:
        """Allow so many; None for any number."""
        self._most = most
        self._lock = Lock()
        self.requests = 0

    def spend(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            ServiceError: there have been as many as are allowed.
        """
        with self._lock:
            if self.requests == self._most:
                raise ServiceError(
                    f"--max-requests {self._most} is used up",
                    todo="What is answered is kept; the same command goes on from there",
                )
            self.requests += 1


class Meter:
    """What one call costs; its requests count in the budget, too.

    Attributes:
        requests: that were sent, retries included.
        prompt_tokens, completion_tokens: that the service counted.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.requests = self.prompt_tokens = self.completion_tokens = 0

    def spend(self) -> None:
        """Count a request; see ``Budget.spend``."""
        self._budget.spend()
        self.requests += 1
