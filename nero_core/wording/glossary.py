"""Every term that is explained where it is read: one entry each, in words a medical student understands.

Texts are English and keys of the catalogue, as those of :mod:`nero_core.wording` are; :func:`explained` gives them in
the language in use. A term is found in a text by its spellings, as whole words. One with a capital, and one of a single
letter, is found as it is written (`ID` is no "id"); any other in capitals, too.
"""

from __future__ import annotations

from dataclasses import dataclass

from nero_core.wording import message, said

BETWEEN = "|"
"""Between the spellings of a term."""


@dataclass(frozen=True)
class Term:
    """A term with its explanation.

    Attributes
    ----------
    spellings : str
        How it is written, :data:`BETWEEN` each: its name first, then its plural and whatever else means the same. One
        text of the catalogue, as a language may have more of them, or fewer.
    meaning : str
        One or two sentences; where it is a number, also which end of it is which.
    source : str
        Where a method comes from, the same in every language; empty for a word of everybody's.
    """

    spellings: str
    meaning: str
    source: str = ""


@dataclass(frozen=True)
class Explained:
    """A term in the language in use.

    Attributes
    ----------
    name : str
    spellings : tuple of str
        The name and its others.
    meaning : str
        With its source, where it has one.
    """

    name: str
    spellings: tuple[str, ...]
    meaning: str

    def speaks_of(self, asked: str) -> bool:
        """Whether what somebody looks for is in its spellings or its meaning."""
        return asked.casefold() in "\n".join((*self.spellings, self.meaning)).casefold()


