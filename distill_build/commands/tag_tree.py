"""The tag tree of a built dataset with its counts, read from the dataset's files in one pass each."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from distill_build.artefact_rows import FailureRow, OfTag, TagRow, read_rows
from distill_build.errors import StorageError
from distill_build.records import Path as TagPath
from distill_build.stages.dataset import FAILURES, Dataset


@dataclass(slots=True)
class TagNode:
    """A tag, or the topic (`tag` is None). The counts are of all that is below it, a leaf's of its own.

    `failures` are those of this very place: a parent short of tags, a leaf short of questions or answers.
    """

    path: TagPath
    tag: TagRow | None
    tags: int = 0
    questions: int = 0
    answers: int = 0
    failures: list[FailureRow] = field(default_factory=list)
    children: "list[TagNode]" = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Items missing here and below."""
        return sum(row.missing for row in self.failures) + sum(child.missing for child in self.children)


@dataclass(frozen=True, slots=True)
class TagTree:
    """`root` is the topic; `nodes` are the tags by id, in tree order. `reached` are the artefacts there are."""

    root: TagNode
    nodes: dict[str, TagNode]
    reached: tuple[str, ...]


def load_tree(dataset: Dataset) -> TagTree:
    """The tree of `dataset`. Raises StorageError for files that cannot be read or do not fit each other."""
    tags = dataset.artefact("tags.jsonl")
    nodes = {tag.id: TagNode(tag.path, tag) for tag in read_rows(tags, TagRow)}
    failures = list(read_rows(dataset.artefact(FAILURES), FailureRow))
    root = TagNode(_topic(dataset, nodes, failures), None)
    parents = _hang(root, nodes, tags)
    files = {name: dataset.artefact(f"{name}.jsonl") for name in ("questions", "answers")}
    _count(parents, nodes, files["questions"], files["answers"])
    _place_failures([root, *nodes.values()], failures)
    return TagTree(root, nodes, ("tags", *(name for name, path in files.items() if path.exists())))


def _topic(dataset: Dataset, nodes: dict[str, TagNode], failures: list[FailureRow]) -> TagPath:
    """The path of the topic, which has no row of its own; a dataset with nothing in it is called by its folder."""
    paths = [*(node.path for node in nodes.values()), *(row.path for row in failures)]
    return paths[0][:1] if paths else (dataset.folder.resolve().name,)


def _hang(root: TagNode, nodes: dict[str, TagNode], file: Path) -> dict[str, TagNode]:
    """Puts every tag under its parent; returns the parents by the id of the child."""
    parents = {}
    for key, node in nodes.items():
        above = node.tag and node.tag.parent
        parent = nodes.get(above) if above else root
        if parent is None:
            raise StorageError(f"{file} names the parent {above}, which is not in it: build the dataset again")
        parent.children.append(node)
        parents[key] = parent
    return parents


def _count(parents: dict[str, TagNode], nodes: dict[str, TagNode], questions: Path, answers: Path) -> None:
    """Counts the rows of each leaf and adds them up towards the topic. Parents stand before their children."""
    asked = Counter(row.tag for row in read_rows(questions, OfTag))
    answered = Counter(row.tag for row in read_rows(answers, OfTag))
    for key, node in reversed(nodes.items()):
        node.questions += asked[key]
        node.answers += answered[key]
        parent = parents[key]
        parent.tags += 1 + node.tags
        parent.questions += node.questions
        parent.answers += node.answers


def _place_failures(nodes: list[TagNode], failures: list[FailureRow]) -> None:
    places = {node.path: node for node in nodes}
    for row in failures:
        if (node := places.get(row.path)) is not None:
            node.failures.append(row)
