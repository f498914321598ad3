"""The tree of one dataset while it grows: each request brings more children of a tag, and a tag that is there goes on
by itself. Knows nothing of what hangs on tags: it tells of each one, and when a list of children has come to its end.
"""

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from distill_build.builds.walk.asking import Asking
from distill_build.builds.walk.bookkeeping import Bookkeeping
from distill_build.builds.walk.nodes import Node, topic_node
from distill_build.builds.walk.protocols import Estimator, Sink
from distill_build.calls.call import Failed, Made, Unasked
from distill_build.settings import declared_tree
from distill_build.stages.all import Stages
from distill_build.stages.chain import Chain, same
from distill_build.stages.course import ChainLengths
from distill_build.stages.flags import flags_of
from distill_build.subtree import NOTHING_SAID, TagByHand


class TreeGrowth:
    """`root` holds what there is; `grows` says whether tags are still to come."""

    def __init__(
        self,
        stages: Stages,
        books: Bookkeeping,
        sink: Sink,
        estimator: Estimator,
        asking: Asking,
        lengths: ChainLengths,
        made: Callable[[Node], None],
        ended: Callable[[], None],
    ) -> None:
        """`made` is told of each tag that is there, `ended` of each list of children that has come to its end."""
        self._stages = stages
        self._books = books
        self._sink = sink
        self._estimator = estimator
        self._asking = asking
        self._lengths = lengths
        self._made = made
        self._ended = ended
        self._name = stages.tree.name
        self._growing = 1  # the topic's, till it has been started
        self.root = topic_node(stages.settings.topic, declared_tree(stages.settings))

    @property
    def grows(self) -> bool:
        return self._growing > 0

    def start(self) -> None:
        """Submits the first step."""
        self._grow(self.root)
        self._growing -= 1
        self._ended()

    def _grow(self, node: Node) -> None:
        tree = self._stages.tree
        node.chain = Chain(node.subtree.listed)
        for label in (*node.path, *tree.elsewhere(node.earlier())):
            node.chain.exclude(label)
        self._growing += 1
        if node.chain.complete:
            self._books.listed(node, node.chain)
            self._end_growing(node, node.chain)
        else:
            self._submit_growing(node, node.chain)

    def _submit_growing(self, node: Node, chain: Chain) -> None:
        length = self._lengths.tree(node.level, chain.missing)
        self._asking.submit(self._stages.tree.first, length, node.place, partial(self._ask_children, node, chain))

    async def _ask_children(self, node: Node, chain: Chain) -> None:
        """One request for more tags below `node`."""
        tree = self._stages.tree
        request = partial(tree.request, node.at, chain.items, chain.requests, node.earlier())
        key, result = await self._asking.result(request)
        match result:
            case Made(value, response, asked):
                new = chain.take(value, source=(key, response), asked=asked)
                children = [child for index in new if (child := self._listed_child(node, chain, index)) is not None]
                going_on = not chain.complete and not chain.given_up and bool(new or node.lacking)
                if going_on:  # before what is shorter
                    self._submit_growing(node, chain)
                for child in children:
                    self._tag_made(child)
                self._books.succeeded(tree.name)
                if going_on:
                    return
                node.failure = self._books.short_of(tree.name, node, node.lacking)
                self._books.listed(node, chain)
            case Failed() as failed:
                node.failure = self._books.short_of(tree.name, node, node.lacking, failed)
            case Unasked():
                self._estimator.list_unknown(tree, node, chain)
                self._books.not_all_known()
        self._end_growing(node, chain)

    def _listed_child(self, node: Node, chain: Chain, index: int) -> Node | None:
        """The child of `node` that its list gives, unless a person has it by hand or does not want it."""
        label, own = chain.items[index], node.subtree.own
        if not node.lacking or any(same(label, each) for each in own.children):
            return None
        node.filled += 1
        if own.is_excluded(label, same) or own.is_taken(label, same):
            self._books.exclude(node.subtree.below())
            return None
        if (said := node.said_of_listed(label)) is not NOTHING_SAID:
            self._books.exchange(node.subtree.below(), node.subtree.below(said))
        return self._child(node, label, len(own.children) + node.filled - 1, index, said)

    def _child(self, node: Node, label: str, index: int, listed: int | None, own: TagByHand = NOTHING_SAID) -> Node:
        """A child of `node`, with a person's own items at its place."""
        if (holder := node.holder(label)) is not None:
            own = replace(own, items=holder.items, holders=holder.holders)
        return node.child(label, self._stages.tree.shape.prefix, index, listed, node.subtree.below(own))

    def _make_holders(self, node: Node) -> None:
        """Makes the tags that are there for a person's own items alone."""
        if not node.subtree.own.holders:
            return
        there = {node.held(child.path[-1]) for child in node.children}
        behind = len(node.subtree.own.children) + node.subtree.filled
        for label, holder in node.subtree.own.holders.items():
            if label in there:
                continue
            if node.subtree.own.is_excluded(label, same):
                self._books.left_out(node, label, holder)
            else:
                subtree = node.subtree.holding(holder)
                self._books.added(subtree)
                self._books.holder_made(node, label)
                self._tag_made(node.child(label, self._stages.tree.shape.prefix, behind, None, subtree))
                behind += 1

    def _end_growing(self, node: Node, chain: Chain) -> None:
        """Takes in the children by hand: what a model's list has before them is known now."""
        chain.end()
        above = node.subtree.own
        for index, (label, own) in enumerate(above.children.items()):
            if label in above.wanted:
                self._tag_made(self._child(node, label, index, chain.place_of(label), own))
            elif own.items_by_stage():
                self._books.left_out(node, label, own)
        self._make_holders(node)
        node.children.sort(key=lambda child: child.place)
        self._growing -= 1
        self._ended()

    def _tag_made(self, node: Node) -> None:
        self._books.made(self._name)
        node.flags = tuple(flags_of(node.line(), self._stages.tree.flags))
        self._sink.made(self._name, node.shown_line())
        self._made(node)
        if not node.leaf:
            self._grow(node)
        else:
            self._books.listed(node, None)
            self._make_holders(node)
