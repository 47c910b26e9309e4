"""Who made a reference: Ed25519 signatures (RFC 8032) over its manifest, which lists every file by its hash.

Whoever signs keeps a private key; whoever trusts them is given the public one by another way than the reference. What
is signed are the manifest's bytes, so that not one of them, nor of any file, can change and the signature hold.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nero_core.errors import ArtefactError, InputError
from nero_core.reference.manifest import MANIFEST_NAME
from nero_core.storage.files import digest, disk_errors
from nero_core.wording import said

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# cryptography is imported where a key is used: most references bear no signature, and a page does not wait for it.

SIGNATURE_NAME = "manifest.sig"
PUBLIC_SUFFIX = ".pub"
MAX_SIGNATURE_BYTES, MAX_KEY_BYTES = 1024, 16 * 2**10
PURPOSE = b"NERO Dashboard, signature of a reference's manifest, version 1\n"
"""Signed in front of the hash: what the same key signs for another purpose is no signature of a reference."""
FORMAT = re.compile(rb"nero-signature-1\n([0-9a-f]{64})\n([0-9a-f]{128})\n")
"""The public key and the signature. One way to write it, so that no byte of it can be another."""
FINGERPRINT_DIGITS, GROUP = 32, 4
"""128 bits of the key's SHA-256, which nobody can make another key for, in groups that can be read out."""


@dataclass(frozen=True)
class TrustedKey:
    """A public key that somebody has decided to trust.

    Attributes
    ----------
    name : str
        Of its file, without the suffix.
    raw : bytes
        32 bytes.
    """

    name: str
    raw: bytes

    @property
    def fingerprint(self) -> str:
        """What tells it from any other key, for people to compare."""
        return fingerprint(self.raw)


@dataclass(frozen=True)
class Signature:
    """A signature that holds.

    Attributes
    ----------
    key : bytes
        The public key that it was made with, 32 bytes.
    signer : TrustedKey or None
        Whose key that is, among those that are trusted.
    """

    key: bytes
    signer: TrustedKey | None

    @property
    def fingerprint(self) -> str:
        """Of the key."""
        return fingerprint(self.key)


def fingerprint(raw: bytes) -> str:
    """The first 32 digits of a public key's SHA-256, in groups of four."""
    digits = digest(raw)[:FINGERPRINT_DIGITS]
    return " ".join(digits[start : start + GROUP] for start in range(0, FINGERPRINT_DIGITS, GROUP))


# Keys ------------------------------------------------------------------------------------------------------------


def make_key(path: Path) -> TrustedKey:
    """Make a pair of keys: the private one at `path`, for its owner alone to read, the public one beside it.

    Raises
    ------
    ArtefactError
        One of the files exists, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    beside = public_path(path)
    if taken := [each for each in (path, beside) if each.exists()] or [path] * (path == beside):
        raise ArtefactError(f"{taken[0]} is taken; name another file for the private key, such as unit.pem.")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for target, data, mode in ((path, private, 0o600), (beside, public, 0o644)):
        with disk_errors(f"{target} cannot be written"):
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    return TrustedKey(path.stem, key.public_key().public_bytes_raw())


def public_path(path: Path) -> Path:
    """Where the public key lies of which this is the private one."""
    return path.with_name(f"{path.stem}{PUBLIC_SUFFIX}")


def read_trusted(path: Path) -> TrustedKey:
    """A public key from its file.

    Raises
    ------
    InputError
        There is none, or it is another kind of key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    data = _key_bytes(path)
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path.name} is no public key; give the {PUBLIC_SUFFIX} file that `keygen` wrote.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path.name} is a key of another kind; wanted Ed25519, as `keygen` makes it.")
    return TrustedKey(path.stem, key.public_bytes_raw())


def trusted_in(folder: Path) -> list[TrustedKey]:
    """The public keys in a folder, by name.

    Raises
    ------
    InputError
        The folder is not there, or one of its ``.pub`` files is no public key.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; wanted the one that holds the public keys that are trusted.")
    return [read_trusted(path) for path in sorted(folder.glob(f"*{PUBLIC_SUFFIX}"))]


def _private_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    data = _key_bytes(path)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is locked by a password
        raise InputError(f"{path.name} is no private key without a password; give what `keygen` wrote.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path.name} is a key of another kind; wanted Ed25519, as `keygen` makes it.")
    return key


def _key_bytes(path: Path) -> bytes:
    with disk_errors(f"{path} cannot be read", "check the path", InputError), path.open("rb") as file:
        return file.read(MAX_KEY_BYTES)


# Signatures ------------------------------------------------------------------------------------------------------


def _message(manifest: bytes) -> bytes:
    return PURPOSE + digest(manifest).encode()


def sign(folder: Path, private_key: Path) -> bytes:
    """The signature of a reference's manifest as it lies in its folder.

    Raises
    ------
    InputError
        The file holds no private key.
    """
    key = _private_key(private_key)
    signed = key.sign(_message((folder / MANIFEST_NAME).read_bytes()))
    return f"nero-signature-1\n{key.public_key().public_bytes_raw().hex()}\n{signed.hex()}\n".encode()


def read_signature(folder: Path, trusted: Sequence[TrustedKey] = ()) -> Signature | None:
    """Whose signature a reference bears, checked against the manifest that lies beside it; None where it bears none.

    Raises
    ------
    ArtefactError
        There is a signature, and it is damaged, or not of this manifest.
    """
    try:
        with (folder / SIGNATURE_NAME).open("rb") as file:
            data = file.read(MAX_SIGNATURE_BYTES + 1)
        manifest = (folder / MANIFEST_NAME).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtefactError(f"{SIGNATURE_NAME} cannot be read: {error.strerror}.") from error
    if not (parts := FORMAT.fullmatch(data)):
        raise ArtefactError(f"{SIGNATURE_NAME} is damaged; get the reference again from whoever signed it.")
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    raw = bytes.fromhex(parts[1].decode())
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(bytes.fromhex(parts[2].decode()), _message(manifest))
    except (InvalidSignature, ValueError) as error:
        raise ArtefactError(
            f"{SIGNATURE_NAME} is of another {MANIFEST_NAME}; get the reference again from whoever signed it."
        ) from error
    return Signature(raw, next((key for key in trusted if key.raw == raw), None))


def who_made_it(signature: Signature | None) -> str:
    """What is known of the maker, in words that end a sentence."""
    if signature is None:
        return said("who made it is not checked")
    if signature.signer is None:
        return said(
            "signed with a key that is not trusted here ({fingerprint}): who made it is not checked",
            fingerprint=signature.fingerprint,
        )
    return said(
        "signed by {name} (fingerprint {fingerprint})", name=signature.signer.name, fingerprint=signature.fingerprint
    )
