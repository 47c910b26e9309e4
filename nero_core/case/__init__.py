"""One image held against a reference, used by page, command line and report alike."""

from nero_core.case.case import ALL, Case, open_case
from nero_core.case.concepts import Concept, group
from nero_core.case.covering import CoverTest, cover_test
from nero_core.case.covers import Cover, Fill, before_and_after, covered, drawn_cover, parse_cover, suggested_covers
from nero_core.case.leading import Leading, leading_neurons, seen_part
from nero_core.case.over_places import on_the_image
from nero_core.case.panel import MemberReading, explained_by, members_in_words, read_members
from nero_core.case.why import Why, tell_why

__all__ = [
    "ALL",
    "Case",
    "Concept",
    "Cover",
    "CoverTest",
    "Fill",
    "Leading",
    "MemberReading",
    "Why",
    "before_and_after",
    "cover_test",
    "covered",
    "drawn_cover",
    "explained_by",
    "group",
    "leading_neurons",
    "members_in_words",
    "on_the_image",
    "open_case",
    "parse_cover",
    "read_members",
    "seen_part",
    "suggested_covers",
    "tell_why",
]
