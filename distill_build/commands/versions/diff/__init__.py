"""`diff`: compares two versions of a dataset item by item, and says which setting or prompt is behind what differs."""

import os
import re

from distill_build.commands.versions.diff.comparison import comparison_of
from distill_build.commands.versions.diff.document import difference_document
from distill_build.commands.versions.diff.item import find_pair, item_document, item_text
from distill_build.commands.versions.diff.sides import find_sides
from distill_build.commands.versions.diff.text import difference_text
from distill_build.console.page import line_width, open_page, print_document
from distill_build.options import Options

ITEM = re.compile(r"[\w-]+_[0-9a-f]{0,16}")


def run(options: Options) -> int:
    """Compares the versions that the words name; returns 0, or under --exit-code 1 where they differ.

    One name is compared with what the folder holds; where none is said, the latest version with the one before it.
    """
    names, item = words_of(options.arguments)
    old, new, cache = find_sides(options, names)
    comparison = comparison_of(old, new, cache)
    if item is not None:
        pair = find_pair(comparison, item)
        shown, lines = item_document(comparison, pair), item_text(comparison, pair)
    else:
        shown = difference_document(comparison, whole=options.verbose)
        lines = difference_text(comparison, options, line_width())
    if options.json:
        print_document(shown)
    else:
        page = open_page()
        for line in lines:
            page.line(*line)
    return 1 if options.exit_code and comparison.differs else 0


def words_of(arguments: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """The names of the versions, two at most, and the id of an item, which stands last."""
    last = len(arguments) - 1
    item = arguments[last] if arguments and (last == 2 or _is_id(arguments[last])) else None
    return arguments[:last] if item is not None else arguments, item


def _is_id(word: str) -> bool:
    """Whether a word is an id, or its beginning, and not the folder of a dataset."""
    return ITEM.fullmatch(word) is not None and not os.path.exists(word)  # noqa: PTH110 - it may be too long for a path
