"""Where an item came from: for it and each tag above it the request that brought it, with the stored responses.

Knows a dataset's files and the cache; says nothing of it to anybody. What is no longer stored is a link that says so:
the others are as good as before.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from distill_build.artefact_rows import Identified, SourcesRow, read_rows_with_lines
from distill_build.calls.call import derived_seed
from distill_build.engine.entry import Attempt, Entry
from distill_build.engine.reading import Responses
from distill_build.errors import CorruptEntryError, UsageError
from distill_build.records import JsonObject, Path, Source, Usage, tag_id
from distill_build.replies.parse import Rejection, parse_answer, parse_items, read_usage
from distill_build.settings import Stage
from distill_build.stages.dataset import SOURCES, Dataset

ACCEPTED, SINCE, UNUSED = "accepted", "accepted since", "not used"
"""Verdicts beside a rejection's cause: the item was read from it; it stands in the cache since; another one stands."""

READERS: Mapping[Stage, Callable[[Any], Any]] = {
    "tags": lambda raw: parse_items(raw, "tags"),
    "questions": lambda raw: parse_items(raw, "questions"),
    "answers": parse_answer,
}


@dataclass(frozen=True, slots=True)
class Tried:
    """One response to a request, with what became of it; `detail` says what was wrong with a rejected one."""

    attempt: Attempt
    verdict: str
    detail: str = ""

    @property
    def usage(self) -> Usage:
        return read_usage(self.attempt.response)


@dataclass(frozen=True, slots=True)
class Link:
    """One item of a chain with the request behind it.

    `item` is a label or a question, empty for an answer, whose question is in the link before; `above` is the path
    below which it was asked for. `number` counts from 1 among the `requests` of that place. `lack` says what of this
    cannot be had; then `entry` may be None, and `tried` empty.
    """

    stage: Stage
    item: str
    above: Path
    requests: int
    number: int | None = None
    source: Source | None = None
    entry: Entry | None = None
    tried: tuple[Tried, ...] = ()
    lack: str = ""

    @property
    def used(self) -> Tried | None:
        """The response that the item was read from."""
        return next((tried for tried in self.tried if tried.verdict == ACCEPTED), None)

    @property
    def sent(self) -> JsonObject | None:
        """The request's body as it was sent for the response that is used, or for the first."""
        if self.entry is None:
            return None
        body: JsonObject = dict(self.entry.manifest["body"])
        attempt = self.used.attempt if self.used is not None else None
        if attempt is None or attempt.index == 0:
            return body
        body["messages"] = [*body["messages"], *attempt.added]
        if "seed" in body:
            body["seed"] = derived_seed(self.entry.manifest["seed"], self.entry.manifest["sample"], attempt.index)
        return body


def chain_of(dataset: Dataset, row: JsonObject, store: Responses) -> Iterator[Link]:
    """The links from the first tag below the topic to the item on `row`, a line of one of the artefacts.

    Raises UsageError where the dataset does not say which responses are behind it.
    """
    path = tuple(row["path"])
    ids = [path[0]]
    for label in path[1:]:
        ids.append(tag_id(ids[-1], label))
    sources = sources_behind(dataset, ids)
    for level, label in enumerate(path[1:], start=1):
        yield _brought("tags", label, path[:level], sources[ids[level - 1]].of("tags"), store)
    if "question" in row:
        yield _brought("questions", row["question"], path, sources[ids[-1]].of("questions"), store)
    if "answer" in row:
        yield _answered(row["call"], path, sources[ids[-1]].of("answers"), store)


