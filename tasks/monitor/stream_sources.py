"""Where a stream of prices comes from: a websocket, a topic of Kafka or a subject of NATS, each as something that is connected and receives messages.

* ``ws://``, ``wss://``: what arrives on the socket; the greeting is sent once connected.
* ``kafka://user:password@host:port,host:port/topic``, ``kafkas://`` over TLS: every partition of the topic from its end on. No consumer
  group is joined: each follower reads everything, and none of them leaves a mark at the broker.
* ``nats://user:password@host:port/subject``, ``tls://`` over TLS: every message of the subject, which may have wildcards.

Known limits: partitions that a topic gets later are read after the next connection. What was sent before the connection is not read: a
security has no price until its next quote.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import unquote, urlsplit

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from schemas.errors import WrongUsage

if TYPE_CHECKING:
    from nats.aio.client import Client

PATIENCE: Final = 10.0
"""Seconds that a server has to accept a connection."""
LONGEST_MESSAGE: Final = 2**22
"""Bytes."""
CLOSED: Final = "the connection was closed"
_KAFKA_ENDS: Final = frozenset({"_ALL_BROKERS_DOWN", "_AUTHENTICATION", "_SSL"})
"""Errors after which librdkafka goes on trying by itself, and does not come back by itself in a time that anybody waits."""
Receive = Callable[[float], bytes | str]
"""Waits at most so many seconds for a message; ``TimeoutError`` where none came, ``StreamBroken`` where none will."""


class StreamBroken(Exception):
    """The connection cannot be made, or is over; says why, and nothing of the address."""


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """An address in its parts. ``hosts``: ``host:port``, several with commas. ``channel``: a topic or subject."""

    scheme: str
    hosts: str
    user: str
    password: str
    channel: str

    @classmethod
    def of(cls, url: str) -> Self:
        """From an address that the settings let through."""
        parts = urlsplit(url)
        login, _, hosts = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        return cls(parts.scheme, hosts, unquote(user), unquote(password), unquote(parts.path.strip("/")))


def need_stream(url: str) -> None:
    """Say what is missing before anything is tried.

    Raises
    ------
    WrongUsage
        The address names no topic or subject, or the package that reads it is not installed.
    """
    address = StreamAddress.of(url)
    kind = _KINDS[address.scheme]
    if kind.extra and not address.channel:
        raise WrongUsage(
            f"the address of the price stream names no {kind.channel}\n\nHint: {address.scheme}://host:port/{kind.channel.upper()}."
        )
    if kind.extra and find_spec(kind.package) is None:
        raise WrongUsage(
            f"a stream of {address.scheme}:// needs the package {kind.package}, which is not installed\n\nHint: pip install 'trimtab[{kind.extra}]'."
        )


def connect_stream(url: str, greeting: str) -> AbstractContextManager[Receive]:
    """Connect; what comes is asked for by calling what is given.

    Raises
    ------
    StreamBroken
        It cannot be connected.
    """
    return _KINDS[StreamAddress.of(url).scheme].connected(url, greeting)


@contextmanager
def _websocket(url: str, greeting: str) -> Iterator[Receive]:
    try:
        with connect(url, open_timeout=PATIENCE, close_timeout=1, max_size=LONGEST_MESSAGE) as connection:
            if greeting:
                connection.send(greeting)
            yield lambda seconds: connection.recv(timeout=seconds)
    except ConnectionClosed:
        raise StreamBroken(CLOSED) from None
    except (OSError, WebSocketException) as error:
        raise StreamBroken(type(error).__name__) from None


@contextmanager
def _kafka(url: str, _: str) -> Iterator[Receive]:
    from confluent_kafka import (  # noqa: PLC0415 - of an extra
        OFFSET_END,
        Consumer,
        KafkaError,
        KafkaException,
        TopicPartition,
    )

    address, troubles = StreamAddress.of(url), list[str]()

    def note(error: KafkaError) -> None:
        if error.fatal() or error.name() in _KAFKA_ENDS:
            troubles.append(str(error.name()))

    given = {
        "bootstrap.servers": address.hosts,
        "group.id": f"trimtab-{secrets.token_hex(8)}",
        "enable.auto.commit": False,
        "allow.auto.create.topics": False,
        "fetch.message.max.bytes": LONGEST_MESSAGE,
        "security.protocol": f"{'SASL_' if address.user else ''}{'SSL' if address.scheme == 'kafkas' else 'PLAINTEXT'}",
        "log_level": 0,  # its log names hosts, and stands in nobody's format
        "error_cb": note,
    }
    if address.user:
        given |= {"sasl.mechanism": "PLAIN", "sasl.username": address.user, "sasl.password": address.password}
    consumer = Consumer(given)
    try:
        topic = consumer.list_topics(address.channel, timeout=PATIENCE).topics[address.channel]
        if topic.error is not None:
            raise StreamBroken(str(topic.error.name()))
        consumer.assign([TopicPartition(address.channel, number, OFFSET_END) for number in topic.partitions])

        def receive(seconds: float) -> bytes:
            message = consumer.poll(seconds)
            if troubles:
                raise StreamBroken(troubles[0])
            if message is None:
                raise TimeoutError
            if (error := message.error()) is not None:
                raise StreamBroken(str(error.name()))
            return bytes(message.value() or b"")

        yield receive
    except KafkaException as error:
        raise StreamBroken(str(error.args[0].name())) from None
    finally:
        consumer.close()


async def _close_client(client: "Client") -> None:
    """Close it, and let the event loop close what it was connected by."""
    await client.close()
    await asyncio.sleep(0)


@contextmanager
def _nats(url: str, _: str) -> Iterator[Receive]:
    from nats.aio.client import Client  # noqa: PLC0415 - of an extra
    from nats.errors import Error  # noqa: PLC0415 - as above

    address = StreamAddress.of(url)

    async def quiet(_: Exception) -> None:
        """What it says of errors is told by what fails."""

    try:
        with asyncio.Runner() as runner:
            client = Client()
            try:
                runner.run(
                    client.connect(
                        [f"{address.scheme}://{host}" for host in address.hosts.split(",")],
                        allow_reconnect=False,
                        connect_timeout=int(PATIENCE),
                        ping_interval=int(PATIENCE),
                        error_cb=quiet,
                        user=address.user or None,
                        password=address.password or None,
                    )
                )
                subscription = runner.run(client.subscribe(address.channel))

                def receive(seconds: float) -> bytes:
                    if not client.is_connected:
                        raise StreamBroken(CLOSED)
                    try:
                        return runner.run(subscription.next_msg(timeout=seconds)).data
                    except TimeoutError:
                        raise TimeoutError from None

                yield receive
            finally:
                runner.run(_close_client(client))
    except (OSError, TimeoutError, Error) as error:
        raise StreamBroken(type(error).__name__) from None


@dataclass(frozen=True, slots=True)
class _StreamKind:
    """How a scheme is read; ``package`` and ``extra``: what it needs beside trimtab."""

    connected: Callable[[str, str], AbstractContextManager[Receive]]
    channel: str = ""
    package: str = ""
    extra: str = ""


_OF_KAFKA: Final = _StreamKind(_kafka, "topic", "confluent_kafka", "kafka")
_OF_NATS: Final = _StreamKind(_nats, "subject", "nats", "nats")
_KINDS: Final = {
    "ws": _StreamKind(_websocket),
    "wss": _StreamKind(_websocket),
    "kafka": _OF_KAFKA,
    "kafkas": _OF_KAFKA,
    "nats": _OF_NATS,
    "tls": _OF_NATS,
}
