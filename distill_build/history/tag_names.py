"""What the tags of a tree are called: by a model, and by people, who may call them otherwise while it is looked at.

Knows the labels of a tree alone. What is told of a tag may go by either path.
"""

from collections.abc import Iterable

from distill_build.records import RENAMED_FROM, JsonObject
from distill_build.records import Path as TagPath
from distill_build.replies.labels import normalise


class TagNames:
    """The tags as they were written, by what they are called: a model's own labels, and those that people see."""

    def __init__(self, rows: Iterable[JsonObject], topic: str) -> None:
        """`rows` are the lines of tags as they were written, in tree order."""
        self._rows: dict[str, JsonObject] = {str(row["id"]): row for row in rows}
        self._topic = topic
        self._own: dict[str, TagPath] = {}
        self._by_shown: dict[TagPath, TagPath] = {(topic,): ()}
        self._labels: dict[str, str] = {}
        self._ids: dict[TagPath, str] = {}
        for key, row in self._rows.items():
            above = self._own.get(row["parent"] or "", ())
            self._own[key] = (*above, row.get(RENAMED_FROM) or row["label"])
            self._by_shown[tuple(row["path"])] = self._own[key]
            self._ids[tuple(row["path"])] = key

    def own(self, key: str) -> TagPath:
        """The labels of a model's own, from level 1 on."""
        return self._own[key]

    def named(self, key: object, shown: TagPath) -> TagPath | None:
        """The own labels of a tag by its id, else by its path; of the topic none. None where there is no such."""
        if isinstance(key, str) and key in self._own:
            return self._own[key]
        return self._by_shown.get(shown)

    def has_child(self, above: TagPath, label: str) -> bool:
        """Whether a tag has a child that is called so."""
        below = ((shown, own) for shown, own in self._by_shown.items() if own and own[:-1] == above)
        return normalise(label) in {normalise(path[-1]) for paths in below for path in paths}

    def is_taken(self, key: str, label: str, gone: set[str]) -> bool:
        """Whether another tag beside it has or had the label."""
        row, wanted = self._rows[key], normalise(label)
        beside = (each for each in self._rows.values() if each["parent"] == row["parent"])
        names = (
            name
            for each in beside
            if each["id"] != key and each["id"] not in gone
            for name in (each["label"], each.get(RENAMED_FROM), self._labels.get(each["id"]))
        )
        return any(name is not None and normalise(name) == wanted for name in names)

    def rename(self, key: str, label: str) -> None:
        """Has a tag called otherwise: what is below it is found by either path."""
        self._labels[key] = label
        own = self._own[key]
        below = (row for row in self._rows.values() if self._own[row["id"]][: len(own)] == own)
        self._by_shown |= {self._shown(row): self._own[row["id"]] for row in below}

    def add(self, own: TagPath, shown: TagPath) -> None:
        """Has a tag that was not there."""
        self._by_shown[shown or (self._topic, *own)] = own

    def shown(self, path: TagPath) -> TagPath:
        """What a path is now."""
        return self._shown(self._rows[self._ids[path]]) if path in self._ids else path

    def _shown(self, row: JsonObject) -> TagPath:
        above = self._shown(self._rows[row["parent"]]) if row["parent"] else (self._topic,)
        return (*above, self._labels.get(row["id"]) or str(row["label"]))
