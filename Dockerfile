# labelf in a container: a wheel is built in one stage and installed in the other.
#
#   docker build -t labelf .
#   docker run --rm -v "$PWD/models:/models:ro" -v "$PWD:/data" labelf \
#     classify calls.csv --config /models/models.toml -o labelled.parquet

ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ARG EXTRAS=hub,remote,serve
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY labelf_cli labelf_cli
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[${EXTRAS}]"

FROM python:${PYTHON}-slim
ARG EXTRAS=hub,remote,serve
# The wheels are lent for this one step: no layer keeps them, nor a cache of pip.
# hadolint ignore=DL3013
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links=/wheels "labelf-cli[${EXTRAS}]" \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin labelf
ENV HF_HOME=/models/hub
VOLUME ["/models", "/data"]
WORKDIR /data
USER 10001
ENTRYPOINT ["labelf"]
CMD ["--help"]
