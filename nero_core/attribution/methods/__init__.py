"""One file for each heatmap method; importing this package enters them into the registry, in the order of menus."""

# isort: off
from nero_core.attribution.methods import crp
from nero_core.attribution.methods import conservative_propagation
from nero_core.attribution.methods import instant_map
from nero_core.attribution.methods import gradient_times_input
from nero_core.attribution.methods import epsilon_plus_flat
from nero_core.attribution.methods import epsilon_alpha2_beta1_flat
from nero_core.attribution.methods import epsilon_gamma_box
from nero_core.attribution.methods import smooth_grad
from nero_core.attribution.methods import integrated_gradients
# isort: on

__all__ = [
    "conservative_propagation", "crp", "epsilon_alpha2_beta1_flat", "epsilon_gamma_box", "epsilon_plus_flat",
    "gradient_times_input", "instant_map", "integrated_gradients", "smooth_grad",
]  # fmt: skip
