"""The quiz at the end: one question for each step, with what is right and why."""

from __future__ import annotations

from dataclasses import dataclass

from nero_core.wording import message


@dataclass(frozen=True)
class QuizQuestion:
    """One question; its texts are English and keys of the catalogue.

    Attributes
    ----------
    step : str
        Name of the step that it is about.
    text : str
    options : three answers
    right : int
        Which of them.
    because : str
        Why, in one or two sentences.
    """

    step: str
    text: str
    options: tuple[str, str, str]
    right: int
    because: str


QUIZ: tuple[QuizQuestion, ...] = (
    QuizQuestion(
        "sure_and_wrong",
        message("A network trained on three landmarks says “cecum, 99 % sure”. What follows?"),
        (
            message("The image shows a cecum, and the network is wrong about that in one of a hundred such images."),
            message("Of the three names this one fits best; whether it knows such images at all is open."),
            message("The image is like those that it was trained on, or it could not be as sure as that."),
        ),
        1,
        message("The shares of a softmax always add up to 100 %, whatever is shown; none is left for “none of these”."),
    ),
    QuizQuestion(
        "feature_to_relevance",
        message("What does the relevance of a neuron say?"),
        (
            message("How much this neuron carried the answer of this image."),
            message("How strongly this neuron is active on this image, compared with others."),
            message("Whether this neuron sees what a specialist would call a finding."),
        ),
        0,
        message(
            "Activation alone does not carry: a neuron counts by activation times weight, shared out over the classes. "
            "What it has learnt to see is another question."
        ),
    ),
    QuizQuestion(
        "centroids",
        message("NERO’s distance to the nearest centroid is large. What does that mean?"),
        (
            message("The network’s answer is wrong, and another class would be right."),
            message("The image shows a finding that none of the known classes has."),
            message("The neurons shared the work otherwise than for any known class."),
        ),
        2,
        message(
            "It measures how unlike the usual pattern of relevance is. Whether the answer is right, and why the "
            "pattern is another, are other questions."
        ),
    ),
    QuizQuestion(
        "threshold",
        message("The threshold is set for 5 false alarms in 100. What is promised?"),
        (
            message("Of unusual images like those it was tried on, at most 5 in 100 are missed on average."),
            message("Of ordinary images like the calibration images, at most 5 in 100 are flagged on average."),
            message("Of all verdicts, on whatever images they are given, at least 95 in 100 are right."),
        ),
        1,
        message(
            "The promise is about ordinary images, and like those it was set on. What is missed can be measured only."
        ),
    ),
    QuizQuestion(
        "break_it",
        message("An image is flagged. What is the first thing to do?"),
        (
            message("Find out what is unusual about it."),
            message("Look for a lesion: flagged images show one more often than not."),
            message("Ask another detector, and flag it only where both agree."),
        ),
        0,
        message(
            "It can be text, blur, another camera or a finding: flagged says that it is unlike what is known, and"
            " not why. Choosing among detectors afterwards breaks the promise."
        ),
    ),
    QuizQuestion(
        "predict",
        message("An image is not flagged. What can be said?"),
        (
            message("It most likely shows nothing that a specialist would have to look at."),
            message("The network’s own answer is right in at least 95 of 100 such images."),
            message("To this detector it looks like an ordinary image."),
        ),
        2,
        message("Findings can look like that, too: you have seen some that a detector misses."),
    ),
    QuizQuestion(
        "heatmaps_can_lie",
        message("How can one tell whether a heatmap is to be trusted?"),
        (
            message("See whether it points at the place that an expert would point at, on image after image."),
            message("Hide what it points at, and see whether that changes the answer more than hiding other places."),
            message("Draw it twice by two methods, and see whether both of them point at the same place."),
        ),
        1,
        message(
            "A map can please an expert, or another method, and still have nothing to do with the network: with some "
            "methods one with shuffled weights gives much the same picture."
        ),
    ),
)
"""In the order of the steps."""
