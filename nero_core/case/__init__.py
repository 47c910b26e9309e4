"""One image held against a reference, used by page, command line and report alike."""

from nero_core.case.case import ALL, Case, open_case
from nero_core.case.covers import Cover, CoverTest, Fill, cover_test, covered, parse_cover
from nero_core.case.panel import MemberReading, explained_by, read_members

__all__ = [
    "ALL",
    "Case",
    "Cover",
    "CoverTest",
    "Fill",
    "MemberReading",
    "cover_test",
    "covered",
    "explained_by",
    "open_case",
    "parse_cover",
    "read_members",
]
