"""The parts of a dataset that people own, as settings. A dataset's own folder comes before the project's root."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from distill_build.curate.files import ITEM_SUFFIXES, REVIEWS, TREE, file_of
from distill_build.curate.unread import SaysSomething, unread_files
from distill_build.dataset.lockfile import LOCK
from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.settings import Settings, declared_tree, graph_of
from distill_build.subtree import ANSWER, CHILDREN, EXCLUDE, NOTHING_SAID, TagByHand, answers_said


def with_parts_by_hand(settings: Settings) -> Settings:
    """`settings` with what these files say. Raises ConfigurationError for one that cannot be used."""
    if (tree_file := file_of(settings.name, TREE)) is not None:
        from distill_build.curate.tree_file import read_tree

        tree = read_tree(tree_file, settings.topic)
        settings = settings if tree is None else replace(settings, by_hand=tree)
    for shape in _lists(settings):
        settings = _with_items(settings, shape)
    if declared_tree(settings).empty and tree_file is not None:
        raise _nothing_left(settings, tree_file)
    if (file := file_of(settings.name, REVIEWS)) is not None:
        from distill_build.curate.reviews_file import read_reviews

        reviews = read_reviews(file, settings.topic)
        said = {key: review for key, review in sorted(reviews.items()) if review.verdict is not None}
        settings = replace(settings, reviews=said)
    built = {place.parent.name for place in Path(settings.output_dir).glob(f"*/{LOCK}")}
    return replace(settings, unread=tuple(unread_files(settings.name, dict(_readers(settings)), built)))


def check_answers_by_hand(settings: Settings) -> None:
    """Raises ConfigurationError for what answers to a part of the tree cannot be held to. Not for who names a dataset,
    whose rows go by other settings than these."""
    for path, said in answers_said(settings.by_hand):
        from distill_build.curate.tree_file import line_of
        from distill_build.stages.kinds.answering import check_said

        try:
            check_said({name: settings.stage[name] for name in settings.stages}, said)
        except ConfigurationError as error:
            file, tag = file_of(settings.name, TREE), " / ".join((settings.topic, *path))
            assert file is not None, "it says something"  # noqa: S101
            raise ConfigurationError(f"{line_of(file, ANSWER, path)}: {tag}: {error}") from error


def _lists(settings: Settings) -> list[Shape]:
    """The stages that items of a person's own are of."""
    return [shape for shape in graph_of(settings) if shape.kind == "list" and shape.after is not None]


def _readers(settings: Settings) -> Iterator[tuple[str, SaysSomething]]:
    """The files that people may have, each with what tells whether anything in one is for this dataset."""

    def tree(file: Path) -> bool:
        from distill_build.curate.tree_file import read_tree

        return read_tree(file, settings.topic) is not None

    def reviews(file: Path) -> bool:
        from distill_build.curate.reviews_file import read_reviews

        return bool(read_reviews(file, settings.topic))

    yield from ((TREE, tree), (REVIEWS, reviews))
    for shape in _lists(settings):
        for suffix in ITEM_SUFFIXES:
            yield f"{shape.name}{suffix}", partial(_has_items, replace(settings, by_hand=NOTHING_SAID), shape)


def _has_items(settings: Settings, shape: Shape, file: Path) -> bool:
    return _with_items_in([file], settings, shape) != settings.by_hand


def _nothing_left(settings: Settings, file: Path) -> ConfigurationError:
    """What to raise for a tree without a tag or an item of anybody's."""
    from distill_build.curate.tree_file import line_of

    if settings.by_hand.children:
        key = EXCLUDE if settings.by_hand.exclude else CHILDREN
        return ConfigurationError(
            f"{line_of(file, key)}: {EXCLUDE} leaves nothing below {settings.topic}: take a label out of it"
        )
    key, said = ("only", "only: true") if settings.by_hand.only else ("depth", "depth: 0")
    return ConfigurationError(
        f"{line_of(file, key)}: `{said}` leaves nothing below {settings.topic}: name its tags under `tags:`, or take "
        f"{key} out"
    )


def _with_items(settings: Settings, shape: Shape) -> Settings:
    """`settings` with a person's own items of a list."""
    places = (file_of(settings.name, f"{shape.name}{suffix}") for suffix in ITEM_SUFFIXES)
    files = [file for file in places if file is not None]
    return replace(settings, by_hand=_with_items_in(files, settings, shape)) if files else settings


def _with_items_in(files: list[Path], settings: Settings, shape: Shape) -> TagByHand:
    from distill_build.curate.items_file import with_items  # most datasets have none, and it takes time to load
    from distill_build.stages.classes import item_column

    column = item_column(settings.stage[shape.name])
    return with_items(settings.by_hand, files, shape.name, column, settings.topic)
