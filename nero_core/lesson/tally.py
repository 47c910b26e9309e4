"""One question at a time, put to a class, and how many devices gave each answer; who they are is not known here.

All of it is in memory and none of it has a name. A device is whatever text tells one from another, and is kept only
while the question stands, so that an answer that is changed counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from nero_core.errors import InputError

MOST_DEVICES = 500
"""So many may answer one question: more than any room holds, and little enough to keep."""


class NotAskedError(InputError):
    """Nothing, or something else, is asked now, or its answers are closed."""


class NotOfferedError(InputError):
    """The question has no such answer."""


class TooManyDevicesError(InputError):
    """As many devices have answered as are counted."""


@dataclass(frozen=True)
class Round:
    """A question as it stands at one moment.

    Attributes
    ----------
    number : int
        Which of all that were asked, from 1: a question that is asked anew has another.
    question : str
        What it is known by.
    text : str
    options : {value: words}
    counts : {value: devices}
        Of every option, in their order.
    revealed : bool
        Whether the answer was shown: from then on none is taken.
    """

    number: int
    question: str
    text: str
    options: Mapping[str, str]
    counts: Mapping[str, int]
    revealed: bool

    @property
    def answers(self) -> int:
        """How many devices answered."""
        return sum(self.counts.values())


class Tally:
    """What is asked now and how it was answered; for many threads at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._number = 0
        self._asked: tuple[str, str, dict[str, str]] | None = None
        self._answers: dict[str, str] = {}
        self._revealed = False

    def ask(self, question: str, text: str, options: Mapping[str, str]) -> int:
        """Put a question, in place of the one before, whose answers are forgotten; the same again keeps its own.

        Parameters
        ----------
        question : str
            What it is known by.
        text : str
        options : {value: words}

        Returns
        -------
        int
            The round's number.

        Raises
        ------
        InputError
            There is nothing to choose from.
        """
        if len(options) < 2:
            raise InputError(f"The question {question!r} offers {len(options)} answers; wanted at least two.")
        asked = (question, text, dict(options))
        with self._lock:
            if asked != self._asked:
                self._begin(asked)
            return self._number

    def ask_anew(self, question: str, text: str, options: Mapping[str, str]) -> int:
        """The same, but the answers are forgotten even where the question is the same: a second vote."""
        self.close()
        return self.ask(question, text, options)

    def answer(self, device: str, number: int, option: str) -> None:
        """Count a device's answer to a round, in place of its own before.

        Raises
        ------
        NotAskedError
            It is not that round any more, or its answer was shown.
        NotOfferedError
            The question has no such option.
        TooManyDevicesError
            Of :data:`MOST_DEVICES` others each has answered.
        """
        with self._lock:
            if self._asked is None or number != self._number or self._revealed:
                raise NotAskedError(f"Question {number} takes no answers now; open the page again for what is asked.")
            if option not in self._asked[2]:
                raise NotOfferedError(f"Question {number} has no such answer; choose one of the page's.")
            if device not in self._answers and len(self._answers) >= MOST_DEVICES:
                raise TooManyDevicesError(f"{MOST_DEVICES} devices have answered, and no more are counted.")
            self._answers[device] = option

    def answer_of(self, device: str) -> str | None:
        """What a device answered to the question that stands."""
        with self._lock:
            return self._answers.get(device)

    def now(self) -> Round | None:
        """What stands; None where nothing is asked."""
        with self._lock:
            if self._asked is None:
                return None
            question, text, options = self._asked
            counted = Counter(self._answers.values())
            counts = {value: counted[value] for value in options}
            return Round(self._number, question, text, options, counts, self._revealed)

    def reveal(self, number: int) -> None:
        """Take no more answers to a round and show the counts; nothing where it is not that round any more."""
        with self._lock:
            if number == self._number and self._asked is not None:
                self._revealed = True

    def close(self) -> None:
        """Ask nothing, and forget the answers."""
        with self._lock:
            self._asked, self._answers, self._revealed = None, {}, False

    def _begin(self, asked: tuple[str, str, dict[str, str]]) -> None:
        self._number += 1
        self._asked, self._answers, self._revealed = asked, {}, False
