"""Errors as one line that may be kept: in a table, a log, on a screen."""

import re

from keyart.errors import KeyartError
from keyart.secrecy import hidden

__all__ = ["failure_lines", "one_line"]

LONGEST = 300
"""Characters of an error's line."""
QUOTED = re.compile(r"(?P<mark>['\"]).*?(?P=mark)")


def one_line(error: BaseException) -> str:
    """The error in one line. What others than keyart raise may quote a row of a log: quoted text is left out of it.

    >>> one_line(ValueError("cannot cast 'anna@example.org' to int\\nmore"))
    "ValueError: cannot cast '...' to int"
    """
    first = hidden(next((line.strip() for line in str(error).splitlines() if line.strip()), ""))
    if isinstance(error, KeyartError):
        return first[:LONGEST]
    return f"{type(error).__name__}: {without_values(first)}"[:LONGEST].rstrip(": ")


def without_values(text: str) -> str:
    """``text`` without what stands in quotes, which may be a value of a row.

    >>> without_values("no 'x' in \\"y\\"")
    'no \\'...\\' in "..."'
    """
    return QUOTED.sub(lambda found: f"{found['mark']}...{found['mark']}", text)


def failure_lines(states: list[tuple[str, str, str]]) -> list[str]:
    """A line for each failed stage of (job, state, error), with the stages it kept from running.

    >>> failure_lines([("a", "failed", "no disk"), ("b", "blocked", "needs a"), ("c", "done", "")])
    ['a failed: no disk (not run because of it: b)']
    """
    lines = []
    for job, state, error in states:
        if state == "failed":
            kept = [
                other
                for other, how, why in states
                if how == "blocked" and job in why.removeprefix("needs ").split(", ")
            ]
            lines.append(f"{job} failed: {error}" + (f" (not run because of it: {', '.join(kept)})" if kept else ""))
    return lines
