"""Zero-shot classification: the labels are the config's own, the model was trained on none of them.

A model of natural language inference (NLI) is asked for each label whether the text entails a
hypothesis about it, by the rules of transformers' ZeroShotClassificationPipeline.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from labelf_cli.classifiers.digest import sha256
from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.interface import Batching, Because, Group, Model
from labelf_cli.classifiers.labels import labels_of
from labelf_cli.classifiers.pairs import PairTemplate
from labelf_cli.classifiers.probe import find_batching
from labelf_cli.classifiers.text_graph import TextGraph
from labelf_cli.config import ModelConfig
from labelf_cli.errors import ConfigError, ModelError
from labelf_cli.model_keys import Activation
from labelf_cli.predictions import Floats
from labelf_cli.sequences import sequences
from labelf_cli.tokens import Ints, Template, TokenIds


class ZeroShot(Group):
    """What zero-shot models have in common: the config's labels over a graph that may be shared.

    The members have the same labels and differ in what becomes of the logits.

    Attributes:
        labels: of all members.
    """

    def __init__(self, configs: Sequence[ModelConfig], graph: TextGraph) -> None:
        """Take what does not depend on how the labels are asked for.

        Args:
            configs: of the models, with the same labels, ``hypothesis_template`` and windows.
            graph: with their ``max_length``.

        Raises:
            ConfigError: a label that is not among the labels is named.
        """
        first = self._first = configs[0]
        assert first.labels is not None
        self.labels = Because(first.labels, "labels in the config")
        self._graph = graph
        self.tokenizer, self.max_length = graph.tokenizer, graph.max_length
        self.num_bytes = graph.folder.num_bytes
        self.token_budget = first.token_budget or graph.folder.tuning.token_budget
        self.models = tuple(
            Model.of(config, self.labels, self._activation(config)) for config in configs
        )

    @property
    def window_stride(self) -> int | None:
        """See ``Group.window_stride``."""
        return self._graph.stride(self._first, self.template)

    @property
    def explained(self) -> dict[str, Because[str]]:
        """See ``Group.explained``."""
        return self.asked | self._graph.providers.explained

    @property
    @abstractmethod
    def asked(self) -> dict[str, Because[str]]:
        """How the labels are asked for."""

    def _activation(self, config: ModelConfig) -> Because[Activation]:
        if config.activation is not None:
            return Because(config.activation, "activation in the config")
        if config.multi_label or len(self.labels.value) == 1:
            return Because("sigmoid", "multi_label" if config.multi_label else "one label")
        return Because("softmax", "the labels compete, unless multi_label is set")

    def fit(self, config: ModelConfig, what: str) -> None:
        """Settle windows, and refuse a maximum length that leaves a text no token.

        Args:
            config: of the first member.
            what: of what most tokens of the template are.

        Raises:
            ConfigError: it tells both numbers; or windows share too much.
        """
        limit, special = self.max_length.value, self.template.num_special
        if limit is not None and limit <= special:
            raise ConfigError(
                f"{limit} leaves no room beside the {special} tokens of {what} "
                f"({self.max_length.rule})",
                where=f"model '{config.name}', max_length",
                todo="Choose a larger one, or say it in fewer words",
            )
        self.stride = self.window_stride if config.on_long == "window" else None

    def run(self, ids: TokenIds, rows: Ints, template: Template) -> Floats:
        """What the graph makes of some texts in one call, [n × …] float32."""
        return self._graph.session.run(sequences(ids, rows, template, self.max_length.value))

    def stop(self) -> None:
        """See ``Group.stop``."""
        self._graph.stop.set()


@dataclass(frozen=True)
class _Nli:
    """What an NLI model's logits stand for.

    Attributes:
        labels: of all logits.
        entails: position of the one for entailment.
        contradicts: position of the one that it is set against where each label stands alone.
    """

    labels: Because[tuple[str, ...]]
    entails: int
    contradicts: int

    @classmethod
    def of(cls, folder: ModelFolder) -> "_Nli":
        """Look entailment up in ``label2id``, as transformers' ZeroShotClassificationPipeline does.

        Raises:
            ModelError: no label there begins with "entail", whatever its case.
        """
        places, rule = folder.config.get("label2id"), "label2id of config.json"
        if not isinstance(places, dict):
            named = labels_of(folder, None) or Because((), "no label2id in config.json")
            places, rule = {label: i for i, label in enumerate(named.value)}, named.rule
        found = next((label for label in places if label.lower().startswith("entail")), None)
        if found is None:
            raise ModelError(
                f"no label begins with 'entail': {', '.join(places) or 'there are none'} ({rule})",
                where=folder.path / "config.json",
                todo="Zero-shot needs an NLI model; if it is one, name its labels there",
            )
        if sorted(map(repr, places.values())) != sorted(map(repr, range(len(places)))):
            raise ModelError(
                "label2id does not number the labels from 0 on",
                where=folder.path / "config.json",
                todo="Correct it",
            )
        labels = Because(tuple(sorted(places, key=places.__getitem__)), rule)
        place = labels.value.index(found)
        return cls(labels, place, len(places) - 1 if place == 0 else 0)


@dataclass(frozen=True)
class _Hypotheses(Template):
    """The template of the longest of some hypotheses, with lengths that hold for all of them.

    Attributes:
        spread: how many tokens longer it is than the shortest.
    """

    spread: int = 0

    def lengths(self, ids: TokenIds, max_length: int | None) -> Ints:
        """Lengths beside the longest hypothesis, [texts] int64.

        Texts that it cuts may be of different lengths beside a shorter one, so they count as equal
        only where that one cuts them, too.
        """
        return super().lengths(ids, None if max_length is None else max_length + self.spread)


class NliClassifier(ZeroShot):
    """An NLI export: a text is a premise, and each label a hypothesis that it may entail.

    One call of ``logits`` runs the graph once a label. The hypotheses are tokenised once for all
    texts, and each text once for all hypotheses.
    """

    def __init__(self, configs: Sequence[ModelConfig], graph: TextGraph) -> None:
        """See ``ZeroShot``.

        Raises:
            ModelError: ``label2id`` names no entailment, or the tokenizer can't make pairs.
            ConfigError: a label that is not among the labels is named, or a hypothesis leaves no
                room for text.
        """
        super().__init__(configs, graph)
        self._nli = _Nli.of(graph.folder)
        self._hypothesis = _hypothesis(configs[0])
        self._alone = tuple(c.multi_label or len(self.labels.value) == 1 for c in configs)
        self._pairs = self._templates()
        self._shortest, longest = (f(self._pairs, key=_num_special) for f in (min, max))
        spread = longest.num_special - self._shortest.num_special
        self.template = _Hypotheses(**vars(longest), spread=spread)
        self.fit(configs[0], "the longest hypothesis, special ones included")

    def _templates(self) -> tuple[Template, ...]:
        """For each label the template of a text that its hypothesis follows."""
        hypotheses = [self._hypothesis.value.format(label) for label in self.labels.value]
        try:
            pair = PairTemplate.of(self.tokenizer, self._graph.template)
            ids = self.tokenizer.encode(hypotheses)
        except ValueError as error:
            raise ModelError(
                f"can't be used for zero-shot ({error})",
                where=self._graph.folder.tokenizer,
                todo="Export an NLI model with its own tokenizer",
            ) from None
        return tuple(map(pair.followed_by, np.split(ids.flat, ids.starts[1:])))

    @property
    def asked(self) -> dict[str, Because[str]]:
        """See ``ZeroShot.asked``."""
        name = self._nli.labels.value[self._nli.entails]
        return {
            "zero-shot": Because(
                "one pass for each label", "NLI, since model_type is not GLiClass"
            ),
            "hypothesis": self._hypothesis,
            "entailment": Because(f"logit {self._nli.entails}, {name}", self._nli.labels.rule),
        }

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """See ``Group.digests``."""
        asked = tuple(template.key for template in self._pairs)
        nli = (self._nli.entails, self._nli.contradicts)
        return tuple(sha256((self._graph.digest, asked, nli, alone)) for alone in self._alone)

    def load(self) -> Because[Batching]:
        """See ``Group.load``; the shortest and the longest hypothesis speak for the others."""
        return self._batching

    @cached_property
    def _batching(self) -> Because[Batching]:
        found = [_OneHypothesis(self, pair).load() for pair in (self._shortest, self.template)]
        return max(found, key=lambda its: list(Batching).index(its.value))

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        """See ``Group.logits``.

        Entailment less contradiction where each label stands alone, whose sigmoid is the softmax
        over the two; else entailment.
        """
        said = np.stack([self.run(ids, rows, pair) for pair in self._pairs], axis=1)
        entails = said[:, :, self._nli.entails]
        with np.errstate(invalid="ignore"):  # infinite ones give NaN, which fails the row
            margins = entails - said[:, :, self._nli.contradicts]
        return tuple(margins if alone else entails for alone in self._alone)

    @property
    def nli_model(self) -> Model:
        """The model behind, with the labels that it was trained on."""
        return replace(self.models[0], labels=self._nli.labels)


def _hypothesis(config: ModelConfig) -> Because[str]:
    is_given = "hypothesis_template" in config.model_fields_set
    rule = "hypothesis_template in the config" if is_given else "transformers' default"
    return Because(config.hypothesis_template, rule)


def _num_special(template: Template) -> int:
    return template.num_special


class _OneHypothesis(Group):
    """All that an NLI model says of one hypothesis: what is probed."""

    def __init__(self, asked: NliClassifier, pair: Template) -> None:
        self._asked, self.template = asked, pair
        self.models, self.tokenizer = (asked.nli_model,), asked.tokenizer
        self.max_length, self.num_bytes = asked.max_length, asked.num_bytes
        self.token_budget = asked.token_budget

    @property
    def digests(self) -> tuple[str, ...]:
        """See ``Group.digests``."""
        return self._asked.digests[:1]

    def load(self) -> Because[Batching]:
        """See ``Group.load``."""
        return find_batching(self)

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        """See ``Group.logits``."""
        return (self._asked.run(ids, rows, self.template),)

    def stop(self) -> None:
        """See ``Group.stop``."""
        self._asked.stop()
