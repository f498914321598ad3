"""A tree by hand as the text of a tree.yaml."""

from typing import Any

import yaml

from distill_build.curate.tree_file import TOPIC
from distill_build.subtree import TagByHand, said_of

HEADING = """\
# The tags of {topic}, by hand: put this into tree.yaml beside conf/, or into curate/{name}/tree.yaml, and change it.
#
#   tags          children, in order; a model adds others up to breadth, unless `only: true` stands beside them
#   rename        {{Old label: New label}}: keeps all that is below, and asks nothing
#   about         {{Label: ...}}: what holds below a tag of a model's, which stays where it is
#   exclude       [Label]: throws out a branch for nothing, and it comes back for nothing
#   breadth, depth, questions_per_tag, description, answer    for this part of the tree
#
# `distill-build plan` says what a change asks for.
"""
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def tree_text(tag: TagByHand, title: str, name: str, topic: str | None = None) -> str:
    """The text; `name` is that of the dataset. Where there is a `topic` it is for no other one."""
    said = ({TOPIC: topic} if topic is not None else {}) | said_of(tag)
    body = yaml.dump(said, Dumper=_DUMPER, allow_unicode=True, sort_keys=False, width=120) if said else "tags: {}\n"
    return HEADING.format(topic=" ".join(title.split()), name=name) + body
