"""Prices from a topic of Kafka and a subject of NATS, on servers of the tests' own: read from now on, broken off, and found again."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import pytest
from confluent_kafka import Producer

from schemas.errors import WrongUsage
from tasks.monitor import stream_sources
from tasks.monitor.price_stream import PriceBoard, PriceStream
from tasks.monitor.stream_sources import StreamAddress, StreamBroken, connect_stream, need_stream
from tests.support.quote_server import quote_lines, wait_until
from tests.support.servers import free_port, unavailable, wait_for_port

SECRET = "s3cr3t"  # noqa: S105 - of servers that live for a test


@dataclass
class NatsServer:
    """Debian's server, with a user and a password."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"nats://desk:{SECRET}@127.0.0.1:{self.port}/prices.>"

    def start(self) -> None:
        program = shutil.which("nats-server") or shutil.which("/usr/sbin/nats-server")
        if program is None:
            unavailable("there is no NATS server; on Debian it is the package nats-server")
        config = self.folder / "nats.conf"
        config.write_text(f'authorization {{ user: desk, password: "{SECRET}" }}\n')
        words = [program, "--addr", "127.0.0.1", "--port", str(self.port), "--config", str(config)]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def say(self, text: str, subject: str = "prices.etf") -> None:
        client = await nats.connect(f"nats://desk:{SECRET}@127.0.0.1:{self.port}")
        await client.publish(subject, text.encode())
        await client.drain()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.stop()


def in_time(say: Any, board: PriceBoard, name: str, price: float) -> None:
    """Say it until it has arrived: what is sent before somebody listens is not read."""

    def arrived() -> bool:
        say(quote_lines({name: price}, datetime.now(UTC)))
        found = board.quotes().get(name)
        return found is not None and found.millionths == round(price * 1e6)

    wait_until(arrived, f"{name} at {price}")


@pytest.mark.system
def test_a_subject_of_nats_is_read_and_found_again_after_a_kill(nats_server: NatsServer) -> None:
    def say(text: str) -> None:
        asyncio.run(nats_server.say(text))

    board = PriceBoard()
    with PriceStream(nats_server.url, "", board, pause=lambda _: False) as stream:
        in_time(say, board, "VTI", 250.5)
        assert stream.state.is_connected
        asyncio.run(nats_server.say("no JSON", "prices.other"))
        asyncio.run(nats_server.say(quote_lines({"XXX": 1}), "elsewhere"))
        nats_server.stop()
        wait_until(lambda: not stream.state.is_connected, "the loss to be noticed")
        assert SECRET not in stream.state.trouble
        nats_server.start()
        in_time(say, board, "VTI", 251.5)
    assert (set(board.quotes()), sum(board.faults().values())) == ({"VTI"}, 1)


@pytest.mark.system
def test_a_wrong_password_is_told_without_it(nats_server: NatsServer) -> None:
    with pytest.raises(StreamBroken) as told, connect_stream(nats_server.url.replace(SECRET, "wr0ng"), ""):
        pass
    assert "wr0ng" not in str(told.value)


@pytest.fixture
def kafka() -> tuple[str, Producer]:
    """A broker within a producer, as librdkafka has one for tests; it ends with it."""
    producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "ignored:1", "log_level": 0})
    broker = next(iter(producer.list_topics(timeout=20).brokers.values()))
    return f"127.0.0.1:{broker.port}", producer


@pytest.mark.system
def test_every_partition_of_a_topic_is_read_from_now_on(kafka: tuple[str, Producer]) -> None:
    hosts, producer = kafka
    before = quote_lines({"OLD": 1.0}, datetime.now(UTC) - timedelta(seconds=1))
    producer.produce("prices", before, partition=0)
    producer.flush(10)

    def say(text: str) -> None:
        for partition in (0, 1, 2, 3):
            producer.produce("prices", text, partition=partition)
        producer.flush(10)

    board = PriceBoard()
    with PriceStream(f"kafka://{hosts}/prices", "", board, pause=lambda _: False) as stream:
        in_time(say, board, "VTI", 250.5)
        in_time(say, board, "BND", 71.25)
        assert stream.state.is_connected
    assert set(board.quotes()) == {"VTI", "BND"}
    assert not board.faults()


@pytest.mark.system
def test_a_topic_that_is_not_there_and_a_broker_that_is_away_are_told(
    kafka: tuple[str, Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StreamBroken, match="UNKNOWN_TOPIC"), connect_stream(f"kafka://{kafka[0]}/nothing", ""):
        pass
    monkeypatch.setattr(stream_sources, "PATIENCE", 1.0)
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(StreamBroken), connect_stream(f"kafka://user:{SECRET}@127.0.0.1:{port}/prices", ""):
        pass


def test_an_address_is_taken_apart() -> None:
    found = StreamAddress.of("kafkas://us%40er:p%3Aw@a:9092,b:9093/my.topic")
    assert found == StreamAddress("kafkas", "a:9092,b:9093", "us@er", "p:w", "my.topic")
    assert StreamAddress.of("wss://feed.example/prices?token=x").hosts == "feed.example"


@pytest.mark.parametrize("scheme", ["kafka", "kafkas", "nats", "tls"])
def test_what_an_address_lacks_is_said(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrongUsage, match=r"names no (topic|subject)"):
        need_stream(f"{scheme}://host:1")
    need_stream(f"{scheme}://host:1/prices")
    monkeypatch.setattr(stream_sources, "find_spec", lambda _: None)
    with pytest.raises(WrongUsage, match="is not installed"):
        need_stream(f"{scheme}://host:1/prices")
    need_stream("wss://host/prices")
