"""``nero train``: class folders → a classifier."""

from __future__ import annotations

import argparse
from pathlib import Path

from nero_core.cli.calibrate import add_group
from nero_core.cli.console import DONE, SOME_FAILED, AddCommand, begin, device, say, tell


def add_train(command: AddCommand) -> None:
    """Enter the command into the parser."""
    train = command("train", _train, "Train a classifier on class folders.")
    train.add_argument("data", type=Path, metavar="DATA", help="a folder with one sub-folder of images per class")
    train.add_argument("--arch", default="resnet18", help="architecture (default: %(default)s)")
    train.add_argument("--out", type=Path, required=True, metavar="CKPT", help="where to write it (.safetensors)")
    train.add_argument("--epochs", type=int, default=12, help="passes over the images (default: %(default)s)")
    train.add_argument("--seed", type=int, default=0, help="seed of weights, split and order (default: %(default)s)")
    train.add_argument("--init", type=Path, metavar="FILE", help="start from these weights (.safetensors, .pt, .pth)")
    train.add_argument(
        "--alpha",
        type=float,
        default=0.05,
        help="share of false alarms that the images set aside must support in every class (default: %(default)s)",
    )
    add_group(train)
    train.add_argument(
        "--init-unseen",
        action="store_true",
        help="the weights of --init have seen none of DATA, such as ImageNet's; otherwise there is no guarantee where "
        "it is not known what trained them",
    )


def _train(options: argparse.Namespace) -> int:
    from nero_core.network.training import train

    result = train(
        options.data,
        options.arch,
        options.out,
        epochs=options.epochs,
        seed=options.seed,
        init=options.init,
        alpha=options.alpha,
        group=options.group,
        init_unseen=options.init_unseen,
        device=device(options),
        begin=begin,
        say=say,
    )
    record = result.classifier.training
    assert record is not None
    counts = {"train": len(record.train), "calibration": len(record.calibration), "test": len(record.test)}
    told = {"classifier": str(options.out), "images": counts, "per_class": dict(result.per_class)}
    following = f"Next: python -m nero_core fit {options.data} --classifier {options.out} --out REF"
    tell(options, told | {"history": list(record.history)}, f"Wrote {options.out}. {following}")
    return SOME_FAILED if result.unreadable else DONE
