"""The tree while it grows: a node for every tag, with its chain of children or of questions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from distill_build.records import Answer, Failure, JsonObject, Path, Question, Source, Tag, question_id, tag_id

if TYPE_CHECKING:  # it knows what makes two items the same, which a build with nothing to do need not load
    from distill_build.stages.chain import Chain

Place = tuple[int, ...]


@dataclass(slots=True)
class Node:
    """A tag, or the topic itself (`place` is empty). `place` holds the index among the siblings at each level."""

    path: Path
    place: Place
    id: str
    children: "list[Node]" = field(default_factory=list)
    chain: "Chain | None" = None
    failure: Failure | None = None
    leaf: "LeafOutcome | None" = None

    @property
    def level(self) -> int:
        return len(self.place)

    def child(self, label: str, index: int) -> "Node":
        """A new tag below this one."""
        child = Node((*self.path, label), (*self.place, index), tag_id(self.id, label))
        self.children.append(child)
        return child

    def tag(self, depth: int) -> Tag:
        """The record of this tag in a tree of `depth` levels."""
        return Tag(
            id=self.id,
            path=self.path,
            number=".".join(str(index + 1) for index in self.place),
            label=self.path[-1],
            parent=tag_id_of_parent(self),
            level=self.level,
            leaf=self.level == depth,
        )


def topic_node(topic: str) -> Node:
    """The root. It has no row and no id of its own; level 1 takes the topic's text in the place of one."""
    return Node((topic,), (), topic)


def tag_id_of_parent(node: Node) -> str | None:
    """The id of the tag above, None on level 1."""
    if node.level == 1:
        return None
    parent = node.path[0]
    for label in node.path[1:-1]:
        parent = tag_id(parent, label)
    return parent


def walk(node: Node) -> Iterator[Node]:
    """All tags below `node` in tree order, parents first."""
    for child in node.children:
        yield child
        yield from walk(child)


@dataclass(slots=True)
class Leaf:
    """A leaf tag at work: its questions as they come, and the answers that are still out."""

    node: Node
    chain: "Chain"
    chain_ended: bool = False
    pending: int = 0
    answer_requests: int = 0
    answers: dict[tuple[int, int], Answer] = field(default_factory=dict)
    failures: dict[tuple[int, int], Failure] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    sources: dict[tuple[int, int], Source] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.chain_ended and self.pending == 0

    def question_made(self, text: str) -> Question:
        """Adds the next question."""
        node, index = self.node, len(self.questions)
        question = Question(question_id(node.id, text), node.id, node.path, index, text)
        self.questions.append(question)
        return question

    def sorted_answers(self) -> list[Answer]:
        return [self.answers[place] for place in sorted(self.answers)]

    def sorted_sources(self) -> list[Source]:
        """What the answers were read from, in their order."""
        return [self.sources[place] for place in sorted(self.sources)]

    def all_failures(self) -> list[Failure]:
        """The leaf's own shortage first, then its answers' in order."""
        own = [self.node.failure] if self.node.failure is not None else []
        return own + [self.failures[place] for place in sorted(self.failures)]


@dataclass(frozen=True, slots=True)
class Rows:
    """Lines of one artefact that belong to one leaf: where they lie, and how many.

    `kept` says that they lie in the artefact of the last build, else in this run's spool. `start` and `length`
    are in bytes.
    """

    kept: bool
    start: int
    length: int
    count: int


@dataclass(frozen=True, slots=True)
class LeafOutcome:
    """What became of a leaf. `memo` is the digest of all that went in, None where something is missing.

    `requests` are the numbers of question and answer requests behind it, `sources` the line that names them all.
    """

    memo: str | None
    questions: Rows
    answers: Rows
    sources: Rows
    requests: tuple[int, int]
    failures: tuple[JsonObject, ...] = ()
