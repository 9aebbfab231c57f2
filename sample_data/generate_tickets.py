"""Write tickets_labelled.csv: chats and tickets put together from ``phrases/tickets.toml``.

The phrases are written by hand; which of them make a row is drawn with a fixed seed, so that the
file is the same every time:

    python sample_data/generate_tickets.py
"""

import csv
import random
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROWS = 3000
SWEDISH, OTHER = 0.35, 0.1
COLUMNS = ("subject", "body", "language", "topic", "urgency")
LANGUAGES = {"en": "English", "sv": "Swedish"}
SLOTS: dict[str, dict[str, list[str]]] = {
    "en": {
        "thing": ["the kettle", "the desk lamp", "the rain jacket", "a pair of boots", "the pram"],
        "date": ["Monday", "the 9th", "2 October", "Friday", "the 21st"],
        "amount": ["349 kr", "€45", "£32.50", "1,190 kr", "$12", "89 euros"],
    },
    "sv": {
        "thing": ["vattenkokaren", "skrivbordslampan", "regnjackan", "stövlarna", "barnvagnen"],
        "date": ["den 9:e", "den 2 oktober", "den 21:a", "den 30:e", "den 14 november"],
        "amount": ["349 kr", "45 euro", "1 190 kr", "89 kronor", "129:-"],
    },
}


def row(phrases: dict[str, Any], rng: random.Random) -> dict[str, str]:
    """One labelled ticket or chat."""
    drawn = rng.random()
    if drawn < OTHER:
        body = " ".join(rng.sample(phrases["other"]["sentences"], 1))
        return dict.fromkeys(COLUMNS, "") | {"body": body, "language": "Other"}
    code = "sv" if drawn < OTHER + SWEDISH else "en"
    topic = rng.choice(list(phrases[code]["topics"]))
    urgency = rng.choice(list(phrases[code]["urgency"]))
    said = phrases[code]["topics"][topic]
    parts = rng.sample(said["sentences"], rng.choice([1, 1, 2]))
    parts += rng.sample(phrases[code]["urgency"][urgency], rng.choice([1, 1, 2]))
    rng.shuffle(parts)
    subject = rng.choice(said["subjects"]) if rng.random() < 0.6 else ""
    body = fill(" ".join(parts), code, rng)
    return {
        "subject": fill(subject, code, rng),
        "body": body.lower() if rng.random() < 0.25 else body,
        "language": LANGUAGES[code],
        "topic": topic,
        "urgency": urgency,
    }


def fill(text: str, code: str, rng: random.Random) -> str:
    """The text with its slots filled in."""
    slots = {name: rng.choice(values) for name, values in SLOTS[code].items()}
    filled = text.format(order=rng.randrange(10_000, 99_999), **slots)
    return filled[:1].upper() + filled[1:]


def main() -> None:
    """Write the file."""
    rng = random.Random(42)
    phrases = tomllib.loads((HERE / "phrases" / "tickets.toml").read_text("utf-8"))
    rows = [row(phrases, rng) for _ in range(ROWS)]
    with (HERE / "tickets_labelled.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
