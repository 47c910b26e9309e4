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
    train.add_argument("--arch", help="architecture (default: resnet18; with --pretrained tf_efficientnet_lite0)")
    train.add_argument("--out", type=Path, required=True, metavar="CKPT", help="where to write it (.safetensors)")
    train.add_argument("--epochs", type=int, default=12, help="passes over the images (default: %(default)s)")
    train.add_argument("--lr", type=float, help="highest learning rate (default: 1e-3 from chance, 1e-4 from weights)")
    train.add_argument("--batch", type=int, default=32, help="images in one step (default: %(default)s)")
    train.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        help="of the passes in training (default: bfloat16 where the processor computes in it)",
    )
    train.add_argument("--seed", type=int, default=0, help="seed of weights, split and order (default: %(default)s)")
    start = train.add_mutually_exclusive_group()
    start.add_argument(
        "--pretrained",
        action="store_true",
        help="start from weights of ImageNet: of an installed package for tf_efficientnet_lite0, 1 and 2; of any other "
        "architecture they are fetched from its makers, after it is said what and from where",
    )
    start.add_argument("--init", type=Path, metavar="FILE", help="start from these weights (.safetensors, .pt, .pth)")
    train.add_argument(
        "--freeze", action="store_true", help="leave the weights as they are, and fit a linear head to their features"
    )
    train.add_argument("--size", metavar="PIXELS", help="of the network's input: 224, or height and width as 224x320")
    train.add_argument(
        "--crop", metavar="SHARE", help="of the shorter side, in the centre; none: stretch the whole image"
    )
    train.add_argument(
        "--alpha",
        type=float,
        default=0.05,
        help="share of false alarms that the images set aside must support in every class (default: %(default)s)",
    )
    train.add_argument(
        "--history", type=Path, metavar="CSV", help="write loss and accuracy of every epoch to this file"
    )
    train.add_argument("--tensorboard", type=Path, metavar="DIR", help="write them for TensorBoard to this folder")
    add_group(train)
    train.add_argument(
        "--init-unseen",
        action="store_true",
        help="the weights of --init have seen none of DATA, such as ImageNet's; otherwise there is no guarantee where "
        "it is not known what trained them",
    )


def _train(options: argparse.Namespace) -> int:
    from nero_core.network.given_preprocessing import Settings, given_preprocessing
    from nero_core.network.history import write_events, write_history
    from nero_core.network.packaged import DEFAULT_PRETRAINED
    from nero_core.network.training import train

    architecture = options.arch or (DEFAULT_PRETRAINED if options.pretrained else "resnet18")
    result = train(
        options.data,
        architecture,
        options.out,
        epochs=options.epochs,
        seed=options.seed,
        preprocessing=given_preprocessing(
            architecture, Settings.parsed(size=options.size, crop=options.crop)
        ).preprocessing,
        init=options.init,
        pretrained=options.pretrained,
        frozen=options.freeze,
        learning_rate=options.lr,
        batch_size=options.batch,
        precision=options.precision,
        alpha=options.alpha,
        group=options.group,
        init_unseen=options.init_unseen,
        device=device(options),
        begin=begin,
        say=say,
    )
    record = result.classifier.training
    assert record is not None
    if options.history is not None:
        write_history(record.history, options.history)
    if options.tensorboard is not None:
        write_events(record.history, options.tensorboard)
    counts = {"train": len(record.train), "calibration": len(record.calibration), "test": len(record.test)}
    told = {"classifier": str(options.out), "images": counts, "per_class": dict(result.per_class)}
    following = f"Next: python -m nero_core fit {options.data} --classifier {options.out} --out REF"
    tell(options, told | {"history": list(record.history)}, f"Wrote {options.out}. {following}")
    return SOME_FAILED if result.unreadable else DONE
