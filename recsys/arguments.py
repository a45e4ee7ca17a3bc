"""jsonargparse's complaints as one sentence, with the nearest known name where a name is wrong."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

_WRONG = re.compile(r"option '([\w.]+)'|arguments: --([\w.]+)|Key '([\w.]+)' is not expected", re.IGNORECASE)


def explain(message: str, known: Iterable[str]) -> str:
    """The message in one sentence; `known` are the names that a misspelt one may have meant."""
    sentence = " ".join(message.split()).replace("Parser key ", "").replace("<class '", "").replace("'>", "")
    literal = re.search(r'"([\w.]+)": Expected a typing.Literal\[(.*?)\]\. Got value: (.*)', sentence)
    if literal:
        key, choices, value = literal.groups()
        return f"{key} {value!r}: must be one of {choices}."
    union = re.search(r'"([\w.]+)": Does not validate .*Subtypes: \[(.*?)\].*Given value: (.*)', sentence)
    if union:
        key, types, value = union.groups()
        return f"{key}: {value!r} is none of {types.replace('NoneType', 'null')}."
    plain = re.search(r'"([\w.]+)": Expected an? (\w+)\. Got value: (.*)', sentence)
    if plain:
        key, kind, value = plain.groups()
        return f"{key}: {value!r} is no {kind}."
    imported = re.search(r'"([\w.]+)": .*import path string: ([\w.]+)', sentence)
    if imported:
        key, name = imported.groups()
        return f"{key} {name!r}: no such class.{_near(name, known)}"
    wrong = _WRONG.search(sentence)
    if wrong is None or "Did you mean" in sentence:
        return sentence
    name = next(group for group in wrong.groups() if group)
    return f"{sentence.rstrip('.')}.{_near(name, known)}"


def keys(parser: Any) -> set[str]:
    """Every setting of a parser and of the parsers of its subcommands."""
    found: set[str] = set()
    for action in parser._actions:
        found.add(action.dest)
        for subparser in (getattr(action, "_name_parser_map", None) or {}).values():
            found |= keys(subparser)
    return found


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, set(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
