"""Objects of a prefix in an object store, copied to the staging folder.

Credentials come from the environment as for any program of Amazon's (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``,
``AWS_SESSION_TOKEN``, ``AWS_PROFILE``, or the machine's role). The version of an object is its ETag: one that is replaced
while it is copied is refused, to be tried again.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pyarrow import fs

from schemas.addresses import Address
from schemas.errors import SourceUnreachable, Terminal
from schemas.sources import Source
from tasks.sources.fetched_file import FetchedFile
from tasks.sources.names import names_to_take
from tasks.sources.remote import FETCHING, RemoteUse
from tasks.sources.staging import Staging, open_staging

CONNECT_SECONDS: Final = 5
SILENCE_SECONDS: Final = 8
"""A server that says nothing for so long is asked again, three times in all."""
_BLOCK: Final = 8 << 20
_CODE: Final = re.compile(r"AWS Error (\w+)")
_NO_ACCESS: Final = (
    "ACCESS_DENIED",
    "ACCOUNT_PROBLEM",
    "EXPIRED_TOKEN",
    "INVALID_ACCESS_KEY_ID",
    "INVALID_CLIENT_TOKEN_ID",
    "MISSING_AUTHENTICATION_TOKEN",
    "OPT_IN_REQUIRED",
    "SIGNATURE_DOES_NOT_MATCH",
    "UNRECOGNIZED_CLIENT",
)
_NO_ACCESS_WORDS: Final = ("ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "HTTP status 401", "HTTP status 403")


def fetch(source: Source, *, is_wanted: Callable[[str], bool], staging: Path) -> tuple[FetchedFile, ...]:
    """The wanted objects of the source's prefix, not deeper, copied to ``staging``; sorted by name.

    Raises
    ------
    SourceUnreachable
        The store does not answer, or an object was replaced while it was copied.
    InputRefused
        There is no such bucket, or no access to it.
    """
    with store_errors(source, FETCHING):
        store = _store(source)
        listed = _objects_under(store, prefix_of(source))
        found = {entry.base_name: entry.path for entry in listed if entry.type == fs.FileType.File}
    with open_staging(staging, source) as stage:
        names = names_to_take(found, is_wanted, source.marker)
        return tuple(_fetch_object(source, store, found[name], name, stage) for name in names)


def prefix_of(remote: Address) -> str:
    """The bucket and the prefix of an address, without a slash at the end."""
    parts = urlsplit(remote.url)
    return "/".join(part for part in (parts.netloc, unquote(parts.path).strip("/")) if part)


def open_store(remote: Address, use: RemoteUse, **options: Any) -> Any:
    """The object store as a file system of pyarrow's; ``options`` are of ``S3FileSystem``. Nothing is asked yet."""
    parts = urlsplit(remote.endpoint)
    if remote.endpoint and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise use.refused(
            f"the endpoint of {remote.name} is {remote.endpoint}; needed http:// or https://, a host and perhaps a port\n\n"
            "Hint: leave it out for Amazon's own."
        )
    return fs.S3FileSystem(
        region=remote.region,
        endpoint_override=parts.netloc or None,
        scheme=parts.scheme or "https",
        connect_timeout=CONNECT_SECONDS,
        request_timeout=SILENCE_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=3),
        **options,
    )


def _store(source: Source) -> Any:
    return open_store(source, FETCHING)


def _objects_under(store: Any, place: str) -> list[Any]:
    """What is under the prefix; nothing where there is no such prefix in the bucket."""
    try:
        return list(store.get_file_info(fs.FileSelector(place)))
    except FileNotFoundError:
        return []


def _fetch_object(source: Source, store: Any, path: str, name: str, stage: Staging) -> FetchedFile:
    """The object's copy: the one there is, where its version is the same, else a new one."""
    with store_errors(source, FETCHING), store.open_input_stream(path) as stream:
        described = _text(stream.metadata())
        version = f"{described['Content-Length']} {described['ETag']}"
        known = stage.earlier_copy(name, version)
        if known:
            return known
        with stage.incoming() as incoming:
            while block := stream.read(_BLOCK):
                incoming.write(block)
            with store.open_input_stream(path) as again:
                is_same = _text(again.metadata())["ETag"] == described["ETag"]
            if not is_same or incoming.size_bytes != int(described["Content-Length"]):
                raise SourceUnreachable(
                    f"{name} of {source.name} was replaced while it was copied; needed one version of it\n\n"
                    "Hint: it is fetched again at the next try."
                )
            return stage.place(incoming, name, version, datetime.fromisoformat(described["Last-Modified"]))


def _text(metadata: dict[str, bytes]) -> dict[str, str]:
    return {name: value.decode() for name, value in metadata.items()}


@contextmanager
def store_errors(remote: Address, use: RemoteUse) -> Iterator[None]:
    """Sentences for what the store refuses. Of its own words only the code is shown."""
    try:
        yield
    except OSError as error:
        text = str(error)
        found = _CODE.search(text)
        code = found[1] if found else type(error).__name__
        raise _error_for(remote, use, code, text) from error


def no_bucket(remote: Address, use: RemoteUse) -> Terminal:
    """What is said where the store knows no bucket of that name."""
    return use.refused(
        f"{remote.name} has no bucket {urlsplit(remote.url).netloc}; needed one that exists\n\n"
        "Hint: compare its url, endpoint and region with the store's."
    )


def _error_for(remote: Address, use: RemoteUse, code: str, text: str) -> Exception:
    if code == "NO_SUCH_BUCKET":
        return no_bucket(remote, use)
    if code in _NO_ACCESS or any(word in text for word in _NO_ACCESS_WORDS):
        return use.refused(
            f"{remote.name} gives no access to {remote.url} ({code}); needed leave to {use.leave} it\n\n"
            "Hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN, AWS_PROFILE) for the night's user."
        )
    if "HTTP status 301" in text or code in {"PERMANENT_REDIRECT", "AUTHORIZATION_HEADER_MALFORMED"}:
        bucket = urlsplit(remote.url).netloc
        return use.refused(
            f"the bucket {bucket} of {remote.name} is not in the region {remote.region}; needed its own\n\n"
            "Hint: set its region in the settings."
        )
    return use.unreachable(
        f"{remote.name} could not be {use.done} at {remote.endpoint or 'Amazon S3'} ({code}); needed {remote.url}\n\n"
        "Hint: look at the network and the store; the next try goes on where this one stopped."
    )
