"""Group ``rule``: what annotator=rule adds up. A frozen dataclass ``(prompt, response, answer) -> number``.

Rules stand in a list (``annotator.rules``), so they have no files under conf/: their fields are their keys.
"""
