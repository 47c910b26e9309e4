"""The renderer: the same pixels again, classes that can be told apart, equipment that tells nothing."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.stats import chi2_contingency
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nero_core.data.scenes import CLASSES, OOD_KINDS, field, nuisances, optics, render

KINDS = CLASSES + OOD_KINDS


def digest(images):
    return hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()


def pixels(kind, seed, size=96):
    return np.asarray(render(kind, seed, size), np.float64)


def seeds_where(kind, holds, count=3):
    """The first seeds whose nuisances fulfil a condition."""
    found = [seed for seed in range(400) if holds(nuisances(kind, seed))]
    assert len(found) >= count
    return found[:count]


# --- the same pixels -------------------------------------------------------------------------------------------


def test_the_names_are_those_that_were_agreed():
    assert CLASSES == ("pylorus", "z-line", "cecum")
    assert set(OOD_KINDS) == {
        *("polyp", "ulcer", "blood", "dyed-lifted", "instrument"),
        *("blur", "colour-cast", "overlay-text", "inset-picture", "not-endoscopy"),
    }
    assert len(set(KINDS)) == 13


def test_same_arguments_same_pixels_here_and_in_another_process():
    here = digest([render(kind, 7, 40) for kind in KINDS])
    assert digest([render(kind, 7, 40) for kind in KINDS]) == here
    code = (
        "import hashlib, sys\n"
        "from nero_core.data.scenes import CLASSES, OOD_KINDS, render\n"
        "data = b''.join(render(kind, 7, 40).tobytes() for kind in reversed(CLASSES + OOD_KINDS))\n"
        "frames = [data[i : i + 40 * 40 * 3] for i in range(0, len(data), 40 * 40 * 3)]\n"
        "print(hashlib.sha256(b''.join(reversed(frames))).hexdigest())\n"
        "print(sorted(m for m in sys.modules if m.startswith('nero_core.') and 'scenes' not in m))\n"
        "print('torch' in sys.modules, 'scipy' in sys.modules)\n"
    )
    # Frames are made there in the opposite order: none may depend on what was rendered before it.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [here, "['nero_core.data']", "False False"]


def test_rendering_neither_reads_nor_moves_the_global_random_state():
    np.random.seed(1)  # noqa: NPY002 - it is the global state that is looked at
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = digest([render("cecum", 0, 64)])
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert digest([render("cecum", 0, 64)]) == first


@pytest.mark.parametrize("kind", KINDS)
def test_other_seeds_give_other_frames(kind):
    frames = [pixels(kind, seed, 64) for seed in range(4)]
    for i in range(4):
        for j in range(i):
            assert np.abs(frames[i] - frames[j]).mean() > 4


def test_a_seed_may_be_a_numpy_integer():
    assert digest([render("z-line", np.int64(3), 64)]) == digest([render("z-line", 3, 64)])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_renders_small(kind):
    for size in (96, 33):
        image = render(kind, 1, size)
        assert image.mode == "RGB"
        assert image.size == (size, size)
        assert np.asarray(image).std() > 10


@pytest.mark.parametrize(
    ("kind", "size"), [("pylorus", 320), ("polyp", 225), ("instrument", 640), ("overlay-text", 640)]
)
def test_sizes_show_the_same_scene(kind, size):
    large = render(kind, 5, size)
    assert large.size == (size, size)
    small = np.asarray(render(kind, 5, 96).resize((16, 16), Image.Resampling.BOX), np.float64)
    shrunk = np.asarray(large.resize((16, 16), Image.Resampling.BOX), np.float64)
    assert np.abs(small - shrunk).mean() < 6


# --- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["colon", "", "Pylorus", "pylorus ", None, 3])
@pytest.mark.parametrize("call", [render, nuisances])
def test_an_unknown_kind_is_refused_by_name_and_all_kinds_are_named(call, wrong):
    with pytest.raises(ValueError, match="choose one of") as caught:
        call(wrong, 0)
    message = str(caught.value)
    assert repr(wrong) in message
    assert all(kind in message for kind in KINDS)


@pytest.mark.parametrize("size", [31, 0, -5])
def test_a_frame_too_small_to_show_anything_is_refused(size):
    with pytest.raises(ValueError, match=f"`size` is {size}; wanted at least 32"):
        render("cecum", 0, size)


# --- classes ---------------------------------------------------------------------------------------------------


def features(image):
    """Mean colour of the middle (3 numbers), then quantiles of its brightness, redness and blueness."""
    frame = np.asarray(image, np.float64) / 255
    line = (np.arange(len(frame)) + 0.5) / len(frame) - 0.5
    middle = frame[np.hypot(line, line[:, None]) < 0.4]
    hue = middle / (middle.sum(1, keepdims=True) + 0.05)
    levels = (5, 25, 50, 75, 95)
    spread = [np.percentile(values, levels) for values in (*middle.T, hue[:, 0], hue[:, 2])]
    return np.concatenate([middle.mean(0), *spread, hue.std(0)])


def test_a_simple_classifier_tells_the_classes_apart_and_colour_alone_does_not_do_it():
    fitting, testing = range(45), range(1000, 1030)
    x, u = (np.array([features(render(k, s, 64)) for k in CLASSES for s in seeds]) for seeds in (fitting, testing))
    y, v = (np.repeat(range(len(CLASSES)), len(seeds)) for seeds in (fitting, testing))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=3000))
    accuracy = model.fit(x, y).score(u, v)
    colour = model.fit(x[:, :3], y).score(u[:, :3], v)
    assert accuracy > 0.65  # chance is 1/3, give or take 0.05
    assert colour < accuracy - 0.1


# --- equipment -------------------------------------------------------------------------------------------------

DRAWN = {
    "mask": lambda n: n.mask,
    "border": lambda n: int(n.border / 0.07 * 4),
    "cut": lambda n: int(n.cut * 4),
    "backdrop": lambda n: n.backdrop // 4,
    "red": lambda n: n.gains[0] > 1,
    "green": lambda n: n.gains[1] > 1,
    "exposure": lambda n: n.exposure > 0.58,
    "saturation": lambda n: n.saturation > 1.1,
    "contrast": lambda n: n.contrast > 0.35,
    "text": lambda n: len(n.text),
    "inset": lambda n: n.inset,
    "bubbles": lambda n: n.bubbles > 0,
    "residue": lambda n: n.residue > 0,
    "softness": lambda n: n.softness > 0.67,
    "fringe": lambda n: n.fringe > 0.6,
    "noise": lambda n: n.noise > 4.2,
    "interlaced": lambda n: n.interlaced,
}


@pytest.fixture(scope="module")
def drawn():
    """Nuisances of 1,500 seeds of each kind."""
    return {kind: [nuisances(kind, seed) for seed in range(1500)] for kind in KINDS}


@pytest.mark.parametrize("what", DRAWN)
def test_no_nuisance_depends_on_the_kind(drawn, what):
    values = sorted({DRAWN[what](n) for kind in KINDS for n in drawn[kind]})
    assert len(values) > 1
    table = np.array([[sum(DRAWN[what](n) == value for n in drawn[kind]) for value in values] for kind in KINDS])
    assert (table >= 5).all()
    assert chi2_contingency(table).pvalue > 1e-3
    assert chi2_contingency(table[: len(CLASSES)]).pvalue > 1e-3


def test_the_table_above_leaves_no_nuisance_out(drawn):
    names = set(vars(drawn["cecum"][0]))
    assert names - {"gains"} == set(DRAWN) - {"red", "green"}


def test_nuisances_are_mild_and_repeat(drawn):
    assert nuisances("cecum", 11) == drawn["cecum"][11]
    everything = [n for kind in CLASSES for n in drawn[kind]]
    share = {what: np.mean([bool(DRAWN[what](n)) for n in everything]) for what in ("text", "inset", "interlaced")}
    assert share["text"] == pytest.approx(0.3, abs=0.03)
    assert share["inset"] == pytest.approx(0.2, abs=0.03)
    assert share["interlaced"] == pytest.approx(0.08, abs=0.02)
    assert all(len(n.text) <= 4 for n in everything)


@pytest.mark.parametrize("kind", [*CLASSES, "polyp", "blur"])
def test_the_frame_wears_what_its_record_says(kind):
    for seed in seeds_where(kind, lambda n: n.inset and n.mask == "octagon"):
        corner = pixels(kind, seed)[-10:-4, 3:9].reshape(-1, 3)
        assert np.median(corner[:, 1] - corner[:, 0]) > 15
    for seed in seeds_where(kind, lambda n: not n.inset and not n.text and n.mask != "none" and n.cut > 0.5):
        backdrop = nuisances(kind, seed).backdrop
        frame = pixels(kind, seed)
        assert (frame[:3, :3] == backdrop).all()
        assert (frame[-3:, :3] == backdrop).all()
    for seed in seeds_where(kind, lambda n: n.mask == "none" and n.border < 0.01 and not n.text and not n.inset):
        assert pixels(kind, seed)[2:8, 2:8].mean() > 30


# --- shifts ----------------------------------------------------------------------------------------------------


def detail(kind, seed):
    """Strength of the detail that is finer than a fortieth of the frame and coarser than the noise."""
    grey = np.asarray(render(kind, seed, 240).convert("L").resize((80, 80), Image.Resampling.BOX), np.float64)[
        16:-16, 16:-16
    ]
    return np.abs(np.diff(grey, 2, axis=0)).mean()


def test_shifts_are_far_beyond_the_nuisances():
    known = [(kind, seed) for kind in CLASSES for seed in range(10)]
    frames = [pixels(kind, seed, 160) for kind, seed in known]

    def tint(frame):
        colour = frame[40:120, 40:120].mean((0, 1))
        return colour / colour.sum()

    tints = np.array([tint(frame) for frame in frames])
    apart = np.linalg.norm(tints[:, None] - tints, axis=2) + np.eye(len(tints))
    neighbour = np.median(apart.min(1))  # how far a known frame's colour is from the next one's

    def green(frame):
        return (frame[..., 1] > 1.5 * frame[..., 0] + 30).mean()

    def ink(frame):
        return (np.abs(frame - (235, 240, 235)).max(2) < 12).mean()

    assert max(green(frame) for frame in frames) < 0.03
    assert np.median([ink(frame) for frame in frames]) < 0.005
    for seed in range(5):
        assert green(pixels("inset-picture", seed, 160)) > 0.08
        assert ink(pixels("overlay-text", seed, 160)) > 0.012
        hue = tint(pixels("colour-cast", seed, 160))
        assert np.linalg.norm(tints - hue, axis=1).min() > 10 * neighbour
    blurred = [detail("blur", seed) for seed in range(5)]
    sharp = [detail(kind, seed) for kind in CLASSES for seed in range(3)]
    assert np.median(blurred) < 0.6 * np.median(sharp)


def test_findings_bring_their_colours():
    def share(kind, condition, seeds=range(6)):
        return np.mean([condition(*pixels(kind, seed, 64)[13:-13, 13:-13].transpose(2, 0, 1)).mean() for seed in seeds])

    def deep_red(r, g, b):
        return (r > 60) & (g < 0.35 * r) & (b < 0.35 * r)

    def blue(r, g, b):
        return (b > r + 10) & (b > 60)

    known_red = np.mean([share(kind, deep_red) for kind in CLASSES])
    known_blue = np.mean([share(kind, blue) for kind in CLASSES])
    assert share("blood", deep_red) > known_red + 0.1
    assert share("dyed-lifted", blue) > known_blue + 0.05


# --- fields and optics against slow twins ----------------------------------------------------------------------


def test_wave_and_turn_are_near_the_functions_they_stand_for():
    turns = np.linspace(-2, 2, 401, dtype=np.float32)
    assert np.abs(field.wave(turns) - np.sin(2 * math.pi * turns)).max() < 0.06
    assert field.wave(np.float32([0, 0.25, 0.5, 0.75, 1.125])).tolist() == [0, 1, 0, -1, 0.75]
    angles = np.linspace(0.001, 0.999, 500)
    x, y = (f(2 * math.pi * angles).astype(np.float32) for f in (np.cos, np.sin))
    assert np.abs(field.turn(x, y) - angles).max() < 1e-3


def test_smooth_unions_equal_the_plain_ones_away_from_the_seam_and_round_it():
    a, b = np.float32([0, 1, 2, 5]), np.float32([4, 1, 2.5, 1])
    assert field.smin(a, b, 1).tolist() == [0, 0.75, 1.9375, 1]
    assert field.smax(a, b, 1).tolist() == [4, 1.25, 2.5625, 5]


def test_sample_is_a_periodic_bilinear_look_up():
    rng = np.random.default_rng(0)
    texels = rng.random((field.TILE**2, 2)).astype(np.float32)
    u, v = rng.uniform(-2, 2, (2, 50)).astype(np.float32)
    seen = field.sample(texels, u, v)
    grid = texels.reshape(field.TILE, field.TILE, 2)
    for k in range(50):
        at_u, at_v = float(u[k]) * field.TILE, float(v[k]) * field.TILE
        i, j = math.floor(at_u), math.floor(at_v)
        wanted = np.zeros(2)
        for di in (0, 1):
            for dj in (0, 1):
                weight = (1 - abs(at_u - i - di)) * (1 - abs(at_v - j - dj))
                wanted += weight * grid[(j + dj) % field.TILE, (i + di) % field.TILE]
        assert seen[k] == pytest.approx(wanted, abs=1e-3)


def test_tiles_are_seamless_and_cannot_be_changed():
    texels = field.tile(0)
    grid = texels.reshape(field.TILE, field.TILE, 4)
    inner = np.abs(np.diff(grid, axis=0)).mean((0, 1))
    seam = np.abs(grid[0] - grid[-1]).mean(0)
    assert (seam < 3 * inner).all()
    with pytest.raises(ValueError, match="read-only"):
        texels[0] = 0


def camera(**changes):
    settings = {"origin": (0.1, -0.2, 0.0), "yaw": 0.2, "pitch": -0.1, "roll": 0.7, "view": 2.0, "lamp": (0.0, 0.0)}
    return optics.Camera(**(settings | changes))


def test_rays_are_unit_and_span_the_angle_of_view():
    dx, dy, dz = camera(yaw=0, pitch=0, roll=0).rays(101)
    assert np.abs(dx * dx + dy * dy + dz * dz - 1).max() < 1e-5
    assert (dx[50 * 101 + 50], dy[50 * 101 + 50], dz[50 * 101 + 50]) == pytest.approx((0, 0, 1), abs=1e-6)
    edge = math.acos(dz[50 * 101 + 100])
    assert edge == pytest.approx(1.0, abs=0.02)  # half of the view, less half a pixel


def test_rays_in_a_ball_end_on_the_ball():
    """Distance along a ray from p to a sphere of radius R round 0: −p·d + √((p·d)² − p² + R²)."""
    radius, size, eye = 1.3, 32, camera()
    surface = optics.see(lambda x, y, z: radius - np.sqrt(x * x + y * y + z * z), eye, size)
    p, at = np.array(eye.origin), surface.point.T
    depth = np.linalg.norm(at - p, axis=1)
    for pixel, d in enumerate(np.stack(eye.rays(size), axis=1).astype(np.float64)):
        wanted = -p @ d + math.sqrt((p @ d) ** 2 - p @ p + radius**2)
        assert depth[pixel] == pytest.approx(wanted, abs=0.01)
    assert np.abs(surface.normal.T + at / radius).max() < 0.1  # towards the middle


def test_the_wall_darkens_with_the_square_of_the_distance():
    eye = camera(origin=(0.0, 0.0, 0.0))
    flat, dry = np.zeros((32 * 32, 2), np.float32), np.zeros(32 * 32, np.float32)
    grey = np.full((32 * 32, 3), 0.1, np.float32)
    bright = []
    for radius in (1.0, 2.0):
        ball = optics.see(lambda x, y, z, r=radius: r - np.sqrt(x * x + y * y + z * z), eye, 32)
        bright.append(optics.light(ball, eye, grey, flat, dry).mean())
    assert 3.5 < bright[0] / bright[1] < 6
