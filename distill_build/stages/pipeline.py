"""The recipe, top to bottom: tags level by level, questions at the leaves, an answer to every question.

Each step makes one call and submits what its result makes ready, so no stage waits for another: a question's
answer starts when the question is there. `plan` and `build` run this same code; they differ in who is asked.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from distill_build.calls.budget import FailureCap
from distill_build.calls.call import Ask, Failed, Made, Unasked
from distill_build.engine.scheduler import Scheduler
from distill_build.options import Until
from distill_build.records import Failure, Question
from distill_build.settings import Settings, Stage
from distill_build.stages import answers, questions, tags
from distill_build.stages.chain import FRUITLESS_REQUESTS, Chain
from distill_build.stages.recipe import Recipe
from distill_build.stages.tally import Tally
from distill_build.stages.tree import Leaf, LeafOutcome, Node, topic_node

CHAIN: dict[Stage, int] = {"answers": 1, "questions": 2, "tags": 3}
"""How many steps are left one after the other, at least: see Scheduler."""


class Outlook(Protocol):
    """Told what cannot be known before a request is answered; a plan estimates it."""

    def chain_unknown(self, stage: Stage, node: Node, chain: Chain) -> None:
        """`chain` of `node` ends here, short of `chain.missing` items, since its next request is not answered."""


class Sink(Protocol):
    """Takes the leaves as they end, in any order."""

    def recall(self, node: Node) -> LeafOutcome | None:
        """What the last build made of this leaf, where nothing that went in has changed."""

    def take(self, leaf: Leaf) -> LeafOutcome:
        """Writes a leaf's rows away."""


