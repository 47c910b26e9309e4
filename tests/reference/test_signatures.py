"""Who made a reference: keys, signatures over every byte, and what is said of them."""

from __future__ import annotations

import json
import random
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from nero_core.cli.main import main
from nero_core.errors import ArtefactError, InputError, NeroError
from nero_core.reference.export import export_reference, import_reference
from nero_core.reference.manifest import MANIFEST_NAME, read_manifest
from nero_core.reference.model_card import model_card
from nero_core.reference.signatures import (
    FORMAT,
    PURPOSE,
    SIGNATURE_NAME,
    make_key,
    public_path,
    read_signature,
    read_trusted,
    sign,
    trusted_in,
    who_made_it,
)
from nero_core.storage.files import digest
from tests.reference.forging import files_of, seal, with_manifest, write_folder, zipped


@pytest.fixture(autouse=True)
def untried(monkeypatch):
    """Whether a reference works is tried elsewhere."""
    monkeypatch.setattr("nero_core.reference.export.try_reference", lambda folder, what: None)


@pytest.fixture
def key(tmp_path):
    """A private key's file."""
    make_key(tmp_path / "unit.pem")
    return tmp_path / "unit.pem"


@pytest.fixture
def trusted(key):
    return [read_trusted(public_path(key))]


@pytest.fixture
def signed(key, tiny_reference, tmp_path):
    """{name: bytes} of the tiny reference, signed."""
    folder = write_folder(files_of(tiny_reference), tmp_path / "signed")
    (folder / SIGNATURE_NAME).write_bytes(sign(folder, key))
    return files_of(folder)


# Keys --------------------------------------------------------------------------------------------------------------


def test_a_key_is_its_owners_alone(key):
    public = public_path(key)
    assert public.name == "unit.pub"
    if sys.platform != "win32":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    assert serialization.load_pem_public_key(public.read_bytes()) == private.public_key()
    assert b"PRIVATE" not in public.read_bytes()


def test_a_fingerprint_tells_keys_apart(key, tmp_path):
    other = make_key(tmp_path / "other")
    own = read_trusted(public_path(key))
    assert own.name == "unit"
    assert own.fingerprint.replace(" ", "") == digest(own.raw)[:32]
    assert own.fingerprint != other.fingerprint


@pytest.mark.parametrize("there", ["unit.pem", "unit.pub"])
def test_no_key_is_written_over(tmp_path, there):
    (tmp_path / there).write_bytes(b"mine")
    with pytest.raises(ArtefactError, match=f"{there} is taken"):
        make_key(tmp_path / "unit.pem")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(there, b"mine")]


def test_a_private_key_is_not_named_like_a_public_one(tmp_path):
    with pytest.raises(ArtefactError, match="taken"):
        make_key(tmp_path / "unit.pub")
    with pytest.raises(ArtefactError, match="cannot be written"):
        make_key(tmp_path / "nowhere" / "unit")


def other_kind(public):
    made = generate_private_key(SECP256R1())
    if public:
        return made.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("content", [b"", b"no key", b"\x80\x04.", other_kind(True), other_kind(False)])
def test_what_is_no_public_key_is_refused(tmp_path, content):
    (tmp_path / "x.pub").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.pub"):
        read_trusted(tmp_path / "x.pub")
    with pytest.raises(InputError, match=r"x\.pub"):
        trusted_in(tmp_path)


def test_a_private_key_is_no_public_one_and_the_reverse(key, tiny_reference):
    with pytest.raises(InputError, match="no public key"):
        read_trusted(key)
    with pytest.raises(InputError, match="no private key"):
        sign(tiny_reference, public_path(key))


def test_other_private_keys_are_refused(tmp_path, tiny_reference):
    (tmp_path / "ec").write_bytes(other_kind(False))
    locked = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    (tmp_path / "locked").write_bytes(locked)
    for name, why in (("ec", "another kind"), ("locked", "without a password"), ("missing", "cannot be read")):
        with pytest.raises(InputError, match=why):
            sign(tiny_reference, tmp_path / name)


def test_the_keys_of_a_folder(key, tmp_path):
    make_key(tmp_path / "another")
    assert [each.name for each in trusted_in(tmp_path)] == ["another", "unit"]
    with pytest.raises(InputError, match="no folder"):
        trusted_in(tmp_path / "missing")


# Signatures --------------------------------------------------------------------------------------------------------


def test_what_is_signed_by_hand(signed, trusted):
    """The literal twin: Ed25519 over the purpose and the SHA-256 of the manifest's bytes, in hexadecimal."""
    _, raw, signature, end = signed[SIGNATURE_NAME].split(b"\n")
    assert end == b""
    assert bytes.fromhex(raw.decode()) == trusted[0].raw
    message = PURPOSE + digest(signed[MANIFEST_NAME]).encode()
    Ed25519PublicKey.from_public_bytes(trusted[0].raw).verify(bytes.fromhex(signature.decode()), message)
    assert b"\n" in PURPOSE, "no message for another purpose begins so"


