"""``nero export``, ``import``, ``keygen``, ``default``: references as files, and what they are here."""

from __future__ import annotations

import argparse
from pathlib import Path

from nero_core.cli.console import DONE, AddCommand, tell


def add_references(command: AddCommand) -> None:
    """Enter the commands into the parser."""
    export = command("export", _export, "Write a reference as one file, to be carried elsewhere.")
    export.add_argument("reference", type=Path, metavar="REF", help="folder of the reference")
    export.add_argument("--out", type=Path, required=True, metavar="FILE.zip", help="must be new")
    export.add_argument("--sign", type=Path, metavar="KEY", help="sign it with a private key that `keygen` wrote")
    bring = command(
        "import", _import, "Check a file that `export` wrote, try it within limits, and unpack it into a new folder."
    )
    bring.add_argument("file", type=Path, metavar="FILE.zip")
    bring.add_argument("--to", type=Path, required=True, metavar="REF", help="folder of the reference; must be new")
    bring.add_argument(
        "--trust",
        type=Path,
        action="append",
        default=[],
        metavar="KEY.pub",
        help="refuse what is not signed with this key, or with another that is given so (repeatable)",
    )
    keygen = command("keygen", _keygen, "Make a pair of keys to sign references with.")
    keygen.add_argument(
        "--out", type=Path, required=True, metavar="KEY", help="the private key; the public one is written beside it"
    )
    default = command("default", _default, "Let sessions of the app start with a reference, also with an imported one.")
    default.add_argument("reference", type=Path, metavar="REF", help="folder of the reference")
    default.add_argument("--clear", action="store_true", help="take that back")


def _export(options: argparse.Namespace) -> int:
    from nero_core.reference.export import export_reference

    export_reference(options.reference, options.out, options.sign)
    size = options.out.stat().st_size
    tell(options, {"file": str(options.out), "bytes": size}, f"Wrote {options.out}, {size} bytes", indent=None)
    return DONE


def _import(options: argparse.Namespace) -> int:
    from nero_core.reference.export import import_reference
    from nero_core.reference.signatures import read_trusted, who_made_it
    from nero_core.reference.trial import LIMITS_NOTE

    trusted = [read_trusted(path) for path in options.trust]
    taken = import_reference(options.file, options.to, trusted, must_be_trusted=bool(trusted))
    signature = taken.signature
    signer = None if signature is None or signature.signer is None else signature.signer.name
    key = None if signature is None else signature.fingerprint
    told = {"reference": str(taken.path), "title": taken.title, "signed_by": signer, "key": key}
    text = (
        f"Unpacked to {taken.path}: {taken.title}\nUnchanged since it was made; {who_made_it(signature)}.\n"
        f"It has scored one image within limits. {LIMITS_NOTE}"
    )
    tell(options, told, text.rstrip(), indent=None)
    return DONE


def _keygen(options: argparse.Namespace) -> int:
    from nero_core.reference.signatures import make_key, public_path

    key = make_key(options.out)
    public = public_path(options.out)
    text = (
        f"Wrote {options.out}, which is yours alone, and {public}, for those who trust you.\n"
        f"Tell them the fingerprint by another way than the file: {key.fingerprint}"
    )
    told = {"private": str(options.out), "public": str(public), "fingerprint": key.fingerprint}
    tell(options, told, text, indent=None)
    return DONE


def _default(options: argparse.Namespace) -> int:
    from nero_core.reference.origin import clear_default, set_default

    if options.clear:
        clear_default(options.reference)
        text = f"Sessions no longer start with {options.reference} because of a word of yours."
    else:
        set_default(options.reference)
        text = f"Sessions of the app start with {options.reference}."
    tell(options, {"reference": str(options.reference), "default": not options.clear}, text, indent=None)
    return DONE
