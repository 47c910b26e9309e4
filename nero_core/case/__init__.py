"""One image held against a reference, used by page, command line and report alike."""

from nero_core.case.case import ALL, Case, open_case
from nero_core.case.panel import MemberReading, explained_by, members_in_words, read_members

__all__ = ["ALL", "Case", "MemberReading", "explained_by", "members_in_words", "open_case", "read_members"]