def test_the_manifest_lists_every_file_by_its_hash(tiny_reference):
    """So that a signature of the manifest is one of everything."""
    listed = {entry["name"]: entry["sha256"] for entry in read_manifest(tiny_reference)["files"].values()}
    assert {name: digest(data) for name, data in files_of(tiny_reference).items() if name != MANIFEST_NAME} == listed


def test_no_byte_of_manifest_or_signature_can_change(signed, trusted, tmp_path):
    """Also one that changes nothing for whoever reads the manifest: a blank, or how a letter is spelt."""
    folder = write_folder(signed, tmp_path / "x")
    assert read_signature(folder, trusted).signer == trusted[0]
    chance = random.Random(0)
    for name in (MANIFEST_NAME, SIGNATURE_NAME):
        data = signed[name]
        places = range(len(data)) if name == SIGNATURE_NAME else chance.sample(range(len(data)), 300)
        for place in places:
            for other in {data[place] ^ 1, data[place] ^ 32, ord("\n"), ord(" "), ord("0")} - {data[place]}:
                (folder / name).write_bytes(data[:place] + bytes([other]) + data[place + 1 :])
                try:
                    found = read_signature(folder, trusted)
                except ArtefactError:
                    continue
                pytest.fail(f"{name}, byte {place}: {data[place]} → {other} passes as {found}")
        for harmed in (data + b"\n", data + b" ", data[:-1], b"", data * 2):
            (folder / name).write_bytes(harmed)
            with pytest.raises(ArtefactError):
                read_signature(folder, trusted)
        (folder / name).write_bytes(data)


def test_no_byte_of_any_file_can_change(signed, trusted, tmp_path):
    chance = random.Random(1)
    names = [name for name in signed if name not in (MANIFEST_NAME, SIGNATURE_NAME)]
    for name in chance.sample(names, 12):
        place = chance.randrange(len(signed[name]))
        harmed = signed[name][:place] + bytes([signed[name][place] ^ 1]) + signed[name][place + 1 :]
        with pytest.raises(NeroError):
            import_reference(zipped({**signed, name: harmed}.items()), tmp_path / "in" / "new", trusted, True)
    assert import_reference(zipped(signed.items()), tmp_path / "in" / "new", trusted, True).signature.signer


def test_a_manifest_that_is_sealed_again_is_no_longer_signed(signed, trusted, tmp_path):
    forged = with_manifest(signed, lambda content: content.update(title="Another"))
    with pytest.raises(ArtefactError, match="is of another"):
        import_reference(zipped(forged.items()), tmp_path / "in" / "new", trusted, True)
    with pytest.raises(ArtefactError, match="is of another"):
        import_reference(zipped(forged.items()), tmp_path / "in" / "new")


def test_a_signature_for_another_purpose_is_none(signed, key, tmp_path):
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    raw = private.public_key().public_bytes_raw().hex()
    for message in (digest(signed[MANIFEST_NAME]).encode(), signed[MANIFEST_NAME], b"x" + PURPOSE):
        other = f"nero-signature-1\n{raw}\n{private.sign(message).hex()}\n".encode()
        assert FORMAT.fullmatch(other)
        with pytest.raises(ArtefactError, match="is of another"):
            read_signature(write_folder({**signed, SIGNATURE_NAME: other}, tmp_path / "x"))


def test_a_signature_survives_being_carried_on(signed, trusted, tmp_path):
    first = import_reference(zipped(signed.items()), tmp_path / "in" / "first", trusted)
    export_reference(first.path, tmp_path / "again.zip")
    again = import_reference(tmp_path / "again.zip", tmp_path / "in" / "again", trusted, must_be_trusted=True)
    assert again.signature.signer == trusted[0]
    with zipfile.ZipFile(tmp_path / "again.zip") as opened:
        assert "origin.json" not in opened.namelist(), "what this machine notes stays here"


