"""The seven steps in words: one idea each, a question before the reveal, and a sentence to take home.

Nothing here is a result. What a step shows is computed where it is shown, and so is which answer is the right one.
"""

from __future__ import annotations

from dataclasses import dataclass

from nero_core.wording import message

MINUTES = 5
"""What a step takes."""


@dataclass(frozen=True)
class Step:
    """One step of the lesson; its texts are English and keys of the catalogue.

    Attributes
    ----------
    name : str
        Of its module, its session keys and its pictures.
    title : str
    idea : str
        What it shows, in two or three sentences.
    question : str
        Asked before the reveal; ``{places}`` are filled in by the page.
    take_home : str
        One sentence.
    notes : str
        For whoever presents: what to do, and what students ask.
    """

    name: str
    title: str
    idea: str
    question: str
    take_home: str
    notes: str


STEPS: tuple[Step, ...] = (
    Step(
        name="sure_and_wrong",
        title=message("Sure and wrong"),
        idea=message(
            "A network that reads endoscopy can only answer with a class it was trained on. Show it something "
            "else, and it still answers; how sure it says it is does not tell whether it can know."
        ),
        question=message("Of how many of these six pictures will the network be at least {sure} % sure?"),
        take_home=message(
            "“Sure” is not “right”: by itself, a network has no way of saying that it has never seen this."
        ),
        notes=message(
            "Let the class shout a guess for each picture before anybody opens the answer. Ask which of the six the "
            "network cannot know: three of them show something it was never trained on. The pictures are rendered and "
            "were searched for; the text beside each says among how many."
        ),
    ),
    Step(
        name="feature_to_relevance",
        title=message("From feature to relevance"),
        idea=message(
            "The last layer holds neurons; each has an activation, and a weight into each class. Relevance "
            "divides the answer among the neurons: how much each of them carried. Here is a network small enough "
            "to work out by hand."
        ),
        question=message("With ε = 0: what do the relevances of all neurons and of the bias add up to?"),
        take_home=message("With ε = 0 relevance is a division: nothing is lost, and nothing is made up."),
        notes=message(
            "Work out one relevance on the board first. Then let students change an activation, and see the sum stay. "
            "Raise ε: the sum breaks, since ε takes a part away. Put a number of your own in place of a relevance: it "
            "breaks again."
        ),
    ),
    Step(
        name="centroids",
        title=message("Centroids and distance"),
        idea=message(
            "Ordinary images of a class have similar relevance. Their mean is the class’s centroid, and NERO "
            "measures how far a new image lies from the nearest one: along the axes, as a taxi drives. A bias "
            "term is added, and a factor scales the sum."
        ),
        question=message(
            "Two points lie equally far from the centroid with a ruler: one along an axis, one along the diagonal. "
            "Which is farther for NERO?"
        ),
        take_home=message("Unusual means: the neurons did not share the work as they do for any known class."),
        notes=message(
            "Move the point from one centroid to another and ask when the nearest class changes. Then set the "
            "bias term to zero, and ask what a factor of zero would mean. Two axes of many are shown; the page "
            "says how many."
        ),
    ),
    Step(
        name="threshold",
        title=message("Where to draw the line"),
        idea=message(
            "A score becomes a verdict by a threshold. Lower, and ordinary images are flagged for nothing; higher, and "
            "unusual ones are missed. The share of false alarms can be promised; what is missed cannot."
        ),
        question=message(
            "The line is drawn so that on average at most {percent} in 100 ordinary images are flagged. How many of "
            "{images} known OOD images does {detector} miss?"
        ),
        take_home=message(
            "A bounded share of false alarms is a promise about images like those it was set on, and no others."
        ),
        notes=message(
            "First let the class say which mistake is worse, and for whom. Then move the slider together. The "
            "second camera at the end breaks the promise: nothing about the method has changed, only where the "
            "images come from."
        ),
    ),
    Step(
        name="break_it",
        title=message("Break it"),
        idea=message(
            "A score answers to everything in the picture, not to the disease alone: text, blur, a tint, glare. "
            "What the eye forgives, the network may not, and the other way round."
        ),
        question=message("Which of these changes, at half strength, moves the score of this picture most?"),
        take_home=message("Flagged means unlike what it was trained on, for whatever reason; look for the reason."),
        notes=message(
            "Collect bets first. Then let a student drive: get a flagged picture un-flagged, or flag an ordinary "
            "one with the weakest change. Both are possible, which is worth talking about."
        ),
    ),
    Step(
        name="predict",
        title=message("Predict, then reveal"),
        idea=message(
            "Unusual and ill are two things. A healthy place can look unlike anything in the training images, and"
            " a sick one can look much like them."
        ),
        question=message(
            "On how many of the six do finding and verdict go together: a finding and flagged, or none and not flagged?"
        ),
        take_home=message("Unusual and ill are two questions, and a verdict answers the first alone."),
        notes=message(
            "Have the class vote flagged or not on each picture. Read out among how many each was found: some misses "
            "are rare, others are most of their kind. Borderline counts as not flagged."
        ),
    ),
    Step(
        name="heatmaps_can_lie",
        title=message("Heatmaps can lie"),
        idea=message(
            "A heatmap always looks like an explanation. One of these two comes from the trained network, the "
            "other from the same network with its weights shuffled, which knows nothing."
        ),
        question=message("Which of the two is the trained network’s?"),
        take_home=message(
            "A heatmap has to be tested like any other claim: does hiding what it points at change the answer?"
        ),
        notes=message(
            "Vote, and count. Then choose the other methods: with some of them, the two pictures differ little, "
            "and that is the point. End with the deletion curves: a true map falls faster than chance."
        ),
    ),
)
"""In the order of the lesson."""
