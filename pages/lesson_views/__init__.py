"""Views of the Lesson page: the frame around a step, and one file for each step."""