TERMS: tuple[Term, ...] = (
    # Images ----------------------------------------------------------------------------------------------------------
    Term(
        message("ID|in-distribution"),
        message(
            "In-distribution: like the images that the network was trained on. It says nothing about what a doctor "
            "would find in the image."
        ),
    ),
    Term(
        message("OOD|out-of-distribution"),
        message(
            "Out-of-distribution: unlike the images that the network was trained on, for whatever reason: another "
            "organ, another camera, burnt-in text. It is no diagnosis."
        ),
    ),
    Term(
        message("calibration image|calibration images"),
        message(
            "An ordinary image that the network was not trained on. Scores of such images are the scale on which the "
            "score of a new image is read."
        ),
    ),
    Term(
        message("known OOD image|known OOD images|known unusual image|known unusual images"),
        message(
            "An image that is known to be unlike the training images. It shows how many unusual images are found; "
            "nothing is chosen by it."
        ),
    ),
    Term(
        message("ordinary image|ordinary images"),
        message(
            "An image of the kind that a reference knows as usual, from the same source. The word says nothing about "
            "what a doctor would find in it."
        ),
    ),
    Term(
        message("reference|references"),
        message(
            "A trained network together with what is usual for it. Every image is held against a reference: unusual "
            "for one may be ordinary for another."
        ),
    ),
    Term(
        message("model card|model cards"),
        message(
            "What is to be known of a reference before it is used: what it was made from, how it was tested, and what "
            "it is not for."
        ),
        "Mitchell et al., 2019",
    ),
    # The network -----------------------------------------------------------------------------------------------------
    Term(
        message("neuron|neurons"),
        message(
            "The smallest part of a network that has a number of its own. Here mostly one of the last layer before "
            "the answer; it reacts to something that it has learnt to see."
        ),
    ),
    Term(
        message("activation|activations"),
        message("How strongly a neuron reacts to an image. Higher is stronger; 0 means not at all."),
    ),
    Term(
        message("feature|features"),
        message("What a layer of the network passes on about an image: the activations of its neurons, side by side."),
    ),
    Term(
        message("head|heads|linear head"),
        message("The last part of the network: it weights and adds up the features into one logit for each class."),
    ),
    Term(
        message("logit|logits"),
        message(
            "The number that the network gives a class before softmax. The class with the highest logit is the answer."
        ),
    ),
    Term(
        message("softmax"),
        message(
            "Turns the logits into numbers between 0 and 1 that add up to 1. They look like probabilities, also where "
            "the network cannot know the answer."
        ),
    ),
    Term(
        message("confidence"),
        message(
            "How sure the network says it is of its answer, the largest number of softmax. Higher is surer, and not "
            "more often right on images unlike those it was trained on."
        ),
    ),
    # NERO ------------------------------------------------------------------------------------------------------------
    Term(
        message("relevance|relevances"),
        message(
            "How much a neuron carried the network’s answer: above 0 it spoke for the answer, below 0 against it."
        ),
    ),
    Term(
        message("NERO"),
        message(
            "The detector that compares how relevance is divided among the neurons with how it is divided for ordinary "
            "images. Its score is higher for more unusual images."
        ),
        "Chhetri et al., 2025",
    ),
    Term(
        message("centroid|centroids"),
        message("The mean of all training images of a class: what is most typical of it."),
    ),
    Term(
        message("principal component|principal components"),
        message(
            "A direction in which images differ much from each other. A few of them say most of what hundreds of "
            "numbers say."
        ),
        "Pearson, 1901",
    ),
    Term(
        message("bias term|bias terms"),
        message(
            "How much the network’s built-in preference, and not what it saw, carried the answer. Higher makes NERO’s "
            "score higher."
        ),
    ),
    Term(
        message("factor f"),
        message(
            "The share, from 0 to 1, of an image’s activation in neurons that hardly mattered for the answer. NERO’s "
            "score is multiplied by it: higher is more unusual."
        ),
    ),
    Term(
        message("ε|epsilon"),
        message(
            "A small number added below a fraction, so that it stays finite where a logit is near 0. The larger it is, "
            "the more of the relevance is lost."
        ),
    ),
    Term(
        message("score decomposition|score decompositions"),
        message(
            "Divides a score exactly among the neurons: the parts add up to it. Above 0 raises the score, below 0 "
            "lowers it."
        ),
    ),
    # Scores and verdicts ---------------------------------------------------------------------------------------------
    Term(
        message("detector|detectors"),
        message("A method that gives every image a score for how unusual it is. None is best everywhere."),
    ),
    Term(
        message("panel|panels"),
        message("Several detectors that look for different things and decide together, by one test."),
        "after Fisher, 1925, and Vovk et al., 2005",
    ),
    Term(
        message("OOD score|OOD scores"),
        message(
            "A detector’s number for one image: the higher, the more unusual. Scores of two detectors cannot be "
            "compared; p-values can."
        ),
    ),
    Term(
        message("threshold|thresholds"),
        message(
            "The score above which an image is flagged. Lower flags more ordinary images for nothing; higher misses "
            "more unusual ones."
        ),
    ),
    Term(
        message("α|alpha"),
        message(
            "The share of ordinary images that may be flagged: 0.05 is 5 in 100. Lower means fewer false alarms, and "
            "more unusual images missed."
        ),
    ),
    Term(
        message("flagged|not flagged"),
        message(
            "An image is flagged where hardly any calibration image is as unusual: do not lean on the network’s answer "
            "then. Neither flagged nor not flagged says what a doctor would find in it."
        ),
    ),
    Term(
        message("false alarm|false alarms"),
        message("An ordinary image that is flagged. Fewer are better, and cost more unusual images that are missed."),
    ),
    Term(
        message("guarantee|guarantees"),
        message(
            "The promise that on average no more ordinary images are flagged than was set. It holds for images from "
            "the same source as the calibration images, and says nothing about what is missed."
        ),
        "Vovk et al., 2005",
    ),
    Term(
        message("p-value|p-values"),
        message(
            "The share of calibration images that are at least as unusual as this image, which is counted with them. "
            "Lower is more unusual; at α or below the image is flagged."
        ),
    ),
    Term(
        message("percentile|percentiles"),
        message("Of 100 calibration images, how many have a lower score. Higher is more unusual."),
    ),
    Term(
        message("borderline"),
        message("Not flagged, but so unusual that few calibration images are as unusual: p is at most twice α."),
    ),
    # How detectors are compared --------------------------------------------------------------------------------------
    Term(
        message("AUROC"),
        message("How often a detector scores an OOD image higher than an ID image. Higher is better; 50 % is chance."),
        "Hanley and McNeil, 1982",
    ),
    Term(
        message("FPR at 95 % TPR (ID positive)|FPR at 95 % TPR (OOD positive)|FPR"),
        message(
            "How many images are judged wrongly where 95 % of the others are judged rightly; the brackets say which. "
            "Lower is better."
        ),
    ),
    Term(
        message("ROC curve|ROC curves"),
        message(
            "Every threshold as a point: how many ID images are flagged against how many OOD images. The nearer to "
            "the upper left corner, the better."
        ),
    ),
    # Heatmaps --------------------------------------------------------------------------------------------------------
    Term(
        message("heatmap|heatmaps"),
        message(
            "A picture over the image that shows where the network looked for its answer. It looks like an explanation "
            "also where it is none."
        ),
    ),
    Term(
        message("LRP"),
        message("Layer-wise Relevance Propagation: hands the answer back from layer to layer, down to the pixels."),
        "Bach et al., 2015",
    ),
    Term(
        message("CRP|Concept Relevance Propagation"),
        message("Concept Relevance Propagation: LRP for one neuron alone, so that it shows where that neuron looked."),
        "Achtibat et al., 2023",
    ),
    Term(
        message("concept|concepts"),
        message(
            "Neurons that looked at the same place of an image, taken together; training images show what they have "
            "learnt to see."
        ),
    ),
    Term(
        message("faithfulness"),
        message(
            "Whether what a heatmap marks is what the network used: blurring it has to change the answer sooner "
            "than blurring places at random. Higher is better; 0 is no better than chance."
        ),
    ),
    Term(
        message("deletion curve|deletion curves"),
        message(
            "What is left of the answer while more and more of the image is blurred, beginning with what the heatmap "
            "marks most. The faster it falls, the better the heatmap."
        ),
        "Samek et al., 2017",
    ),
)  # fmt: skip
"""By what they are about."""


def explained() -> list[Explained]:
    """Every term in the language in use, by its name."""
    return sorted(map(_explained, TERMS), key=lambda term: term.name.casefold())


def _explained(term: Term) -> Explained:
    spellings = tuple(each.strip() for each in said(term.spellings).split(BETWEEN))
    source = f" ({term.source})" if term.source else ""
    meaning = said(term.meaning)
    return Explained(spellings[0], spellings, f"{meaning.removesuffix('.')}{source}." if source else meaning)
