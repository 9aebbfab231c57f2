"""Write labelled.csv: transcripts put together from the phrases in ``phrases/``, with their labels.

The phrases are written by hand; what a row says, in which language, mood and form, is drawn with a
fixed seed, so that the file is the same every time:

    python sample_data/generate.py
"""

import csv
import random
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROWS = 6000
SWEDISH = 0.4
SLOTS: dict[str, dict[str, list[str]]] = {
    "en": {
        "amount": ["349 kr", "$45", "£32.50", "89 euros", "1,190 kr", "59.90", "420 SEK", "$12"],
        "months": ["two months", "three months", "four months", "two billing periods"],
        "date": ["Monday", "Thursday", "3 March", "the 14th", "12 October", "last Friday"],
    },
    "sv": {
        "amount": ["349 kr", "1 190 kr", "89 kronor", "459:-", "620 kr", "129 kronor", "75 kr"],
        "months": ["två månader", "tre månader", "fyra månader", "flera månader"],
        "date": ["måndags", "torsdags", "den 3 mars", "den 14:e", "den 12 oktober"],
    },
}
NAMES: dict[str, dict[str, list[str]]] = {
    "en": {
        "Mobile Broadband": ["my mobile broadband", "the mobile broadband plan"],
        "Mobile Subscription": ["my mobile subscription", "my phone plan"],
        "Fibre Broadband": ["my fibre", "our fibre broadband plan", "the home internet"],
        "Fixed Line": ["my landline", "the fixed line", "our home phone plan"],
        "TV": ["my TV", "the TV package", "our TV plan"],
        "Device": ["the phone I bought", "my new handset", "the device on my plan"],
    },
    "sv": {
        "Mobile Broadband": ["mitt mobila bredband", "mobilt bredband"],
        "Mobile Subscription": ["mitt mobilabonnemang", "mobilabonnemanget"],
        "Fibre Broadband": ["min fiber", "fiberbredbandet", "bredbandet hemma"],
        "Fixed Line": ["min fasta telefon", "fasta telefonin", "hemtelefonen"],
        "TV": ["min tv", "tv-paketet", "tv-abonnemanget"],
        "Device": ["mobilen jag köpte", "min nya telefon", "telefonen på avbetalning"],
    },
}
OPENINGS = {
    "en": [
        "I'm calling about {product}.",
        "I am writing about {product}.",
        "It's about {product}.",
        "I have a question about {product}.",
        "this concerns {product}",
        "I am a customer of yours and I have {product}.",
    ],
    "sv": [
        "Jag ringer om {product}.",
        "Det gäller {product}.",
        "Jag skriver angående {product}.",
        "det handlar om {product}",
        "Jag är kund hos er och har {product}.",
    ],
}


def churn_risk(issue_type: str, root_cause: str, sentiment: str) -> str:
    """How likely it is that a customer leaves: a rule in the place of what one finds out later."""
    unhappy = sentiment in {"Angry", "Frustrated"}
    if issue_type == "Cancellation" or (root_cause == "Competitor offer" and unhappy):
        return "High"
    if unhappy or root_cause in {"Competitor offer", "Recurring billing error"}:
        return "Medium"
    return "Low"


