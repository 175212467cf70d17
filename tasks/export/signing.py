"""Detached signatures of manifests: Ed25519 (RFC 8032), 64 raw bytes beside the manifest as ``manifest.json.sig``.

Anybody with the public key can check one, with this program or another:
``openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in manifest.json -sigfile manifest.json.sig``. The same key and manifest
always give the same signature, so that a signed export is finished to the same bytes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from schemas.errors import WrongUsage

HINT: Final = "Hint: `openssl genpkey -algorithm ed25519 -out signing.pem` makes one; `chmod 600` keeps it."
OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """A private key; never shown."""

    key: Ed25519PrivateKey

    @property
    def public_hex(self) -> str:
        """The public key, 32 bytes in hexadecimal."""
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, content: bytes) -> bytes:
        """64 bytes."""
        return self.key.sign(content)


def read_signer(path: Path) -> Signer:
    """The private key of a PEM file that nobody else may read.

    Raises
    ------
    WrongUsage
        It cannot be read, is no Ed25519 key, or others may read it.
    """
    try:
        content, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        raise WrongUsage(
            f"the signing key {path} cannot be read ({error.strerror}); needed a PEM file\n\n{HINT}"
        ) from None
    if mode & OTHERS:
        raise WrongUsage(f"the signing key {path} can be read by others (mode {mode & 0o777:o}); needed 600\n\n{HINT}")
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise WrongUsage(f"the signing key {path} is no Ed25519 key without a passphrase; needed one\n\n{HINT}")
    return Signer(key)


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The public key of a PEM file.

    Raises
    ------
    WrongUsage
        It cannot be read or is no Ed25519 key.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise WrongUsage(f"the public key {path} cannot be read: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise WrongUsage(
            f"{path} is no Ed25519 public key; needed a PEM file\n\n"
            "Hint: `openssl pkey -in signing.pem -pubout -out public.pem` makes it from the private one."
        )
    return key


def is_signed(content: bytes, signature: bytes, key: Ed25519PublicKey) -> bool:
    """Whether the signature is the key's, of this content."""
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True
