"""Files that went wrong in known ways, in the manner of the Pollock benchmark.

Each is made of a clean file and tells which of its rows are still well.
"""

import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class PollutedFile:
    """A file and the numbers of the clean file's rows that can still be read."""

    name: str
    content: bytes
    well: frozenset[int]
    can_be_read: bool = True


def polluted_parquet(table: pa.Table, rows_of_group: int) -> Iterator[PollutedFile]:
    """Files of a clean one with that many rows a row group, and one column a page.

    A damaged page costs the rows of its row group, damage to the footer the file.
    """
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=rows_of_group, write_page_checksum=True)
    whole, every = stream.getvalue(), frozenset(range(table.num_rows))
    metadata = pq.read_metadata(pa.BufferReader(whole))
    dice = random.Random(0)
    begins = []
    for group in range(metadata.num_row_groups):
        hit = frozenset(range(group * rows_of_group, (group + 1) * rows_of_group))
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            begin = column.dictionary_page_offset or column.data_page_offset
            begins.append(begin)
            end = begin + column.total_compressed_size
            for length in (1, 8, end - begin):
                at = dice.randrange(begin, end - length + 1)
                damaged = bytes(byte ^ dice.randrange(1, 256) for byte in whole[at : at + length])
                content = whole[:at] + damaged + whole[at + length :]
                name = f"{length} bytes of column {number} of row group {group}"
                yield PollutedFile(name, content, every - hit)
    for size in (0, 4, 11, *begins, len(whole) // 2, len(whole) - 1):
        yield PollutedFile(f"cut to {size} bytes", whole[:size], frozenset(), can_be_read=False)
    for what, content in {
        "no magic at the end": whole[:-4] + b"PAR2",
        "more behind the end": whole + b"\n",
        "a footer longer than the file": whole[:-8] + b"\xff\xff\xff\x7fPAR1",
        "a footer without content": whole[:-8] + bytes(4) + b"PAR1",
        "a footer of zeros": whole[:-100] + bytes(92) + whole[-8:],
        "lines of text": b"id,text\n" * 100,
    }.items():
        yield PollutedFile(what, content, frozenset(), can_be_read=False)


_Damage = Callable[[str], str]

_LINES: dict[str, _Damage] = {
    "a separator more at the end": lambda line: line + ",",
    "a separator more at the beginning": lambda line: "," + line,
    "a separator less": lambda line: line.replace(",", "", 1),
    "a quote more at the beginning": lambda line: '"' + line,
    "a quote more in a field": lambda line: line.replace(",", ',"x" y', 1),
    "semicolons": lambda line: line.replace(",", ";"),
    "tabs": lambda line: line.replace(",", "\t"),
    "all in one field": lambda line: '"' + line.replace('"', '""') + '"',
    "a field more": lambda line: line + ",more",
    "an invalid byte": lambda line: line + "\udcff",
    "half a line": lambda line: line.split(",")[0],
}


def polluted_csv(header: str, lines: list[str]) -> Iterator[PollutedFile]:
    """Files of the lines of a clean one; no field has a line end or is quoted."""
    numbers = range(len(lines))
    for what, damage in _LINES.items():
        for chosen in (*[{i} for i in numbers], {0, 1}, set(numbers[::2]), {len(lines) - 1}):
            damaged = [damage(line) if i in chosen else line for i, line in enumerate(lines)]
            text = "\n".join([header, *damaged]) + "\n"
            content = text.encode("utf-8", "surrogateescape")
            yield PollutedFile(f"{what} {chosen}", content, frozenset(set(numbers) - chosen))
    whole = "\n".join([header, *lines]) + "\n"
    every = frozenset(numbers)
    yield PollutedFile("no final line end", whole.removesuffix("\n").encode(), every)
    for end in ("\r\n", "\r"):
        yield PollutedFile(f"lines end in {end!r}", whole.replace("\n", end).encode(), every)
    mixed = "".join(line + ("\n", "\r\n")[i % 2] for i, line in enumerate([header, *lines]))
    yield PollutedFile("mixed line ends", mixed.encode(), every)
    yield PollutedFile("empty lines", whole.replace("\n", "\n\n").encode(), every)
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        yield PollutedFile(encoding, whole.encode(encoding), every)
    yield PollutedFile("header only", f"{header}\n".encode(), frozenset())
    yield PollutedFile("empty", b"", frozenset(), can_be_read=False)
    yield PollutedFile("no header", whole.removeprefix(header + "\n").encode(), every, False)
    for delimiter in ";\t|":
        content = whole.replace(",", delimiter).encode()
        yield PollutedFile(f"separated by {delimiter!r}", content, every, can_be_read=False)
    cut = whole.encode()[: -len(lines[-1].encode()) // 2]
    cut = cut[: cut.rfind(b",")]  # so that a field is missing
    yield PollutedFile("cut short", cut, frozenset(numbers[: cut.count(b"\n") - 1]))


_OBJECTS: dict[str, Callable[[str], str]] = {
    "cut": lambda line: line[: len(line) // 2],
    "twice": lambda line: line + line,
    "a comma at the end": lambda line: line + ",",
    "an array": lambda line: f"[{line}]",
    "a text": json.dumps,
    "single quotes": lambda line: line.replace('"', "'"),
    "an invalid byte": lambda line: line[:-2] + "\udcff" + line[-2:],
    "a control character": lambda line: line[:-2] + "\x01" + line[-2:],
    "text as an array": lambda line: line.replace('"text":', '"text": [1], "was":'),
}


def polluted_jsonl(lines: list[str]) -> Iterator[PollutedFile]:
    """Files of the lines of a clean one."""
    numbers = range(len(lines))
    for what, damage in _OBJECTS.items():
        for chosen in (*[{i} for i in numbers], {0, 1}, set(numbers[::2])):
            damaged = [damage(line) if i in chosen else line for i, line in enumerate(lines)]
            content = ("\n".join(damaged) + "\n").encode("utf-8", "surrogateescape")
            yield PollutedFile(f"{what} {chosen}", content, frozenset(set(numbers) - chosen))
    whole, every = "\n".join(lines) + "\n", frozenset(numbers)
    yield PollutedFile("no final line end", whole.removesuffix("\n").encode(), every)
    yield PollutedFile("blank lines", whole.replace("\n", "\r\n \n").encode(), every)
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        yield PollutedFile(encoding, whole.encode(encoding), every)
    yield PollutedFile("empty", b"", frozenset(), can_be_read=False)
    yield PollutedFile("one array", f"[{','.join(lines)}]".encode(), every, can_be_read=False)
    yield PollutedFile("cut short", whole.encode()[:-20], frozenset(numbers[:-1]))
