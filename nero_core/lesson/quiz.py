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
            message("The image shows a cecum with a probability of 99 %."),
            message("Of the three names it has, this one fits best; whether it knows such images at all is open."),
            message("The image is like those that it was trained on."),
        ),
        1,
        message("The shares of a softmax always add up to 100 %, whatever is shown; none is left for “none of these”."),
    ),
    QuizQuestion(
        "feature_to_relevance",
        message("What does the relevance of a neuron say?"),
        (
            message("How much this neuron carried the answer of this image."),
            message("How strongly it is active."),
            message("Where in the image the disease is."),
        ),
        0,
        message(
            "Activation alone does not carry: a neuron counts by activation times weight, shared out over the "
            "classes. And a network that was never shown a disease knows nothing of where one is."
        ),
    ),
    QuizQuestion(
        "centroids",
        message("NERO’s distance to the nearest centroid is large. What does that mean?"),
        (
            message("The lesion is large."),
            message("The network’s answer is wrong."),
            message("The neurons shared the work otherwise than they do on average for any known class."),
        ),
        2,
        message(
            "It measures how unlike the usual pattern of relevance is. Whether the answer is right is another question."
        ),
    ),
    QuizQuestion(
        "threshold",
        message("The threshold is set for 5 false alarms in 100. What is promised?"),
        (
            message("At most 5 in 100 unusual images are missed."),
            message("Of ordinary images like the calibration images, at most 5 in 100 are flagged on average."),
            message("95 in 100 verdicts are right."),
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
            message("Find out what is unusual about it: text, blur, another camera, a finding."),
            message("Report a disease."),
            message("Take another detector until it is not flagged."),
        ),
        0,
        message(
            "Flagged says that it is unlike what is known, and not why. Choosing among detectors afterwards "
            "breaks the promise."
        ),
    ),
    QuizQuestion(
        "predict",
        message("An image is not flagged. What can be said?"),
        (
            message("It shows nothing ill."),
            message("The network’s answer is right."),
            message("To this detector it looks like an ordinary image; findings can look like that, too."),
        ),
        2,
        message("Misses are real: you have seen findings that look usual to a detector."),
    ),
    QuizQuestion(
        "heatmaps_can_lie",
        message("How can one tell whether a heatmap is to be trusted?"),
        (
            message("It points at what an expert would point at."),
            message("Hide what it points at and see whether the answer changes more than by hiding other places."),
            message("It is sharp and detailed."),
        ),
        1,
        message(
            "A map can please an expert and still have nothing to do with the network: one with shuffled weights "
            "can give much the same picture."
        ),
    ),
)
"""In the order of the steps."""
