"""Places of every kind on this machine, looked at from behind; and lines to them that break."""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from schemas.exports import Delivery
from tasks.core.export.files import sha256
from tasks.deliveries.place import open_place
from tests.support.servers import ObjectStore, Sshd

RUN = "2026-03-02/run-1.2"
METHODS = (b"PUT ", b"POST ", b"HEAD ", b"GET ")


@dataclass
class Scene(ABC):
    """A place, and what really stands there."""

    delivery: Delivery

    def put(self, *files: tuple[str, bytes], **changes: Any) -> None:
        with open_place(self.delivery.model_copy(update=changes)) as place:
            place.put(RUN, files)

    def hashes(self, *paths: str) -> dict[str, str]:
        with open_place(self.delivery) as place:
            return place.hashes(RUN, paths)

    @abstractmethod
    def contents(self) -> dict[str, bytes]:
        """Everything in the folder of the export, temporary names too."""

    @abstractmethod
    def plant(self, path: str, content: bytes) -> None:
        """A file of somebody else's in the folder of the export."""


@dataclass
class FolderScene(Scene):
    root: Path

    def contents(self) -> dict[str, bytes]:
        run = self.root / RUN
        return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}

    def plant(self, path: str, content: bytes) -> None:
        file = self.root / RUN / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@dataclass
class BucketScene(Scene):
    store: ObjectStore
    prefix: str

    def contents(self) -> dict[str, bytes]:
        below = fs.FileSelector(f"{self.prefix}/{RUN}", recursive=True, allow_not_found=True)
        keys = [entry.path for entry in self.store.files.get_file_info(below) if entry.is_file]
        return {key.removeprefix(f"{self.prefix}/{RUN}/"): self._read(key) for key in keys}

    def _read(self, key: str) -> bytes:
        with self.store.files.open_input_stream(key, compression=None) as stream:
            return bytes(stream.read())

    def plant(self, path: str, content: bytes) -> None:
        self.store.put(f"{self.prefix}/{RUN}/{path}", content)


def folder_scene(root: Path) -> FolderScene:
    return FolderScene(Delivery(name="bank", url=str(root)), root)


def sftp_scene(sshd: Sshd, root: Path) -> FolderScene:
    known = {"known_hosts": str(sshd.known_hosts), "key_file": str(sshd.key_file)}
    return FolderScene(Delivery(name="bank", url=sshd.url(root), **known), root)


def bucket_scene(store: ObjectStore) -> BucketScene:
    prefix = f"{store.new_bucket()}/in/ours"
    return BucketScene(Delivery(name="bank", url=f"s3://{prefix}", endpoint=store.endpoint), store, prefix)


@pytest.fixture(params=["folder", "s3", "sftp"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    root = tmp_path / "in"
    match request.param:
        case "s3":
            return bucket_scene(request.getfixturevalue("s3"))
        case "sftp":
            return sftp_scene(request.getfixturevalue("sshd"), root)
        case _:
            return folder_scene(root)


def hashes(files: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    return {path: sha256(content) for path, content in files}


class Line:
    """A line to a port of this machine that goes dead for good when so many bytes have been sent over it."""

    def __init__(self, target: int, bytes_left: int) -> None:
        self._target = target
        self._bytes_left = bytes_left
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._start(self._accept)

    def _start(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._target))
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._ends += [near, far]
                self._start(self._send, near, far)
                self._start(self._receive, far, near)

    def _send(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while block := near.recv(1 << 16):
                self.pass_on(block, far)
            far.shutdown(socket.SHUT_WR)
        except OSError:
            _end(near, far)

    def pass_on(self, block: bytes, far: socket.socket) -> None:
        """Send on what may still be sent."""
        with self._lock:
            allowed = block[: self._bytes_left]
            self._bytes_left -= len(allowed)
        far.sendall(allowed)
        if not self._bytes_left:
            self.cut()

    def _receive(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while block := far.recv(1 << 16):
                near.sendall(block)
            near.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """End what is under way and take no more."""
        _end(self._listener, *self._ends)

    def close(self) -> None:
        self.cut()
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()


def _end(*ends: socket.socket) -> None:
    """Wake whoever waits for them: there is nothing more."""
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class HttpLine(Line):
    """One that breaks before the head of a request or after it: Python's own server takes half a head for a whole one."""

    def pass_on(self, block: bytes, far: socket.socket) -> None:
        with self._lock:
            is_half_head = block.startswith(METHODS) and len(block) > self._bytes_left
        if is_half_head:
            self.cut()
        else:
            super().pass_on(block, far)


@contextmanager
def line_to(port: int, bytes_left: int, kind: type[Line] = Line) -> Iterator[int]:
    """Port of the line."""
    with closing(kind(port, bytes_left)) as line:
        yield line.port
