"""``nero demo``: the bundled references, made again: the rendered one from its seeds, the real one from its frames."""

from __future__ import annotations

import argparse
from pathlib import Path

from nero_core.cli.calibrate import summary
from nero_core.cli.console import DONE, AddCommand, begin, device, say, tell
from nero_core.errors import InputError


def add_demo(command: AddCommand) -> None:
    """Enter the command into the parser."""
    demo = command(
        "demo", _demo, "Rebuild a bundled reference: the rendered one from its seeds, or with --real the capsule one."
    )
    demo.add_argument("--out", type=Path, required=True, metavar="REF", help="folder of the reference")
    kind = demo.add_mutually_exclusive_group()
    kind.add_argument(
        "--real", type=Path, metavar="DATA", help="the one of capsule frames instead, from the folder that holds them"
    )
    kind.add_argument("--retrain", action="store_true", help="train the network anew instead of using the bundled one")
    demo.add_argument("--examples", type=Path, metavar="DIR", help="also write the example pictures, with their scores")
    demo.add_argument(
        "--lesson", type=Path, metavar="DIR", help="also search scenes for the lesson's frames, and write them"
    )
    demo.add_argument("--scenes", type=Path, metavar="DIR", help="also keep the scenes, as folders to benchmark with")


def _demo(options: argparse.Namespace) -> int:
    from nero_core.demo import real, rendered
    from nero_core.lesson.frames import write_frames

    if options.real is not None:
        if options.examples or options.scenes or options.lesson:
            raise InputError("--examples, --scenes and --lesson are rendered; leave them out with --real.")
        reference = real.fit_real(options.real, begin, say, device(options))
        reference.save(options.out)
        tell(options, reference.manifest, summary(reference, options.out))
        return DONE
    counts = rendered.SceneCounts()
    if options.retrain:
        checkpoint = options.out.with_suffix(".safetensors")
        classifier = rendered.train_demo(checkpoint, counts, begin, say, device(options))
    else:
        classifier = rendered.bundled_classifier()
    reference = rendered.fit_demo(classifier, counts, begin, keep=options.scenes)
    reference.save(options.out)
    if options.examples:
        rendered.write_examples(reference, options.examples)
    if options.lesson:
        write_frames(reference, options.lesson, begin)
    tell(options, reference.manifest, summary(reference, options.out))
    return DONE