class Language:
    """The phrases of one language, and how they make a transcript."""

    def __init__(self, code: str, rng: random.Random) -> None:
        self.code, self._rng = code, rng
        common = tomllib.loads((HERE / f"phrases/{code}_common.toml").read_text("utf-8"))
        self.products: dict[str, dict[str, list[str]]] = common["products"]
        self.sentiments: dict[str, list[str]] = common["sentiments"]
        self._talk: dict[str, list[str]] = common["talk"]
        scenarios = tomllib.loads((HERE / f"phrases/{code}_scenarios.toml").read_text("utf-8"))
        self.scenarios: list[dict[str, Any]] = scenarios["scenario"]

    def row(self) -> dict[str, str]:
        """One labelled transcript."""
        rng = self._rng
        product = rng.choice(list(self.products))
        scenario = rng.choice(self.scenarios)
        sentiment = rng.choice(list(self.sentiments))
        form = rng.choices([self._message, self._letter, self._call], [4, 4, 2])[0]
        return {
            "text": form(product, scenario["sentences"], self.sentiments[sentiment]),
            "product": product,
            "issue_type": scenario["issue_type"],
            "root_cause": scenario["root_cause"],
            "sentiment": sentiment,
            "churn_risk": churn_risk(scenario["issue_type"], scenario["root_cause"], sentiment),
        }

    def _message(self, product: str, scenario: list[str], moods: list[str]) -> str:
        """A chat message: a sentence or two on the matter, often without care for its form."""
        parts = [*self._matter(product, scenario, 1), self._rng.choice(moods)]
        self._rng.shuffle(parts)
        text = " ".join(parts)
        if self._rng.random() < 0.3:
            text = text.lower()
        return text.replace(".", "").replace(",", "") if self._rng.random() < 0.2 else text

    def _letter(self, product: str, scenario: list[str], moods: list[str]) -> str:
        """A ticket: greeting, matter, mood, closing."""
        rng, talk = self._rng, self._talk
        matter = self._matter(product, scenario, rng.choice([1, 2]))
        moods_ = rng.sample(moods, rng.choice([1, 1, 2]))
        body = [*matter, *moods_]
        if rng.random() < 0.4:
            rng.shuffle(body)
        parts = [rng.choice(talk["greetings"]), *body]
        if rng.random() < 0.5:
            parts.append(rng.choice(talk["closings"]))
        return " ".join(parts)

    def _call(self, product: str, scenario: list[str], moods: list[str]) -> str:
        """A call: agent and customer in turn, with small talk between."""
        rng, talk = self._rng, self._talk
        matter = self._matter(product, scenario, rng.choice([2, 3]))
        said = [*matter, *rng.sample(moods, 2), *rng.sample(talk["fillers"], rng.randint(2, 6))]
        rng.shuffle(said)
        agent, customer = ("Agent", "Customer") if self.code == "en" else ("Agent", "Kund")
        lines = [f"{agent}: {rng.choice(talk['agent'])}"]
        lines.append(f"{customer}: {rng.choice(talk['greetings'])} {matter[0]}")
        said.remove(matter[0])
        while said:
            lines.append(f"{agent}: {rng.choice(talk['agent'])}")
            turn, said = said[:2], said[2:]
            lines.append(f"{customer}: {' '.join(turn)}")
        return rng.choice(["\n", " "]).join(lines)

    def _matter(self, product: str, scenario: list[str], count: int) -> list[str]:
        """What it is about; the product is named at least once."""
        rng = self._rng
        chosen = rng.sample(scenario, count)
        names_product = any("{product}" in sentence for sentence in chosen)
        if not names_product or rng.random() < 0.3:
            chosen.insert(rng.randrange(count + 1), rng.choice(self.products[product]["sentences"]))
        if rng.random() < 0.3:
            chosen.insert(0, rng.choice(OPENINGS[self.code]))
        return [self._fill(sentence, product) for sentence in chosen]

    def _nouns(self, product: str) -> list[str]:
        """Ways to call a product: half of the time by its usual names."""
        if self._rng.random() < 0.5:
            return NAMES[self.code][product]
        return self.products[product]["nouns"]

    def _fill(self, sentence: str, product: str) -> str:
        slots = SLOTS[self.code]
        amount, amount2 = self._rng.sample(slots["amount"], 2)
        filled = sentence.format(
            product=self._rng.choice(self._nouns(product)),
            amount=amount,
            amount2=amount2,
            months=self._rng.choice(slots["months"]),
            date=self._rng.choice(slots["date"]),
        )
        return filled[0].upper() + filled[1:] if sentence[0] == "{" else filled


def main() -> None:
    """Write the file."""
    rng = random.Random(42)
    english, swedish = Language("en", rng), Language("sv", rng)
    rows = [(swedish if rng.random() < SWEDISH else english).row() for _ in range(ROWS)]
    with (HERE / "labelled.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
