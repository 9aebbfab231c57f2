"""The rows that a page shows, and what they are filtered by."""

from collections.abc import Iterable
from dataclasses import dataclass

from labelf_cli.tallies.chosen import ChosenRow

_HEAD_CHARACTERS = 360
_LEAST_REST = 80


@dataclass(frozen=True)
class ShownRow:
    """A row as a page shows it.

    Attributes:
        row: what is known of it.
        labels: numbers of the labels that it is found by, among ``RowLists.labels``.
        head: the beginning of its text.
        rest: what comes after that; empty for nothing.
        cut: how many characters are not shown at all.
    """

    row: ChosenRow
    labels: tuple[int, ...]
    head: str
    rest: str
    cut: int


@dataclass(frozen=True)
class RowList:
    """Rows that are shown for one reason.

    Attributes:
        why: they are: ``uncertain``, ``gold`` or ``failed``.
        model: that they are shown for; None for any.
        by_margin: whether they are ordered by the margin between scores, and not by a score.
        rows: in their order.
    """

    why: str
    model: str | None
    by_margin: bool
    rows: tuple[ShownRow, ...]


@dataclass(frozen=True)
class RowLists:
    """All of them.

    Attributes:
        lists: those that have rows.
        models, labels, statuses: what they can be filtered by.
    """

    lists: tuple[RowList, ...]
    models: tuple[str, ...]
    labels: tuple[str, ...]
    statuses: tuple[str, ...]

    @property
    def total(self) -> int:
        """Rows in all lists; one may stand in several."""
        return sum(len(its.rows) for its in self.lists)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why rows are shown."""
        return tuple(dict.fromkeys(its.why for its in self.lists))


@dataclass(frozen=True)
class Reason:
    """Rows on their way to a list."""

    why: str
    model: str | None
    by_margin: bool
    rows: tuple[ChosenRow, ...]


def row_lists(reasons: Iterable[Reason]) -> RowLists:
    """Lay out rows; a list without any is left out."""
    kept = [reason for reason in reasons if reason.rows]
    rows = [row for reason in kept for row in reason.rows]
    labels = sorted({label for row in rows for label in _labels(row)})
    numbers = {label: number for number, label in enumerate(labels)}
    return RowLists(
        tuple(
            RowList(
                reason.why,
                reason.model,
                reason.by_margin,
                tuple(_shown(row, numbers) for row in reason.rows),
            )
            for reason in kept
        ),
        tuple(dict.fromkeys(reason.model for reason in kept if reason.model is not None)),
        tuple(labels),
        tuple(sorted({row.status for row in rows if row.status})),
    )


def _labels(row: ChosenRow) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*row.labels, *(row.gold or ()))))


def _shown(row: ChosenRow, numbers: dict[str, int]) -> ShownRow:
    text = row.text or ""
    head = text
    if len(text) > _HEAD_CHARACTERS + _LEAST_REST:
        head = text[:_HEAD_CHARACTERS]
        word = max(head.rfind(" "), head.rfind("\n"))
        head = head[:word] if word > _HEAD_CHARACTERS // 2 else head
    labels = tuple(numbers[label] for label in _labels(row))
    return ShownRow(row, labels, head, text[len(head) :], row.characters - len(text))
