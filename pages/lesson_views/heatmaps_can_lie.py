"""To come on this branch."""

from pages.lesson_views.frame import Answer, Lesson, Question


def before(lesson: Lesson) -> None:
    """To come."""


def question(lesson: Lesson) -> Question:
    """To come."""
    return Question({"a": "a", "b": "b"})


def answer(lesson: Lesson) -> Answer:
    """To come."""
    return Answer("a", "")


def explore(lesson: Lesson) -> None:
    """To come."""