def sources_behind(dataset: Dataset, ids: list[str]) -> dict[str, SourcesRow]:
    """The lines of the sources that belong to `ids`, by id; an empty line for one that was asked for nothing.

    The lines of a dataset with 100,000 answers are 20 MB, so that only those which are wanted are read whole.
    """
    file = dataset.artefact(SOURCES)
    if not file.exists():
        raise UsageError(
            f"there is no {SOURCES} beside the rows, which says from which responses they were read: build the dataset "
            "again, which asks for nothing that is in the cache"
        )
    rows = {key: SourcesRow(key, {}) for key in ids}
    for found, line in read_rows_with_lines(file, Identified):
        if found.id in rows:
            rows[found.id] = msgspec.json.decode(line, type=SourcesRow)
            if found.id == ids[-1]:  # it comes after all that are above it
                break
    return rows


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored behind a source: `place` is that of its response among the attempts, `lack` what is not there."""

    source: Source
    entry: Entry | None = None
    place: int | None = None
    lack: str = ""

    def items(self, stage: Stage) -> tuple[str, ...] | list[str]:
        """The items that were read from the response; none where it is not there."""
        if self.entry is None or self.place is None:
            return ()
        if self.entry.accepted is not None and self.entry.accepted.place == self.place:
            accepted: list[str] = self.entry.accepted.value
            return accepted
        value = READERS[stage](self.entry.attempts[self.place].response)
        return () if isinstance(value, Rejection) else value

    def link(self, stage: Stage, item: str, above: Path, number: int, requests: int) -> Link:
        tried = tuple(self._judged(stage, self.entry)) if self.entry is not None else ()
        return Link(stage, item, above, requests, number, self.source, self.entry, tried, self.lack)

    def _judged(self, stage: Stage, entry: Entry) -> Iterator[Tried]:
        for place, attempt in enumerate(entry.attempts):
            if place == self.place:
                yield Tried(attempt, ACCEPTED)
            elif entry.accepted is not None and place == entry.accepted.place:
                yield Tried(attempt, SINCE)
            else:
                value = READERS[stage](attempt.response)
                rejected = isinstance(value, Rejection)
                yield Tried(attempt, value.cause, value.detail) if rejected else Tried(attempt, UNUSED)


def _look_up(source: Source, store: Responses) -> _Stored:
    key, response = source
    try:
        entry = store.get(key)
    except CorruptEntryError as error:
        return _Stored(source, lack=str(error))
    if entry is None:
        return _Stored(source, lack=f"response {response} is no longer in the cache, nor is what was asked for it")
    if entry.accepted is not None and entry.response == response:
        return _Stored(source, entry, entry.accepted.place)
    place = next((place for place, attempt in enumerate(entry.attempts) if attempt.digest == response), None)
    lack = f"response {response} is no longer in the cache; others to the same request are" if place is None else ""
    return _Stored(source, entry, place, lack)


def _brought(stage: Stage, item: str, above: Path, requests: tuple[Source, ...], store: Responses) -> Link:
    """The first request whose accepted reply holds `item`: a later one that repeats it brought nothing.

    Where none does, and the reply to one alone is gone, it was that one.
    """
    gone: list[tuple[int, _Stored]] = []
    for number, source in enumerate(requests, start=1):
        stored = _look_up(source, store)
        if item in stored.items(stage):
            return stored.link(stage, item, above, number, len(requests))
        if stored.lack:
            gone.append((number, stored))
    if len(gone) == 1:
        number, stored = gone[0]
        return stored.link(stage, item, above, number, len(requests))
    return Link(stage, item, above, len(requests), lack=_not_found(len(requests), len(gone)))


def _not_found(requests: int, gone: int) -> str:
    if not requests:
        return f"{SOURCES} names no request for it: build again, which asks for nothing that is in the cache"
    if gone:
        return f"it came by one of the {gone} responses, of {requests}, that are no longer in the cache"
    return f"no reply holds it as replies are read now; requests for it: {requests}"


def _answered(call: str, path: Path, answers: tuple[Source, ...], store: Responses) -> Link:
    """Within a leaf, a call stands for one answer: questions differ, and samples do."""
    source = next((source for source in answers if source[0] == call), None)
    if source is None:
        return Link("answers", "", path, 1, lack=_not_found(0, 0))
    return _look_up(source, store).link("answers", "", path, 1, 1)
