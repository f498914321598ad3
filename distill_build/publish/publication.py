"""What is published of a dataset: its exports, its lock and a card, as files by name."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

import msgspec

from distill_build.dataset.layout import EXPORTS, Dataset
from distill_build.dataset.lockfile import LOCK, Lock, read_lock, recipe_in
from distill_build.engine.artefacts import file_sha256
from distill_build.errors import UsageError
from distill_build.export import CARD, FORMATS, TRAIN, file_name, filled_in
from distill_build.publish.card import CardFacts, published_card
from distill_build.publish.own_words import parse_own_words
from distill_build.records import JsonObject
from distill_build.report.dataset import topic_of
from distill_build.report.facts import setting_groups
from distill_build.report.spending import spending_of
from distill_build.stages.default import graph_in


class Publication(msgspec.Struct, frozen=True):
    """A version as it is published. `files` maps names to what they hold: a file of the dataset, or a text. `licensed`
    is whether the card says on what terms it may be used."""

    name: str
    version: str
    files: Mapping[str, Path | bytes]
    licensed: bool

    def content(self, name: str) -> bytes:
        """The bytes of a file."""
        held = self.files[name]
        return held if isinstance(held, bytes) else held.read_bytes()

    def sha256(self, name: str) -> str:
        """The SHA-256 of a file, in hex."""
        held = self.files[name]
        return file_sha256(held) if isinstance(held, Path) else hashlib.sha256(held).hexdigest()


class Published(msgspec.Struct, frozen=True):
    """What a publication has changed where it went: names of files. `place` is where people find it."""

    place: str
    sent: Sequence[str]
    removed: Sequence[str]


def publication_of(dataset: Dataset, cache: Path | None, own: str, own_file: str) -> Publication:
    """What is to be published of `dataset`, whose files are as its lock says; `own` is what a person says of it, in
    `own_file`.

    Raises UsageError where it has no lock or no exports, or names a place of this machine, or for words of a person
    that cannot be read; DifferenceError for a lock that cannot be read.
    """
    lock = read_lock(dataset.artefact(LOCK))
    if lock is None:
        raise UsageError(f"{dataset.folder} has no {LOCK}, so it is no version yet: build it first")
    _refuse_places(lock)
    folder = dataset.artefact(EXPORTS)
    exports = {name: folder / name for name in sorted(lock.exports) if name != CARD}
    if not exports:
        raise UsageError(f"{dataset.folder} has no exports to publish: `distill-build export` writes them")
    words = parse_own_words(own, own_file, exports)
    card = published_card(_facts(dataset, lock, cache, exports), words).encode()
    files: dict[str, Path | bytes] = {**exports, CARD: card, LOCK: dataset.artefact(LOCK)}
    return Publication(lock.name, lock.version, files, "license" in words.keys)


def _refuse_places(lock: Lock) -> None:
    """The lock is published as it is, and others learn nothing of one's folders."""
    for place, value in lock.recipe.items():
        if isinstance(value, str) and (PurePath(value).is_absolute() or value.startswith("~")) and "\n" not in value:
            raise UsageError(
                f"{'.'.join(place)} in {LOCK} is {value}, a place on this machine, which would be published: name it "
                "from the project's root, as in ../student, and build"
            )


def _facts(dataset: Dataset, lock: Lock, cache: Path | None, exports: Mapping[str, Path]) -> CardFacts:
    export: JsonObject = dataset.recipe()["export"]
    sides = export["rows"].get("sides", [TRAIN])
    formats = [form for form in FORMATS if any(file_name(form, side) in exports for side in sides)]
    filled = filled_in(dataset.artefact(EXPORTS), formats, sides)
    recipe, graph = recipe_in(lock.recipe), graph_in(dataset)
    groups, _ = setting_groups({stage: _settings(own) for stage, own in recipe.items()})
    return CardFacts(
        name=lock.name,
        topic=topic_of(dataset, graph),
        version=lock.version,
        language=next(
            (own["language"] for own in recipe.values() if isinstance(own, dict) and "language" in own), None
        ),
        filled=filled,
        others=sorted(exports.keys() - {file_name(form, side) for form, sides in filled.items() for side in sides}),
        rows=_rows(exports, filled),
        counts=lock.counts,
        missing=lock.missing,
        asked=spending_of(dataset, graph, cache).by,
        prompts=dict(sorted(_prompts(recipe))),
        settings={group.name: group.settings for group in groups},
    )


def _settings(own: object) -> object:
    return {key: value for key, value in own.items() if key != "prompt"} if isinstance(own, dict) else own


def _prompts(recipe: JsonObject) -> Iterator[tuple[str, str]]:
    for own in recipe.values():
        prompts = own.get("prompt") if isinstance(own, dict) else None
        yield from prompts.items() if isinstance(prompts, dict) else ()


def _rows(exports: Mapping[str, Path], filled: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Rows by side, by the first format that has all of them, else by the first."""
    form = min(filled, key=lambda name: not FORMATS[name].has_all, default=None)
    if form is None:
        return {}
    return {side: FORMATS[form].count(exports[file_name(form, side)]) for side in filled[form]}
