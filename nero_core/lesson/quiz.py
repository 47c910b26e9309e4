"""The quiz at the end: one question for each step, with what is right and why."""

from __future__ import annotations

from dataclasses import dataclass

from nero_core.wording import to_say


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
        to_say("A network trained on three landmarks says “cecum, 99 % sure”. What follows?"),
        (
            to_say("The image shows a cecum with a probability of 99 %."),
            to_say("Of the three names it has, this one fits best; whether it knows such images at all is open."),
            to_say("The image is like those that it was trained on."),
        ),
        1,
        to_say("The shares of a softmax always add up to 100 %, whatever is shown; none is left for “none of these”."),
    ),
    QuizQuestion(
        "feature_to_relevance",
        to_say("What does the relevance of a neuron say?"),
        (
            to_say("How much this neuron carried the answer of this image."),
            to_say("How strongly it is active."),
            to_say("Where in the image the disease is."),
        ),
        0,
        to_say(
            "Activation alone does not carry: a neuron counts by activation times weight, shared out over the "
            "classes. And a network that was never shown a disease knows nothing of where one is."
        ),
    ),
    QuizQuestion(
        "centroids",
        to_say("NERO’s distance to the nearest centroid is large. What does that mean?"),
        (
            to_say("The lesion is large."),
            to_say("The network’s answer is wrong."),
            to_say("The neurons shared the work otherwise than they do on average for any known class."),
        ),
        2,
        to_say(
            "It measures how unlike the usual pattern of relevance is. Whether the answer is right is another question."
        ),
    ),
    QuizQuestion(
        "threshold",
        to_say("The threshold is set for 5 false alarms in 100. What is promised?"),
        (
            to_say("At most 5 in 100 unusual images are missed."),
            to_say("Of ordinary images like the calibration images, at most 5 in 100 are flagged on average."),
            to_say("95 in 100 verdicts are right."),
        ),
        1,
        to_say(
            "The promise is about ordinary images, and like those it was set on. What is missed can be measured only."
        ),
    ),
    QuizQuestion(
        "break_it",
        to_say("An image is flagged. What is the first thing to do?"),
        (
            to_say("Find out what is unusual about it: text, blur, another camera, a finding."),
            to_say("Report a disease."),
            to_say("Take another detector until it is not flagged."),
        ),
        0,
        to_say(
            "Flagged says that it is unlike what is known, and not why. Choosing among detectors afterwards "
            "breaks the promise."
        ),
    ),
    QuizQuestion(
        "predict",
        to_say("An image is not flagged. What can be said?"),
        (
            to_say("It shows nothing ill."),
            to_say("The network’s answer is right."),
            to_say("To this detector it looks like an ordinary image; findings can look like that, too."),
        ),
        2,
        to_say("Misses are real: you have seen findings that look usual to a detector."),
    ),
    QuizQuestion(
        "heatmaps_can_lie",
        to_say("How can one tell whether a heatmap is to be trusted?"),
        (
            to_say("It points at what an expert would point at."),
            to_say("Hide what it points at and see whether the answer changes more than by hiding other places."),
            to_say("It is sharp and detailed."),
        ),
        1,
        to_say(
            "A map can please an expert and still have nothing to do with the network: one with shuffled weights "
            "can give much the same picture."
        ),
    ),
)
"""In the order of the steps."""
