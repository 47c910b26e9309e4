"""``nero download`` and ``nero arrange``: a paper's images, and what of them trains, tests and is unusual."""

from __future__ import annotations

import argparse
from pathlib import Path

from nero_core.cli.console import DONE, AddCommand, begin, say, tell


def add_protocols(command: AddCommand) -> None:
    """Enter both commands into the parser."""
    download = command("download", _download, "Fetch the images of a named protocol from their public page.")
    download.add_argument("protocol", metavar="NAME", help="such as kvasir-v2")
    download.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder for the images")
    download.add_argument("--source", type=Path, metavar="FILE", help="JSON with another address or checksum")

    arrange = command("arrange", _arrange, "Lay class folders out for a protocol: train, test, out-of-distribution.")
    arrange.add_argument("protocol", metavar="NAME", help="kvasir-v2, gastrovision, or folders for your own classes")
    arrange.add_argument("data", type=Path, metavar="DATA", help="folder that holds the class folders")
    arrange.add_argument("--to", type=Path, required=True, metavar="DIR", help="new folder")
    arrange.add_argument("--id-classes", nargs="+", default=[], metavar="CLASS", help="for folders: the ID classes")
    arrange.add_argument("--split", nargs="+", type=Path, default=[], metavar="CSV", help="official split files")
    arrange.add_argument("--seed", type=int, default=0, help="seed of the split (default: %(default)s)")
    arrange.add_argument("--source", type=Path, metavar="FILE", help="JSON with other classes or counts")


def _download(options: argparse.Namespace) -> int:
    from nero_core.data.protocols.download import download
    from nero_core.data.protocols.protocol import named_protocol

    protocol = named_protocol(options.protocol, options.source)
    say(f"{protocol.title}: {protocol.page}\nTerms: {protocol.terms}")
    folder, sha256, known = download(protocol, options.to, begin)
    arranged = options.to / f"{protocol.name}-arranged"
    recorded = "No checksum was known; this one is recorded, and later downloads are held against it.\n"
    text = f"Wrote {folder}. SHA-256 of the zip: {sha256}\n{'' if known else recorded}"
    text += f"Next: python -m nero_core arrange {protocol.name} {folder} --to {arranged}"
    tell(options, {"folder": str(folder), "sha256": sha256, "checksum_known": known}, text)
    return DONE


def _arrange(options: argparse.Namespace) -> int:
    from nero_core.data.protocols.arrange import TRAIN, arrange, counts_by_part, divide_images, folders_protocol
    from nero_core.data.protocols.protocol import FOLDERS, named_protocol

    if options.protocol == FOLDERS:
        protocol = folders_protocol(options.data, options.id_classes)
    else:
        protocol = named_protocol(options.protocol, options.source)
    images = divide_images(protocol, options.data, options.seed, options.split, begin("Reading images"))
    path = arrange(protocol, images, options.to, options.seed)
    counts = counts_by_part(images)
    lines = [
        f"Wrote {options.to}: {counts['train']} images train, {counts['test']} test, {counts['ood']} are OOD.",
        *([protocol.note] if protocol.note else []),
        f"Next: python -m nero_core train {options.to / TRAIN} --out CKPT; "
        f"python -m nero_core fit {options.to / TRAIN} --classifier CKPT --out REF; "
        f"python -m nero_core benchmark REF --id {options.to} --out DIR",
    ]
    tell(options, {"split": str(path), "images": dict(counts)}, "\n".join(lines))
    return DONE