class Pipeline:
    """One walk over the tree of one dataset."""

    def __init__(
        self,
        settings: Settings,
        recipes: Mapping[Stage, Recipe],
        lanes: Mapping[Stage, str],
        scheduler: Scheduler,
        ask: Ask,
        sink: Sink,
        outlook: Outlook,
        tally: Tally,
        cap: FailureCap,
        until: Until,
    ) -> None:
        """`lanes` names each stage's lane in `scheduler`: stages that share an endpoint and model share a lane."""
        self._settings = settings
        self._recipes = recipes
        self._lanes = lanes
        self._scheduler = scheduler
        self._ask = ask
        self._sink = sink
        self._outlook = outlook
        self._tally = tally
        self._cap = cap
        self._until = until
        self.root = topic_node(settings.topic)

    def start(self) -> None:
        """Submits the first step. When the scheduler has run, `root` holds what there is."""
        self._start_tags(self.root)

    # Tags

    def _start_tags(self, node: Node) -> None:
        node.chain = Chain(self._settings.breadth_at(node.level + 1))
        for label in node.path:
            node.chain.exclude(label)
        self._submit("tags", node, partial(self._grow_tags, node, node.chain))

    async def _grow_tags(self, node: Node, chain: Chain) -> None:
        """One request for more tags below `node`."""
        call = tags.request(self._recipes["tags"], self._settings, node.path, chain.items, chain.requests)
        match await self._ask(call):
            case Made(value, response, asked):
                for index in chain.take(value, source=(call.key, response), asked=asked):
                    self._tag_made(node.child(chain.items[index], index))
                self._cap.succeeded("tags")
                self._go_on("tags", node, chain, partial(self._grow_tags, node, chain))
            case Failed() as failed:
                self._short("tags", node, chain, failed)
            case Unasked():
                self._outlook.chain_unknown("tags", node, chain)

    def _tag_made(self, node: Node) -> None:
        self._tally.stages["tags"].made += 1
        if node.level < self._settings.depth:
            self._start_tags(node)
        elif self._until != "tags":
            self._start_leaf(node)

    # Questions

    def _start_leaf(self, node: Node) -> None:
        node.leaf = self._sink.recall(node)
        if node.leaf is not None:
            self._count_recalled(node.leaf)
            return
        leaf = Leaf(node, Chain(self._settings.questions_per_tag))
        self._submit("questions", node, partial(self._ask_questions, leaf))

    async def _ask_questions(self, leaf: Leaf) -> None:
        """One request for more questions of a leaf."""
        node, chain = leaf.node, leaf.chain
        call = questions.request(self._recipes["questions"], self._settings, node.path, chain.items, chain.requests)
        match await self._ask(call):
            case Made(value, response, asked):
                for index in chain.take(value, source=(call.key, response), asked=asked):
                    self._question_made(leaf, leaf.question_made(chain.items[index]))
                self._cap.succeeded("questions")
                leaf.chain_ended = not self._go_on("questions", node, chain, partial(self._ask_questions, leaf))
            case Failed() as failed:
                leaf.chain_ended = True
                self._short("questions", node, chain, failed)
            case Unasked():
                leaf.chain_ended = True
                self._outlook.chain_unknown("questions", node, chain)
        self._end_leaf(leaf)

    def _question_made(self, leaf: Leaf, question: Question) -> None:
        self._tally.stages["questions"].made += 1
        if self._until == "questions":
            return
        for sample in range(self._settings.answers_per_question):
            leaf.pending += 1
            step = partial(self._answer, leaf, question, sample)
            self._submit("answers", leaf.node, step, question.index, sample)

    # Answers

    async def _answer(self, leaf: Leaf, question: Question, sample: int) -> None:
        """One answer to one question."""
        recipe = self._recipes["answers"]
        call = answers.request(recipe, self._settings, leaf.node.path, question.question, sample)
        match await self._ask(call):
            case Made(value, response, _):
                answer = answers.decode(question, sample, call.key, recipe.model.name, value)
                leaf.answers[question.index, sample] = answer
                leaf.sources[question.index, sample] = (call.key, response)
                self._tally.stages["answers"].made += 1
                self._cap.succeeded("answers")
            case Failed(cause, attempts, detail):
                failure = Failure("answers", leaf.node.path, 1, cause, attempts, detail, question.id)
                leaf.failures[question.index, sample] = failure
                self._failed("answers", 1, cause, detail)
            case Unasked():
                pass
        leaf.pending -= 1
        leaf.answer_requests += 1
        self._end_leaf(leaf)

    # Ends

    def _go_on(self, stage: Stage, node: Node, chain: Chain, step: Callable[[], object]) -> bool:
        """Submits the chain's next request where one is needed; says whether it did."""
        if chain.complete:
            return False
        if chain.given_up:
            detail = f"{FRUITLESS_REQUESTS} requests in a row brought nothing new"
            self._short(stage, node, chain, Failed("nothing_new", FRUITLESS_REQUESTS, detail))
            return False
        self._submit(stage, node, step)
        return True

    def _short(self, stage: Stage, node: Node, chain: Chain, failed: Failed) -> None:
        node.failure = Failure(stage, node.path, chain.missing, failed.cause, failed.attempts, failed.detail)
        self._failed(stage, chain.missing, failed.cause, failed.detail)

    def _failed(self, stage: Stage, missing: int, cause: str, detail: str) -> None:
        self._tally.stages[stage].missing += missing
        self._cap.failed(stage, cause, detail)

    def _end_leaf(self, leaf: Leaf) -> None:
        if leaf.ended and leaf.node.leaf is None:
            leaf.node.leaf = self._sink.take(leaf)

    def _count_recalled(self, outcome: LeafOutcome) -> None:
        for stage, rows, requests in (
            ("questions", outcome.questions, outcome.requests[0]),
            ("answers", outcome.answers, outcome.requests[1]),
        ):
            tally = self._tally.stages[stage]  # type: ignore[index]  # the loop's names are stages
            tally.made += rows.count
            if rows.count:
                self._cap.succeeded(stage)
            tally.found += requests

    def _submit(self, stage: Stage, node: Node, step: Callable[[], object], *place: int) -> None:
        self._scheduler.submit(self._lanes[stage], CHAIN[stage], (*node.place, *place), step)  # type: ignore[arg-type]
