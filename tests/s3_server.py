"""A real server of the S3 protocol on loopback: moto's, in a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from pyarrow import fs

_START_SECONDS = 60


class S3Server:
    """A running server.

    Attributes:
        port: on loopback.
        env: variables with which AWS clients reach it.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self._process, self.port, self._numbers = process, port, count(1)
        self.env = {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        query = f"endpoint_override=127.0.0.1:{port}&scheme=http&allow_bucket_creation=true"
        self._options = query
        self.filesystem, _ = fs.FileSystem.from_uri(f"s3://key:secret@?{query}")

    def bucket(self) -> str:
        """Make a new bucket; its name."""
        name = f"bucket-{next(self._numbers)}"
        self.filesystem.create_dir(name)
        return name

    def uri(self, path: str) -> str:
        """The URI of ``bucket/key``, with all that it takes to open it."""
        return f"s3://key:secret@{path}?{self._options}"

    def put(self, path: str, content: bytes) -> None:
        """Write an object."""
        with self.filesystem.open_output_stream(path, compression=None) as stream:
            stream.write(content)

    def get(self, path: str) -> bytes:
        """Read an object."""
        with self.filesystem.open_input_stream(path, compression=None) as stream:
            return bytes(stream.read())

    def sizes(self, bucket: str) -> dict[str, int]:
        """All objects of a bucket, by key, in order."""
        found = self.filesystem.get_file_info(fs.FileSelector(bucket, recursive=True))
        files = [info for info in found if info.type == fs.FileType.File]
        return {info.path.removeprefix(f"{bucket}/"): info.size for info in sorted(files, key=str)}

    def stop(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


@contextmanager
def s3_server(env: dict[str, str] | None = None, port: int = 0) -> Iterator[S3Server]:
    """Run a server until the block ends, on a free port if none is given."""
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(process, port)
        yield S3Server(process, port)
    finally:
        process.kill()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return
