"""Write agents_labelled.csv: conversations put together from ``phrases/conversations.toml``.

The phrases are written by hand; which of them make a row is drawn with a fixed seed, so that the
file is the same every time:

    python sample_data/generate_conversations.py
"""

import csv
import json
import random
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROWS = 2000
SWEDISH, WHOLE = 0.4, 0.5
COLUMNS = ("text", "empathy", "resolution", "compliance")
NUMBERS_OF_FLAGS = [0, 0, 0, 1, 1, 2]
SLOTS: dict[str, dict[str, list[str]]] = {
    "en": {
        "date": ["Monday", "the 9th", "2 October", "Friday", "the 21st"],
        "amount": ["2,349 kr", "€145", "£132.50", "1,190 kr", "$212", "89 euros"],
    },
    "sv": {
        "date": ["den 9:e", "den 2 oktober", "den 21:a", "den 30:e", "den 14 november"],
        "amount": ["2 349 kr", "145 euro", "1 190 kr", "890 kronor", "1 290:-"],
    },
}


def row(phrases: dict[str, Any], rng: random.Random) -> dict[str, str]:
    """One labelled conversation, or two or three sentences out of one."""
    empathy, resolution = (rng.choice(list(phrases[key])) for key in ("empathy", "resolution"))
    flags = rng.sample(list(phrases["compliance"]), rng.choice(NUMBERS_OF_FLAGS))
    said = [rng.choice(phrases["empathy"][empathy])]
    said += [rng.choice(phrases["compliance"][flag]) for flag in flags]
    said += rng.sample(phrases["neutral"], rng.choice([0, 1, 1]))
    whole = rng.random() < WHOLE
    if whole:
        said += rng.sample(phrases["empathy"][empathy], 1)
        said += rng.sample(phrases["checks"], 1)
    rng.shuffle(said)
    lines = list(turns(phrases, said, rng))
    if whole:
        lines = [*opening(phrases, rng), *lines, ending(phrases, resolution, rng)]
    slots = {name: rng.choice(values) for name, values in SLOTS[phrases["code"]].items()}
    return {
        "text": "\n".join(lines).format(**slots),
        "empathy": empathy,
        "resolution": resolution if whole else "",
        "compliance": json.dumps(sorted(flags)),
    }


def opening(phrases: dict[str, Any], rng: random.Random) -> list[str]:
    """Greeting and matter."""
    greeting, matter = rng.choice(phrases["greetings"]), rng.choice(phrases["matters"])
    return [f"{phrases['agent']}: {greeting}", f"{phrases['customer']}: {matter}"]


def turns(phrases: dict[str, Any], said: list[str], rng: random.Random) -> Iterator[str]:
    """What an agent says, with answers of the customer between."""
    for sentence in said:
        yield f"{phrases['agent']}: {sentence}"
        if rng.random() < 0.5:
            yield f"{phrases['customer']}: {rng.choice(phrases['answers'])}"


def ending(phrases: dict[str, Any], resolution: str, rng: random.Random) -> str:
    """What comes of it; some endings are a sentence of each."""
    customer = phrases["customer"]
    end = rng.choice(phrases["resolution"][resolution])
    spoken = end if end.startswith(customer) else f"{phrases['agent']}: {end}"
    return spoken.replace(f" {customer}: ", f"\n{customer}: ")


def main() -> None:
    """Write the file."""
    rng = random.Random(42)
    phrases = tomllib.loads((HERE / "phrases" / "conversations.toml").read_text("utf-8"))
    rows = []
    for _ in range(ROWS):
        code = "sv" if rng.random() < SWEDISH else "en"
        rows.append(row(phrases[code] | {"code": code}, rng))
    with (HERE / "agents_labelled.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
