"""Out-of-distribution detectors behind one contract; importing this package fills the registry.

Other installed packages add detectors of theirs by an entry point of the group ``nero.detectors``, a module that
defines them under :func:`register`.
"""

from nero_core.detectors.base import Detector, DetectorInfo, ExplainedDetector, Paper
from nero_core.detectors.cadref import CADRef, CARef
from nero_core.detectors.itp import Itp
from nero_core.detectors.knn import KNN
from nero_core.detectors.line import Line
from nero_core.detectors.mahalanobis import RMD, Mahalanobis
from nero_core.detectors.mahalanobis_pp import MahalanobisPP
from nero_core.detectors.nap import Nap
from nero_core.detectors.ncdd import Ncdd
from nero_core.detectors.neco import Neco
from nero_core.detectors.nero import Nero
from nero_core.detectors.network_passes.gram import Gram
from nero_core.detectors.network_passes.nac import NAC
from nero_core.detectors.network_passes.odin import ODIN
from nero_core.detectors.network_passes.rankfeat import RankFeat
from nero_core.detectors.panel import Panel
from nero_core.detectors.places.base import OnPlaces
from nero_core.detectors.places.patch_gaussian import PatchGaussian
from nero_core.detectors.places.patch_knn import PatchKNN
from nero_core.detectors.places.pseudo_lesion import PseudoLesion
from nero_core.detectors.pytorch_ood.features import DICE, FDBD, NCI, SHE, GradNorm, NNGuide
from nero_core.detectors.pytorch_ood.logits import GEN, MSP, Energy, Entropy, KLMatching, MaxLogit, TemperatureScaling
from nero_core.detectors.pytorch_ood.shaping import ASH, SCALE, VRA, ReAct
from nero_core.detectors.registry import DETECTORS, describe_detectors, make_detector, paper_of, register
from nero_core.detectors.stage_knn import StageKNN
from nero_core.detectors.stage_mahalanobis import StageMahalanobis
from nero_core.detectors.vim import ViM
from nero_core.entry_points import load_entry_points

__all__ = [
    "ASH", "DETECTORS", "DICE", "FDBD", "GEN", "KNN", "MSP", "NAC", "NCI", "ODIN", "RMD", "SCALE", "SHE", "VRA",
    "CADRef", "CARef", "Detector", "DetectorInfo", "Energy", "Entropy", "ExplainedDetector", "GradNorm", "Gram",
    "Itp", "KLMatching", "Line", "Mahalanobis", "MahalanobisPP", "MaxLogit", "NNGuide", "Nap", "Ncdd", "Neco", "Nero",
    "OnPlaces", "Panel", "Paper", "PatchGaussian", "PatchKNN", "PseudoLesion", "RankFeat", "ReAct", "StageKNN",
    "StageMahalanobis", "TemperatureScaling", "ViM", "describe_detectors", "make_detector", "paper_of", "register",
]  # fmt: skip

ENTRY_POINTS = "nero.detectors"
"""The group under which other packages name modules with detectors of theirs."""

load_entry_points(ENTRY_POINTS)
