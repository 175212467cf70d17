from pathlib import Path

import asyncssh
import pytest

from schemas.errors import InputRefused
from schemas.sources import Source
from tasks.sources.host_keys import sftp_host

VARIABLE = "BANK"
PUBLIC = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()


@pytest.fixture
def known(tmp_path: Path) -> str:
    (tmp_path / "known").write_text(f"bank.example,[bank.example]:2222 {PUBLIC}")
    return str(tmp_path / "known")


def test_an_address_says_host_port_folder_and_user(known: str) -> None:
    host = sftp_host(Source(url="sftp://ann%40firm@bank.example:2222/out/in%20box", known_hosts=known))
    assert (host.name, host.port, host.folder) == ("bank.example", 2222, "/out/in box")
    assert host.credentials == {"username": "ann@firm"}
    assert host.is_known


def test_the_port_is_22_and_the_folder_the_top_unless_the_address_says_so(known: str) -> None:
    host = sftp_host(Source(url="sftp://ann@other.example", known_hosts=known))
    assert (host.port, host.folder, host.is_known) == (22, "/", False)


@pytest.mark.parametrize(
    "url", ["sftp:///out", "sftp://ann@/out", "sftp://ann@bank:port/out", "sftp://ann@bank:99999/out"]
)
def test_an_address_without_a_host_or_with_an_odd_port_is_refused(known: str, url: str) -> None:
    with pytest.raises(InputRefused, match=r"needed sftp://user@host\[:port\]/folder"):
        sftp_host(Source(url=url, known_hosts=known))


@pytest.mark.parametrize("content", [b"bank.example", b"@trusted bank.example ssh-ed25519 AAAA", b"\xff"])
def test_known_hosts_that_are_no_such_file_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "known").write_bytes(content)
    with pytest.raises(InputRefused, match=r"known cannot be read \(.+\); needed the host key of bank\.example"):
        sftp_host(Source(url="sftp://ann@bank.example/out", known_hosts=str(tmp_path / "known")))


def test_a_password_is_the_only_way_in_where_there_is_one_and_is_never_shown(
    known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "hush")
    host = sftp_host(Source(url="sftp://ann@bank.example/out", known_hosts=known, password_variable=VARIABLE))
    assert host.credentials == {"username": "ann", "password": "hush", "client_keys": None, "agent_path": None}
    assert "hush" not in repr(host)


def test_a_variable_that_is_not_set_is_refused_by_name(known: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(InputRefused, match=r"the variable BANK is not set; needed the password"):
        sftp_host(Source(url="sftp://ann@bank.example/out", known_hosts=known, password_variable=VARIABLE))


@pytest.mark.parametrize("content", [None, "", "not a key", PUBLIC], ids=["absent", "empty", "words", "a public key"])
def test_a_key_that_is_none_is_refused(known: str, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    with pytest.raises(InputRefused, match=r"the key .*key of source cannot be used \(.+\); needed a private key"):
        sftp_host(Source(url="sftp://ann@bank.example/out", known_hosts=known, key_file=str(tmp_path / "key")))
