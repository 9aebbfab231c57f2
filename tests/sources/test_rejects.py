"""What becomes of bad rows, and when there are too many."""

import base64
import io
import json

import pytest

from labelf_cli.errors import BadRowError, TooManyRejectsError, UsageError
from labelf_cli.sources.rejects import FailOnBadRows, MaxRejects, Reject, RejectBadRows

BAD = Reject("calls.csv", 7, 99, "3 fields where there should be 2", b"1,\xff\x00,3")


def test_a_reject_is_a_json_object_with_the_raw_bytes() -> None:
    found = json.loads(BAD.as_json())
    assert base64.b64decode(found.pop("raw")) == BAD.raw
    expected = {"file": "calls.csv", "line": 7, "offset": 99, "reason": BAD.reason}
    assert found == expected


def test_the_first_bad_row_may_be_an_error() -> None:
    with pytest.raises(BadRowError) as error:
        FailOnBadRows().add(BAD)
    assert str(error.value) == (
        "calls.csv, line 7: 3 fields where there should be 2. "
        "Correct the line, or run it again with --bad-rows reject"
    )


def test_any_number_of_bad_rows_is_written_down() -> None:
    stream = io.BytesIO()
    bad_rows = RejectBadRows(stream)
    for _ in range(3000):
        bad_rows.add(BAD)
    bad_rows.finish(0)
    assert bad_rows.count == 3000
    assert stream.getvalue() == (BAD.as_json() + "\n").encode() * 3000


def added_until_too_many(limit: str, accepted: int) -> tuple[int, str]:
    """How many were added before the error, and the error, after so many good rows."""
    bad_rows = RejectBadRows(io.BytesIO(), MaxRejects.parse(limit))
    bad_rows.read(accepted)
    for added in range(2000):
        try:
            bad_rows.add(BAD)
        except TooManyRejectsError as error:
            return added, str(error)
    return 2000, ""


CHECK = "Check --delimiter, --encoding and --input-format"


@pytest.mark.parametrize("accepted", [0, 1_000_000])
def test_more_rejects_than_the_number_allowed_are_too_many(accepted: int) -> None:
    assert added_until_too_many("5", accepted) == (
        5,
        f"--max-rejects: 6 of {accepted + 6:,} rows can't be read, which is more than 5. {CHECK}",
    )


def test_none_may_be_allowed() -> None:
    assert added_until_too_many("0", 10)[0] == 0
    assert added_until_too_many("0%", 10)[0] == 0


def test_more_rejects_than_the_share_allowed_are_too_many() -> None:
    assert added_until_too_many("0.5%", 10_000) == (
        50,
        f"--max-rejects: 51 of 10,051 rows can't be read, which is more than 0.5%. {CHECK}",
    )


def test_a_share_counts_from_a_thousand_rows_on() -> None:
    assert added_until_too_many("10%", 0)[0] == 999


def test_a_share_of_fewer_rows_counts_at_their_end() -> None:
    bad_rows = RejectBadRows(io.BytesIO(), MaxRejects.parse("10%"))
    bad_rows.add(BAD)
    bad_rows.finish(9)
    with pytest.raises(TooManyRejectsError) as error:
        bad_rows.finish(8)
    expected = f"--max-rejects: 1 of 9 rows can't be read, which is more than 10%. {CHECK}"
    assert str(error.value) == expected


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "101%", "%", "1e3", "nan%"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as error:
        MaxRejects.parse(text)
    assert str(error.value) == (
        f"--max-rejects: '{text}' is neither a number of rows nor a share of them. "
        "Give one such as 100 or 0.5%"
    )