def test_a_signature_that_does_not_hold_is_not_passed_on(signed, tmp_path):
    folder = write_folder({**signed, MANIFEST_NAME: seal(json.loads(signed[MANIFEST_NAME]))}, tmp_path / "x")
    with pytest.raises(ArtefactError, match="is of another"):
        export_reference(folder, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_signing_takes_the_place_of_another_signature(signed, trusted, tmp_path):
    other = make_key(tmp_path / "other")
    folder = write_folder(signed, tmp_path / "x")
    export_reference(folder, tmp_path / "x.zip", tmp_path / "other")
    taken = import_reference(tmp_path / "x.zip", tmp_path / "in" / "new", [other, *trusted])
    assert taken.signature.signer == other
    assert read_signature(folder, trusted).signer == trusted[0], "what lies here is left as it is"


# What is trusted ---------------------------------------------------------------------------------------------------


def test_without_trust_nothing_is_wanted_and_nothing_claimed(tiny_reference, signed, tmp_path):
    plain = import_reference(zipped(files_of(tiny_reference).items()), tmp_path / "in" / "plain")
    assert plain.signature is None
    assert who_made_it(plain.signature) == "who made it is not checked"
    unknown = import_reference(zipped(signed.items()), tmp_path / "in" / "unknown").signature
    assert unknown.signer is None
    assert "is not trusted here" in who_made_it(unknown)
    assert who_made_it(unknown).endswith("who made it is not checked")


def test_with_trust_another_signature_or_none_is_refused(tiny_reference, signed, trusted, tmp_path):
    other = make_key(tmp_path / "other")
    for files, why in ((files_of(tiny_reference), "is not signed"), (signed, "signed with another key")):
        with pytest.raises(ArtefactError, match=why) as told:
            import_reference(zipped(files.items()), tmp_path / "in" / "new", [other], must_be_trusted=True)
        assert other.fingerprint in str(told.value)
        assert not list((tmp_path / "in").iterdir())
    taken = import_reference(zipped(signed.items()), tmp_path / "in" / "new", [other, *trusted], must_be_trusted=True)
    assert who_made_it(taken.signature) == f"signed by unit (fingerprint {trusted[0].fingerprint})"


def test_the_model_card_says_who(signed, trusted, tmp_path):
    folder = write_folder(signed, tmp_path / "x")

    def said(keys):
        return dict(model_card(folder, keys).sections[0].lines)["Signature"]

    assert said(trusted) == f"signed by unit (fingerprint {trusted[0].fingerprint})"
    assert said([]).endswith("who made it is not checked")
    (folder / SIGNATURE_NAME).unlink()
    assert said(trusted) == "who made it is not checked"
    (folder / SIGNATURE_NAME).write_bytes(b"x")
    with pytest.raises(ArtefactError, match="damaged"):
        model_card(folder)


# Zips --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", b"y" * 1025, b"nero-signature-1\n", b"0" * 2**20])
def test_a_damaged_signature_is_refused(tiny_reference, tmp_path, data):
    with pytest.raises(NeroError, match=SIGNATURE_NAME):
        import_reference(zipped({**files_of(tiny_reference), SIGNATURE_NAME: data}.items()), tmp_path / "in" / "new")


@pytest.mark.parametrize("name", ["origin.json", "concepts/manifest.sig", "manifest.sig2", "MANIFEST.sig"])
def test_nothing_else_comes_in_beside_it(signed, tmp_path, name):
    with pytest.raises(NeroError, match=r"not listed|twice"):
        import_reference(zipped({**signed, name: b'{"imported": false}'}.items()), tmp_path / "in" / "new")


# The command line --------------------------------------------------------------------------------------------------


def test_the_command_line_signs_and_trusts(tiny_reference, tmp_path, capsys):
    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    code, said, _ = run("keygen", "--out", tmp_path / "unit.pem")
    fingerprint = read_trusted(tmp_path / "unit.pub").fingerprint
    assert code == 0
    assert fingerprint in said
    assert run("keygen", "--out", tmp_path / "unit.pem")[0] == 2
    assert run("export", tiny_reference, "--out", tmp_path / "s.zip", "--sign", tmp_path / "unit.pem")[0] == 0
    assert run("export", tiny_reference, "--out", tmp_path / "p.zip")[0] == 0
    code, _, said = run("export", tiny_reference, "--out", tmp_path / "n.zip", "--sign", tmp_path / "none")
    assert (code, said.count("\n")) == (2, 1)
    assert not (tmp_path / "n.zip").exists()

    code, said, _ = run("import", tmp_path / "p.zip", "--to", tmp_path / "in" / "plain")
    assert code == 0
    assert "Unchanged since it was made; who made it is not checked." in said
    assert "erified" not in said
    for file in ("p.zip", "s.zip"):
        run("keygen", "--out", tmp_path / f"{file}.other")
        code, _, said = run("import", tmp_path / file, "--to", tmp_path / "in" / "x", "--trust", tmp_path / "p.zip.pub")
        assert (code, said.count("\n"), said.startswith("nero: ")) == (2, 1, True)
    trust = ("--trust", tmp_path / "p.zip.pub", "--trust", tmp_path / "unit.pub")
    code, said, _ = run("import", tmp_path / "s.zip", "--to", tmp_path / "in" / "signed", *trust)
    assert code == 0
    assert f"Unchanged since it was made; signed by unit (fingerprint {fingerprint})." in said
    code, said, _ = run("import", tmp_path / "s.zip", "--to", tmp_path / "in" / "again", *trust, "--json")
    assert json.loads(said) | {"reference": ""} == {
        "reference": "",
        "title": "Coloured noise",
        "signed_by": "unit",
        "key": fingerprint,
    }


def test_no_signature_is_asked_of_cryptography(tiny_reference):
    """A page that shows a reference without a signature does not wait for the library."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom nero_core.reference.signatures import read_signature\n"
        "assert read_signature(Path(sys.argv[1])) is None\nassert 'cryptography' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tiny_reference)], check=True, cwd=Path(__file__).parents[2])
