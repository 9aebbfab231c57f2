"""models.toml: what it may say, and what is said of one that can't be used."""

import json
import os
from pathlib import Path

import pytest
from conftest import ROOT
from pydantic import ValidationError

from labelf_cli.config import Config, LlmConfig, ModelConfig, ModelDefaults, hub_id
from labelf_cli.config_file import load_config
from labelf_cli.errors import ConfigError

ONE_MODEL = '[[models]]\nname = "product"\npath = "models/the/product"\n'

DEFAULT_KEYS = ", ".join(ModelDefaults.model_fields)
MODEL_KEYS = ", ".join(ModelConfig.model_fields)


def load(folder: Path, text: str) -> Config:
    path = folder / "models.toml"
    path.write_text(text, "utf-8")
    return load_config(path)


def refusal(folder: Path, text: str) -> list[str]:
    """The lines under the headline of the error that a bad config is refused with."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    headline, *lines = str(caught.value).splitlines()
    assert headline == f"{folder / 'models.toml'}: the config can't be used:"
    return [line.removeprefix("  ") for line in lines]


def test_a_name_and_a_path_are_enough(tmp_path: Path) -> None:
    config = load(tmp_path, ONE_MODEL)
    assert config.input.text_column == ("text",)
    said = {"name": "product", "path": tmp_path / "models/the/product"}
    silent = {
        "kind": "classifier",
        "thresholds": {},
        "calibration_temperature": 1.0,
        "hypothesis_template": "This example is {}.",
        "multi_label": False,
        "on_long": "truncate",
        "pooling": "mean",
        "only_where": {},
        "provider_options": {},
    }
    assert config.models[0].model_dump(exclude_none=True) == said | silent


def test_every_key_of_a_model_is_read(tmp_path: Path) -> None:
    said: dict[str, object] = {
        "id": 42,
        "display_name": "Product",
        "kind": "zero-shot",
        "file": "onnx/model_quantized.onnx",
        "max_predictions": 1,
        "label_filter": ["TV", "Mobile"],
        "threshold": 0.5,
        "none_label": "none",
        "activation": "sigmoid",
        "calibration_temperature": 1.5,
        "labels": ["a", "b"],
        "hypothesis_template": "It is {}.",
        "multi_label": True,
        "on_long": "window",
        "stride": 32,
        "pooling": "max",
        "max_length": 256,
        "token_budget": 512,
        "providers": ["CPUExecutionProvider"],
    }
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items())
    (model,) = load(tmp_path, f"{ONE_MODEL}{lines}thresholds.Billing = 0.4").local_models
    dumped = model.model_dump(mode="json", exclude={"name", "path"})
    tables = {"thresholds": {"Billing": 0.4}, "only_where": {}, "provider_options": {}}
    elsewhere = {"encoder": None, "encoder_revision": None, "revision": None}
    elsewhere["text_pair"] = None
    assert dumped == said | tables | elsewhere


@pytest.mark.parametrize(
    ("value", "columns"), [('"body"', ("body",)), ('["subject", "body"]', ("subject", "body"))]
)
def test_the_text_column_is_a_name_or_a_list_of_names(
    tmp_path: Path, value: str, columns: tuple[str, ...]
) -> None:
    config = load(tmp_path, f"[input]\ntext_column = {value}\n{ONE_MODEL}")
    assert config.input.text_column == columns


def test_a_path_is_relative_to_the_config_file_however_that_is_named(tmp_path: Path) -> None:
    load(tmp_path, ONE_MODEL)
    config = load_config(Path(os.path.relpath(tmp_path / "models.toml")))
    assert config.local_models[0].path == tmp_path / "models/the/product"


def test_so_is_an_encoder_wherever_it_is_named(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "encoders" / name).mkdir(parents=True)
    defaults = '[defaults]\nencoder = "encoders/a"\n'
    own = '[[models]]\nname = "own"\npath = "own"\nencoder = "encoders/b"\n'
    models = load(tmp_path, defaults + own + ONE_MODEL).local_models
    assert [m.encoder for m in models] == [tmp_path / "encoders/b", tmp_path / "encoders/a"]


def test_defaults_hold_for_the_models_that_say_nothing_else(tmp_path: Path) -> None:
    defaults = "[defaults]\nthreshold = 0.3\nmax_predictions = 2\n"
    own = '[[models]]\nname = "own"\npath = "own"\nthreshold = 0.9\n'
    models = load(tmp_path, defaults + own + ONE_MODEL).local_models
    assert [(model.threshold, model.max_predictions) for model in models] == [(0.9, 2), (0.3, 2)]


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ("[default]\n", "default", "Did you mean 'defaults'?"),
        ("[input]\ntext_colum = 1\n", "input.text_colum", "Did you mean 'text_column'?"),
        ("[defaults]\nlabel = 1\n", "defaults.label", "Did you mean 'labels'?"),
        ("[defaults]\npath = 1\n", "defaults.path", f"There are: {DEFAULT_KEYS}"),
        (f"{ONE_MODEL}treshold = 1\n", "models[0].treshold", "Did you mean 'threshold'?"),
        (f"{ONE_MODEL}zzz = 1\n", "models[0].zzz", f"There are: {MODEL_KEYS}"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_valid_ones(
    tmp_path: Path, text: str, path: str, hint: str
) -> None:
    other = '[[models]]\nname = "other"\npath = "other"\n'
    assert refusal(tmp_path, text + other) == [f"{path}: unknown key. {hint}"]


def test_all_bad_fields_are_named_at_once(tmp_path: Path) -> None:
    bad = 'max_predictions = 0\nactivation = "relu"\ntreshold = 0.5\n[[models]]\nname = "pathless"'
    assert sorted(refusal(tmp_path, f"[input]\ntext_column = []\n{ONE_MODEL}{bad}")) == [
        "input.text_column: Value should have at least 1 item after validation, not 0",
        "models[0].activation: Input should be 'softmax', 'sigmoid' or 'none'",
        "models[0].max_predictions: Input should be greater than or equal to 1",
        "models[0].treshold: unknown key. Did you mean 'threshold'?",
        "models[1].path: Field required",
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("max_length = 0", "max_length: Input should be greater than or equal to 1"),
        ('thresholds = { A = "high" }', "thresholds.A: Input should be a valid number"),
        ("label_filter = []", "label_filter: Tuple should have at least 1 item"),
        ('labels = ["a", ""]', "labels[1]: String should have at least 1 character"),
        (r'none_label = "a\nb"', "none_label: String should match pattern"),
    ],
)
def test_a_bad_value_is_explained_where_it_stands(tmp_path: Path, line: str, reason: str) -> None:
    assert refusal(tmp_path, ONE_MODEL + line)[0].startswith(f"models[0].{reason}")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('kind = "zero-shot"', 'kind = "zero-shot" needs labels'),
        ("multi_label = true", 'multi_label needs kind = "zero-shot"'),
        (
            'multi_label = false\nhypothesis_template = "It is {}."',
            'hypothesis_template needs kind = "zero-shot"; multi_label needs kind = "zero-shot"',
        ),
        (
            'kind = "zero-shot"\nlabels = ["a"]\nhypothesis_template = "It is so."',
            "hypothesis_template has no {} for the label",
        ),
        (
            'kind = "zero-shot"\nlabels = ["a"]\nhypothesis_template = "{} }"',
            (
                "hypothesis_template can't be filled in (Single '}' encountered in format string); "
                "write braces as {{ and }}"
            ),
        ),
        (
            'kind = "zero-shot"\nencoder = "e"',
            'kind = "zero-shot" needs labels; encoder is not for kind = "zero-shot"',
        ),
    ],
)
def test_keys_of_zero_shot_models_belong_together(tmp_path: Path, lines: str, reason: str) -> None:
    assert refusal(tmp_path, ONE_MODEL + lines) == [f"models[0]: {reason}"]


def test_a_zero_shot_model_takes_the_defaults(tmp_path: Path) -> None:
    defaults = '[defaults]\nkind = "zero-shot"\nlabels = ["a", "b"]\nmulti_label = true\n'
    (model,) = load(tmp_path, f"{defaults}{ONE_MODEL}labels = ['c']").local_models
    assert (model.kind, model.labels, model.multi_label) == ("zero-shot", ("c",), True)


def test_a_bad_default_is_named_once_where_it_was_written(tmp_path: Path) -> None:
    lines = refusal(tmp_path, f"[defaults]\nmax_length = 0\n{ONE_MODEL}")
    assert lines == ["defaults.max_length: Input should be greater than or equal to 1"]


def test_a_key_that_the_defaults_may_not_say_is_still_missing_in_a_model(tmp_path: Path) -> None:
    lines = refusal(tmp_path, '[defaults]\npath = "a"\n[[models]]\nname = "product"')
    assert [line.partition(":")[0] for line in lines] == ["defaults.path", "models[0].path"]


@pytest.mark.parametrize("section", ["input", "defaults"])
def test_a_section_that_is_no_table_is_named_beside_the_other_faults(
    tmp_path: Path, section: str
) -> None:
    lines = refusal(tmp_path, f'{section} = 3\n[[models]]\nname = "product"')
    assert [line.partition(":")[0] for line in lines] == [section, "models[0].path"]


@pytest.mark.parametrize("text", ["", "models = []", "models = 3", '[input]\ntext_column = "a"'])
def test_a_config_without_models_is_refused_for_that_alone(tmp_path: Path, text: str) -> None:
    (line,) = refusal(tmp_path, text)
    assert line.startswith("models: ")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (['name = "a"', 'name = "a"'], "two models have the name a"),
        (['name = "a"\nid = 0', 'name = "b"\nid = 0'], "two models have the id 0"),
        (['name = "a"\nid = 7'] * 2, "two models have the name a; two models have the id 7"),
    ],
)
def test_names_and_ids_that_stand_twice_are_all_refused(
    tmp_path: Path, keys: list[str], line: str
) -> None:
    text = "".join(f'[[models]]\npath = "a"\n{its}\n' for its in keys)
    assert refusal(tmp_path, text) == [line]


@pytest.mark.parametrize(
    ("name", "reason"), [("absent", "No such file or directory"), (".", "Is a directory")]
)
def test_a_file_that_can_t_be_read_is_named_with_what_to_do(
    tmp_path: Path, name: str, reason: str
) -> None:
    path = tmp_path / name
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{path}: can't be read ({reason}). Name a TOML file with --config"


@pytest.mark.parametrize(
    ("content", "reason"), [(b"[input]\nx\n", "(at line 2,"), (b'x = "caf\xe9"', "can't decode")]
)
def test_what_is_not_toml_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "models.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: not valid TOML: ")
    assert reason in str(caught.value)


def three_models() -> Config:
    names = ("product", "topic", "emotion")
    return Config.model_validate({"models": [{"name": name, "path": name} for name in names]})


def test_settings_are_frozen() -> None:
    config = three_models()
    for section in (config, config.input, config.defaults, *config.models):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, next(iter(type(section).model_fields)), None)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ((), ["product", "topic", "emotion"]),
        (("emotion", "product", "product"), ["product", "emotion"]),
    ],
)
def test_only_the_named_models_are_kept_in_the_config_s_order(
    asked: tuple[str, ...], kept: list[str]
) -> None:
    assert [model.name for model in three_models().only(asked).models] == kept


def test_a_model_that_does_not_exist_can_t_be_asked() -> None:
    with pytest.raises(ConfigError) as caught:
        three_models().only(("topic", "prodct"))
    assert str(caught.value) == "no model is named 'prodct'. Did you mean 'product'?"


def test_the_json_schema_refuses_unknown_keys_in_every_section() -> None:
    schema = Config.model_json_schema()
    sections = [schema, *schema["$defs"].values()]
    assert [section["additionalProperties"] for section in sections] == [False] * 6


def test_the_json_schema_lets_the_text_column_be_a_string_or_a_list() -> None:
    column = Config.model_json_schema()["$defs"]["InputConfig"]["properties"]["text_column"]
    assert sorted(kind["type"] for kind in column["anyOf"]) == ["array", "string"]


@pytest.mark.parametrize(
    "line",
    ["max_predictions = true", "max_predictions = 2.0", "threshold = '0.5'", "threshold = nan"],
)
def test_a_value_is_taken_for_no_other_type(line: str, tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(f'[[models]]\nname = "m"\npath = "m"\n{line}\n')
    with pytest.raises(ConfigError, match=r"models\[0\]\.(max_predictions|threshold): "):
        load_config(path)


def test_a_whole_number_is_a_threshold(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text('[[models]]\nname = "m"\npath = "m"\nthreshold = 1\n')
    assert load_config(path).models[0].threshold == 1.0


class TestHubIds:
    @pytest.mark.parametrize("path", ["owner/name", "a-b.c/d_e-1.5", "0/x"])
    def test_are_owner_and_name_where_there_is_no_such_folder(
        self, tmp_path: Path, path: str
    ) -> None:
        (model,) = load(tmp_path, f'[[models]]\nname = "m"\npath = "{path}"').local_models
        assert hub_id(model.path) == path

    @pytest.mark.parametrize(
        "path", ["name", "a/b/c", "../name", "/owner/name", "owner/name.onnx", "a--b/c", "é/name"]
    )
    def test_are_nothing_else(self, tmp_path: Path, path: str) -> None:
        (model,) = load(tmp_path, f'[[models]]\nname = "m"\npath = "{path}"').local_models
        assert hub_id(model.path) is None
        assert model.path == tmp_path / path

    def test_are_no_paths_that_stand_beside_the_config(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beside, elsewhere = tmp_path / "beside", tmp_path / "elsewhere"
        for folder in (beside / "here/x", elsewhere / "there/x"):
            folder.mkdir(parents=True)
        monkeypatch.chdir(elsewhere)
        entries = "".join(f'[[models]]\nname = "{n}"\npath = "{n}/x"\n' for n in ("here", "there"))
        here, there = load(beside, entries).local_models
        assert (here.path, hub_id(there.path)) == (beside / "here/x", "there/x")

    def test_are_no_slips_in_the_name_of_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "models/product").mkdir(parents=True)
        entry = '[[models]]\nname = "m"\npath = "models/prodct"\n'
        (slip,) = load(tmp_path, entry).local_models
        assert slip.path == tmp_path / "models/prodct"
        (pinned,) = load(tmp_path, f'{entry}revision = "v1"').local_models
        assert hub_id(pinned.path) == "models/prodct"

    def test_come_with_the_revision_of_the_same_section(self, tmp_path: Path) -> None:
        both = '[defaults]\nencoder = "a/b"\nencoder_revision = "1"\nrevision = "2"\n'
        own = '[[models]]\nname = "own"\npath = "own/it"\nencoder = "c/d"\n'
        models = load(tmp_path, both + own + '[[models]]\nname = "m"\npath = "m"').local_models
        assert [(m.encoder_revision, m.revision) for m in models] == [(None, "2"), ("1", "2")]

    @pytest.mark.parametrize(
        ("lines", "reason"),
        [
            ('revision = "1"', "revision: {}/here/x is no hub id, which alone has revisions"),
            ('encoder_revision = "1"', "encoder_revision: there is no encoder"),
            (
                'encoder = "enc"\nencoder_revision = "1"',
                "encoder_revision: {}/enc is no hub id, which alone has revisions",
            ),
        ],
    )
    def test_alone_have_a_revision(self, tmp_path: Path, lines: str, reason: str) -> None:
        (tmp_path / "here/x").mkdir(parents=True)
        text = f'[[models]]\nname = "m"\npath = "here/x"\n{lines}'
        assert refusal(tmp_path, text) == [f"models[0].{reason.format(tmp_path)}"]

    def test_of_the_defaults_are_refused_where_a_folder_takes_them(self, tmp_path: Path) -> None:
        defaults = '[defaults]\nencoder = "enc"\nencoder_revision = "1"\n'
        own = '[[models]]\nname = "own"\npath = "own"\nencoder = "other"\n'
        assert refusal(tmp_path, defaults + own + ONE_MODEL) == [
            f"models[1].encoder_revision: {tmp_path}/enc is no hub id, which alone has revisions"
        ]


class TestProviderOptions:
    OPTIONS = (
        "provider_options = { CUDAExecutionProvider = { device_id = 0, x = true, y = 'z' } }\n"
    )
    LISTED = 'providers = ["CUDAExecutionProvider"]\n'

    def test_keep_their_types(self, tmp_path: Path) -> None:
        (model,) = load(tmp_path, ONE_MODEL + self.LISTED + self.OPTIONS).local_models
        assert repr(model.provider_options) == (
            "{'CUDAExecutionProvider': {'device_id': 0, 'x': True, 'y': 'z'}}"
        )

    @pytest.mark.parametrize("listed", ["", 'providers = ["CPUExecutionProvider"]\n'])
    def test_of_a_provider_that_is_not_listed_are_refused(
        self, tmp_path: Path, listed: str
    ) -> None:
        assert refusal(tmp_path, ONE_MODEL + listed + self.OPTIONS) == [
            "models[0].provider_options: CUDAExecutionProvider is not among the providers"
        ]

    def test_of_the_defaults_are_of_those_that_list_the_provider(self, tmp_path: Path) -> None:
        text = f"[defaults]\n{self.OPTIONS}{ONE_MODEL}"
        assert load(tmp_path, text).local_models[0].providers is None

    def test_of_the_defaults_go_with_their_providers(self, tmp_path: Path) -> None:
        own = 'providers = ["CPUExecutionProvider"]\n'
        text = f"[defaults]\n{self.LISTED}{self.OPTIONS}{ONE_MODEL}{own}"
        assert load(tmp_path, text).local_models[0].provider_options == {}


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "configs").glob("*.toml")))
def test_the_sample_configs_can_be_loaded(name: str) -> None:
    assert load_config(ROOT / "configs" / name).models


API = '[[models]]\nname = "api"\nkind = "labelf-api"\n'
LLM = '[[models]]\nname = "llm"\nkind = "llm"\n'
OAUTH2 = 'token_url = "https://a/token"\n'
WHOLE_LLM = LLM + 'base_url = "https://a/v1"\nmodel = "l"\nlabels = ["x"]\n'


class TestServices:
    def test_keys_of_other_kinds_are_refused(self, tmp_path: Path) -> None:
        (line,) = refusal(tmp_path, WHOLE_LLM + 'path = "models/m"\n')
        assert line.startswith("models[0].path: unknown key. There are: ")

    @pytest.mark.parametrize(
        ("text", "reasons"),
        [
            (
                API,
                (
                    "base_url is missing; model_id is missing; labels, label_filter or "
                    "max_predictions is missing: they name the columns"
                ),
            ),
            (
                f'{API}base_url = "https://a/v2"\nmodel_id = 1\nmax_predictions = 1\n{OAUTH2}',
                "token_url, client_id_env, client_secret_env belong together",
            ),
            (LLM, 'base_url is missing; model is missing; kind = "llm" needs labels'),
            (WHOLE_LLM.replace('labels = ["', 'labels = ["x", "x", "'), "labels has x twice"),
            (
                (
                    f'{API}base_url = "https://a/v2"\nmodel_id = 1\nmax_predictions = 1\n'
                    'on_long = "window"\nmax_length = 9\n'
                ),
                'on_long = "window" has the service read all of a text; max_length is not for it',
            ),
            (
                f'{WHOLE_LLM}threshold = 0.5\non_long = "window"\n',
                (
                    'on_long = "window" is not for kind = "llm"; truncate or error are; a '
                    "threshold needs scores, which only log_probabilities = true gives"
                ),
            ),
        ],
    )
    def test_what_is_missing_is_named(self, tmp_path: Path, text: str, reasons: str) -> None:
        assert refusal(tmp_path, text) == [f"models[0]: {reasons}"]

    def test_an_address_begins_with_its_scheme(self, tmp_path: Path) -> None:
        (line,) = refusal(tmp_path, LLM + 'base_url = "a/v1"\nmodel = "l"\nlabels = ["x"]\n')
        assert line.startswith("models[0].base_url: ")

    def test_a_kind_is_one_of_four(self, tmp_path: Path) -> None:
        lines = refusal(tmp_path, '[[models]]\nname = "m"\npath = "m"\nkind = "labelf_api"\n')
        assert lines == ["models[0].kind: unknown kind. Did you mean 'labelf-api'?"]

    def test_a_default_holds_for_the_kinds_that_have_it(self, tmp_path: Path) -> None:
        defaults = (
            '[defaults]\nbase_url = "https://a/v1/"\nmodel = "l"\nmulti_label = true\n'
            'labels = ["x"]\nstride = 3\n'
        )
        config = load(tmp_path, defaults + ONE_MODEL + LLM)
        local, llm = config.models
        assert isinstance(local, ModelConfig)
        assert isinstance(llm, LlmConfig)
        assert (local.stride, local.labels, local.multi_label) == (3, ("x",), False)
        assert (llm.url, llm.model, llm.labels, llm.multi_label) == (
            "https://a/v1",
            "l",
            ("x",),
            True,
        )


@pytest.mark.parametrize("key", ['encoder = "e"', 'kind = "zero-shot"\nlabels = ["x"]'])
def test_only_a_model_that_reads_both_texts_is_given_a_pair(tmp_path: Path, key: str) -> None:
    (line,) = refusal(tmp_path, f'{ONE_MODEL}text_pair = "t"\n{key}\n')
    reason = "text_pair is for a model that reads both texts, as a cross-encoder does"
    assert line == f"models[0]: {reason}"


@pytest.mark.parametrize("value", ["0", "0.0", "-1.5", '"2"', "inf"])
def test_a_temperature_is_a_number_over_zero(value: str, tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, f"{ONE_MODEL}calibration_temperature = {value}")
    assert line.startswith("models[0].calibration_temperature: Input should be ")
