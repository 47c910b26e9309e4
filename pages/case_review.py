"""Case review: drop images, read how unusual each of them is, and see why."""

from pathlib import Path

import streamlit as st

from pages.case_views import account, checks, covers, gallery, reasons, several, similar, verdict
from pages.shared import controls, door, reading, resources, session, uploads, widgets
from pages.shared.words import WHAT_YOU_GET, plain

FORMATS = ["jpg", "jpeg", "png", "tif", "tiff", "bmp", "webp"]


def uploader() -> None:
    """The one question of this page."""
    uploads.uploader(
        "Drop one image or many",
        type=FORMATS,
        accept_multiple_files=True,
        key=session.UPLOAD,
        on_change=session.take_upload,
        megabytes=session.LARGEST,
        help="JPEG, PNG, TIFF, BMP or WebP. The images stay on this computer.",
    )


def offer_examples(groups: dict[str, list[Path]]) -> None:
    """Bundled pictures to try it on; they are rendered, as are those of the reference that they belong to."""
    everything = [path for paths in groups.values() for path in paths]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Or try an example", anchor=False, width="content")
        st.button("Open all", on_click=session.take_examples, args=(everything,), key="all-examples", type="tertiary")
    for heading, paths in groups.items():
        st.caption(f"{heading} (rendered, not real)")
        with st.grid(6, min_column_width=100) as grid:
            for path in paths:
                name = path.stem.replace("-", " ")
                with grid.cell():
                    st.image(str(path), width="stretch", alt=f"Example: {name}")
                    st.button(name, on_click=session.take_examples, args=([path],), key=path.name, width="stretch")


def review(frame: session.Frame) -> None:
    """One image: verdict first, then why."""
    read = frame.reading
    assert read is not None, "only frames that were read are reviewed"
    if checks.nothing_to_judge(frame, read):
        return
    gallery.take_method(frame, read)
    whole = read
    left, right = st.columns([7, 5], gap="large")
    with left:
        checks.noticed(read)
        alpha, decision, sentence = verdict.card(read)
        reasons.show_sentence(frame, read, sentence)
    with right:
        picture = frame.decoded()
        st.image(picture, width="stretch", alt="The image under review", output_format="JPEG")
        st.text(f"{frame.name} · {picture.width} × {picture.height}")
        overall = st.empty()
    with left:
        verdict.histogram(read, alpha, decision)

    covers.check_by_covering(frame, read)
    st.subheader("Why this score", anchor=False)
    if read.explained != read.detector:
        account.whose(read)
        read = read.under(read.explained)
    if (explanation := read.explanation) is None:
        account.no_account(read)
        gallery.only_overall(frame, read, overall)
        similar.show(read)
        reasons.tell(frame, whole, sentence, None, None)
        return
    left, right = st.columns([8, 4], gap="large")
    with right:
        ranking = account.ranking_control(explanation)
        account.what_if(read, explanation, ranking)
    with left:
        account.account(explanation, ranking)

    st.subheader("Where the leading neurons looked", anchor=False)
    gallery_place = st.container()
    st.subheader("All neurons: this image beside usual ones", anchor=False)
    account.profile(read)
    similar.show(read)
    with gallery_place:
        cards, lay_over = gallery.gallery(frame, read, explanation, ranking, overall)
    reasons.tell(frame, whole, sentence, cards, lay_over)


door.enter()
entry = widgets.needed_reference()
uploader()
frames = session.case()
if not frames:
    widgets.describe(entry)
    with st.grid(3, min_column_width=240, border=True) as grid:
        for heading, text in WHAT_YOU_GET:
            with grid.cell():
                st.markdown(heading)
                st.caption(text)
    if entry.synthetic and any((examples := resources.examples()).values()):
        offer_examples(examples)
    widgets.make_charts_ready()
    st.stop()
with controls.errors_said():
    reference = resources.reference(entry.path)
    readable = reading.read_case(frames, reference, verdict.detector_control(reference))
    for frame in frames:
        if frame.error is not None:
            st.error(f"**{plain(frame.name)}** could not be read. {plain(frame.error)}")
    if len(readable) > 1:
        review(several.table(readable, verdict.current_alpha()))
    elif readable:
        review(readable[0])
