"""A network that stays as it is gets a linear head: its features of every training image once, then one convex fit."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from nero_core.network.classifier import Classifier
from nero_core.network.extraction import BATCH_SIZE
from nero_core.network.pictures import Pictures
from nero_core.records import Begin, Float32Array, Progress, Say

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Tried for C, the inverse of the penalty on the weights of standardised features."""
FOLDS = 5
MOST_STEPS = 1000
"""Of the solver (L-BFGS); a head of these sizes takes some dozens."""


def fit_head(classifier: Classifier, parts: Mapping[str, Pictures], begin: Begin, say: Say) -> dict[str, float]:
    """Fit the head of a network to its features, in place; the other weights stay as they are, bit for bit.

    Multinomial logistic regression with an L2 penalty on standardised features (scikit-learn), its strength chosen by
    cross-validation on the training images. The standardisation is folded into the head, W' = W / σ and
    b' = b − W μ / σ, so that logits = W'·features + b' as in every other network here.

    Parameters
    ----------
    classifier : Classifier
        Used by nobody else meanwhile; make a new one of its network afterwards.
    parts : {"train", "test"}: Pictures
        The latter is only reported on.

    Returns
    -------
    dict
        One row of history: `epoch` 1, `loss`, the accuracies, and the `strength` C.
    """
    train, test = (
        _features(classifier, parts[part], begin(f"Features of the {part} images")) for part in ("train", "test")
    )
    labels, of_test = parts["train"].images.labels, parts["test"].images.labels
    progress = begin("Fitting the head")
    progress(0, 1)
    head = _search(int(np.bincount(labels).min())).fit(train, labels)
    fitted: Pipeline = head.best_estimator_
    weight, bias = _folded(fitted)
    linear = classifier.network.get_submodule(classifier.layout.head)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(bias))
    progress(1, 1)
    report = {
        "epoch": 1.0,
        "loss": -float(head.score(train, labels)),
        "train_accuracy": float((fitted.predict(train) == labels).mean()),
        "test_accuracy": float((fitted.predict(test) == of_test).mean()),
        "strength": float(head.best_params_["logisticregression__C"]),
    }
    say(
        f"head fitted: accuracy {report['train_accuracy']:.3f} in training, {report['test_accuracy']:.3f} on the "
        f"{len(of_test)} test images set aside"
    )
    return report


def _features(classifier: Classifier, pictures: Pictures, progress: Progress) -> Float32Array:
    """(n, d), in the order of the pictures."""
    n = len(pictures.images)
    batches = np.array_split(np.arange(n), math.ceil(n / BATCH_SIZE))
    rows: list[Float32Array] = []
    for pixels, _ in pictures.batches(batches):
        rows.append(classifier.forward(pictures.inputs(pixels)).activations.features)
        progress(sum(map(len, rows)), n)
    return np.concatenate(rows)


def _search(smallest_class: int) -> GridSearchCV:
    return GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=MOST_STEPS)),
        {"logisticregression__C": STRENGTHS},
        scoring="neg_log_loss",
        cv=StratifiedKFold(min(FOLDS, max(2, smallest_class)), shuffle=True, random_state=0),
    )


def _folded(fitted: Pipeline) -> tuple[Float32Array, Float32Array]:
    """Weights (K, d) and biases (K,) of logits of the features as they are."""
    scaler, regression = fitted[0], fitted[1]
    weight, bias = regression.coef_, regression.intercept_
    if len(weight) == 1:  # of two classes the second alone has a score: half of it for one, half against the other
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    scaled = weight / scaler.scale_
    return scaled.astype(np.float32), (bias - scaled @ scaler.mean_).astype(np.float32)
