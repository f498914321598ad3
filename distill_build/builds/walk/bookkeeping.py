"""What a walk counts and notes: rows that are missing, spared or dropped, and why."""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches

from distill_build.builds.walk.nodes import Node, Unit
from distill_build.builds.walk.tally import Tally
from distill_build.calls.budget import FailureCap
from distill_build.calls.call import HALTED, Failed
from distill_build.dataset.layout import ReviewNote
from distill_build.dataset.outcome import Outcome
from distill_build.dataset.unit import Row, Verdict
from distill_build.errors import ConfigurationError
from distill_build.graph import Graph, Shape
from distill_build.records import Failure, JsonObject, number_of, rows_of
from distill_build.replies.labels import normalise
from distill_build.review import EDIT, REVIEW, Review, text_digest
from distill_build.stages.all import Stages
from distill_build.stages.chain import FRUITLESS_REQUESTS, Chain, same
from distill_build.stages.identity import BY_HAND
from distill_build.stages.kinds.base import Stage
from distill_build.stages.kinds.declared import declared
from distill_build.stages.kinds.map_stage import MapStage
from distill_build.subtree import ABOUT, Subtree, TagByHand

NEARLY = 0.85
"""From which likeness on, of 0 to 1, a label is taken for a slip: `Runing` and `Running` have 0.92."""
DIGITS = re.compile(r"\d+")
"""`Part 1` and `Part 2` are no slips."""
NOTHING_NEW = Failed("nothing_new", FRUITLESS_REQUESTS, f"{FRUITLESS_REQUESTS} requests in a row brought nothing new")

NOT_YET = "; others are asked for when nothing else of the leaf is missing"


NO_ROW = "is no row of this dataset"
EXCLUDED_NAMED = 3
"""Excluded tags that are named."""
ASKED_ANEW = "is still to be asked for: where another text comes than the one that was reviewed, it is left as it is"
NOT_KNOWN = "is no row that is known before what is missing is there"
OTHER_TEXT = "its text is another one now than the one that was reviewed: look at it again, and say it anew"
OF_A_TAG = f"is a tag: say of it in {BY_HAND} what is to become of it, as in exclude or rename"


class Bookkeeping:
    """Of one walk over the stages of `graph`. `newly_dropped` are transforms with their lines for rows that they kept
    before, `unmatched` sentences on what a person says of tags that are not there."""

    def __init__(
        self, stages: Stages, graph: Graph, tally: Tally, cap: FailureCap, was_kept: Callable[[str, str], bool]
    ) -> None:
        """`was_kept` says of a transform and a row's id whether the last build's transform kept that row."""
        self.tally = tally
        self.newly_dropped: list[tuple[str, JsonObject]] = []
        self.unmatched: list[str] = []
        self.reviews: dict[str, ReviewNote] = {}
        self._reviews = stages.settings.reviews_in_force
        self._awaited: set[str] = set()
        self._excluded: list[str] = []
        self._all_known = True
        self._noted: set[tuple[str, str]] = set()
        self._stages = stages
        self._graph = graph
        self._cap = cap
        self._declared = declared(stages.settings)
        self._was_kept = was_kept
        self._order = {name: place for place, name in enumerate(graph.names)}

    def made(self, stage: str, rows: int = 1) -> None:
        """Counts rows that are new, or judged."""
        self.tally.stages[stage].made += rows

    def succeeded(self, stage: str) -> None:
        """Notes that a request of a stage brought something."""
        self._cap.succeeded(stage)

    def spare(self, unit: Unit, shape: Shape, rows: int, *, deeper: bool = True) -> None:
        """Counts rows that are not made since what they would hang on was dropped, and all that would follow."""
        for name, number in self._with_all_below(shape, rows) if deeper else ((shape.name, rows),):
            unit.work.spared[name] += number
            self.tally.stages[name].spared += number

    def expect(self, unit: Unit, shape: Shape) -> None:
        """Counts a row that is to be there besides those that settings declare, and all that would follow: one number
        says how many fewer there are to be, or more."""
        self.spare(unit, shape, -1)

    def _with_all_below(self, shape: Shape, rows: int) -> Iterator[tuple[str, int]]:
        """So many rows of a stage, and those that would be made of them."""
        yield shape.name, rows
        for below in self._graph:
            if below.parent == shape.name:
                stage = self._stages[below.name]
                each = stage.results if isinstance(stage, MapStage) else 1
                yield from self._with_all_below(below, rows * each)

    def passed_over(self, transform: str, rows: int) -> None:
        """Counts rows that a transform need not judge, since one before it dropped them."""
        self.tally.stages[transform].spared += rows

    def replaced(self, transform: str, shape: Shape, dropped: int, refilled: int) -> None:
        """Counts rows of a list that were dropped, for each of which there is to be another one, and those that are
        there in their place."""
        self.tally.stages[transform].refilled += refilled
        for name, number in self._with_all_below(shape, dropped):
            self.tally.stages[name].spared -= number

    def added(self, subtree: Subtree) -> None:
        """Counts what is made of a tag that is there besides those that settings declare."""
        for name, rows in self._declared.rows_of(subtree).items():
            self.tally.stages[name].spared -= rows

    def exclude(self, subtree: Subtree) -> None:
        """Counts what is not made since a person does not want the tag on top of it."""
        for name, rows in self._declared.rows_of(subtree).items():
            self.tally.stages[name].spared += rows

    def exchange(self, usual: Subtree, subtree: Subtree) -> None:
        """Counts what is made otherwise than settings declare since a person says something of a model's tag."""
        self.exclude(usual)
        self.added(subtree)

    def left_out(self, node: Node, label: str, holder: TagByHand) -> None:
        """Notes that a person's own items lie below a tag that they do not want: nothing is made of these."""
        items = " and ".join(rows_of(number, stage) for stage, number in holder.items_by_stage().items())
        place = " / ".join((*node.shown, node.label_shown(label)))
        self.unmatched.append(
            f"{BY_HAND}: exclude {label} leaves out {items} of your own below {place}: "
            "take it out of exclude, or give them another path"
        )

    def holder_made(self, node: Node, label: str) -> None:
        """Notes a tag that is there for a person's own items alone, where one beside it is called nearly so."""
        beside = {normalise(name): name for child in node.children for name in (child.shown[-1], child.path[-1])}
        near = get_close_matches(normalise(label), beside, 1, NEARLY)
        if near and DIGITS.sub("", near[0]) != DIGITS.sub("", normalise(label)):
            self.unmatched.append(
                f"{' / '.join((*node.shown, label))} is a tag for items of your own alone: if their path means "
                f"{beside[near[0]]}, write it so"
            )

    def listed(self, node: Node, chain: Chain | None) -> None:
        """Notes which children a person speaks of that `node` does not have, now that its list is all there. A leaf has
        none but those for a person's own items, of which nothing is said `about`."""
        own = node.subtree.own
        for said, labels in (("rename", own.rename), ("exclude", own.exclude), (ABOUT, own.about)):
            for label in labels:
                is_listed = chain is not None and chain.place_of(label) is not None
                is_held = said != ABOUT and node.held(label) is not None
                if not is_listed and not is_held and not any(same(label, each) for each in own.children):
                    self.unmatched.append(f"{BY_HAND}: {said} {label}: {' / '.join(node.shown)} has no such tag")
                elif said == "exclude":
                    self._excluded.append(label)

    def reviewed(self, unit: Unit, stage: Stage, line: JsonObject) -> JsonObject:
        """A row as a person wants it, who said so of the text that it has.

        Raises ConfigurationError for an edit of that text which the row cannot be.
        """
        key = line["id"]
        if (review := self._reviews.get(key)) is None:
            return line
        stale = review.digest not in (None, text_digest(line, stage.editable.columns))
        self.reviews[key] = ReviewNote(review.said, unit.node.id, OTHER_TEXT if stale else "")
        if stale:
            return line
        self._refuse(review, stage.at(unit.place).editable.fault(review.text, line))
        return {**line, **review.text, REVIEW: review.verdict}

    def none_made(self, unit: Unit, stage: MapStage, row: Row) -> None:
        """Notes of what was said of results that are not made, as nothing is made of `row`."""
        for number in range(stage.results) if self._reviews else ():
            if (review := self._reviews.get(key := stage.row_id(row.id, number))) is not None:
                why = "rejected" if row.rejected else "dropped"
                fault = f"it is not made, since what it hangs on ({row.id}) was {why}"
                self.reviews[key] = ReviewNote(review.said, unit.node.id, fault)

    def edited_whole(self, unit: Unit, stage: MapStage, row: Row, number: int) -> JsonObject | None:
        """What a person's edit says in all columns of result `number` of a row, if it need not know a model's text.

        One with a digest does: it is there or not as that text comes out. Raises ConfigurationError for one that the
        result cannot be, before a model is asked.
        """
        review = self._reviews.get(stage.row_id(row.id, number)) if self._reviews else None
        if review is None or review.digest is not None:
            return None
        editable = stage.at(unit.place).editable
        self._refuse(review, editable.fault_alone(review.text))
        return editable.whole(review.text, alone=row.line.get(REVIEW) == EDIT)

    def _refuse(self, review: Review, fault: str | None) -> None:
        if fault is not None:
            paid = "; what came is kept, and the next build goes on from there" if self.tally.asked else ""
            raise ConfigurationError(f"{review.place}: {review.id}: {fault}{paid}")

    def reviews_recalled(self, outcome: Outcome, found: Mapping[str, ReviewNote]) -> None:
        """Notes what became of reviews in the last build, of those rows that are taken over with a segment."""
        for key, note in found.items():
            shape = self._graph.of_id(key)
            if key in self._reviews and shape is not None and shape.name in outcome.rows:
                self.reviews[key] = note

    def awaits(self, stage: MapStage, row: Row, number: int) -> None:
        """Notes that result `number` of a row is not there, though there is to be one: for who said something of it."""
        if not self._reviews:
            return
        self._awaited.add(stage.row_id(row.id, number))
        self._all_known &= not any(below.parent == stage.name for below in self._graph)

    def not_all_known(self) -> None:
        """Notes that there may be rows of which nobody knows yet."""
        self._all_known = False

    def reviews_in_vain(self) -> Iterator[str]:
        """Sentences on reviews that were not applied."""
        unknown: list[str] = []
        for key, review in self._reviews.items():
            of_row, why = f"{review.place}: {key}", self._why_in_vain(key, review)
            if why == NOT_KNOWN:
                unknown.append(of_row)
            elif why is not None:
                yield f"{of_row} {why}"
        if unknown:
            others = f" (nor are {number_of(len(unknown) - 1, 'others')})" if len(unknown) > 1 else ""
            yield f"{unknown[0]} {NOT_KNOWN}{others}"

    def _why_in_vain(self, key: str, review: Review) -> str | None:
        """Why a review is not applied; None where it is, or will be as soon as its row is there."""
        note, shape = self.reviews.get(key), self._stages.graph.of_id(key)
        if note is not None:
            return f"is left as it is: {note.fault}" if note.fault else None
        if key in self._awaited:
            return ASKED_ANEW if review.digest is not None else None
        if shape is None:
            return NO_ROW
        if shape.name not in self._graph:
            return None
        if shape == self._graph.tree:
            return OF_A_TAG
        if not self._stages[shape.name].editable.columns:
            return f"is of {shape.name}, whose rows are worked out: say it of what they are made from"
        return self._no_row() if self._all_known else NOT_KNOWN

    def _no_row(self) -> str:
        """What is said of an id that nothing has. Which rows an excluded tag had below it is not known any more."""
        if not self._excluded:
            return NO_ROW
        shown = ", ".join(self._excluded[:EXCLUDED_NAMED]) + ", …" * (len(self._excluded) > EXCLUDED_NAMED)
        return f"{NO_ROW}, or lies below what {BY_HAND} excludes ({shown})"

    def judged(self, name: str, key: str, verdict: Verdict) -> None:
        """Counts a verdict on a row, and notes one that drops what the last build had kept."""
        self.tally.stages[name].judge(verdict.why, kept=verdict.kept)
        is_noted = (name, key) in self._noted  # of a segment that is worked through once more
        if not verdict.kept and not is_noted and self._was_kept(name, key):
            self._noted.add((name, key))
            self.newly_dropped.append((name, verdict.line(key)))

    def recalled(self, outcome: Outcome) -> None:
        """Counts what the last build made of a segment."""
        self._count(outcome, 1)
        for name, rows in outcome.rows.items():
            if self._graph[name].kind != "transform" and rows.count:
                self._cap.succeeded(name)

    def taken_back(self, outcome: Outcome) -> None:
        """Counts no more what came of a segment, with its requests, which are found again.

        A failed item is never taken back, neither here nor of the cap: what lacks anything is not worked through again.
        """
        assert outcome.memo is not None and not outcome.failures, "it is complete"  # noqa: S101, PT018
        self._count(outcome, -1)

    def _count(self, outcome: Outcome, times: int) -> None:
        stages = self.tally.stages
        for name, rows in outcome.rows.items():
            stages[name].made += times * rows.count
            if self._graph[name].kind == "transform":
                stages[name].judged += times * rows.count
        for name, requests in outcome.requests.items():
            stages[name].found += times * requests
        for name, rows_spared in outcome.spared.items():
            stages[name].spared += times * rows_spared
        for name, rows_dropped in outcome.rows_dropped.items():
            stages[name].dropped += times * rows_dropped
        for name, reasons in outcome.dropped.items():
            for reason, number in reasons.items():
                stages[name].why[reason] += times * number
            stages[name].why = +stages[name].why  # without those that are none any more

    def short_of(self, stage: str, node: Node, missing: int, failed: Failed = NOTHING_NEW) -> Failure | None:
        """What is to be said of a list that has come to its end, short of so many; None where it has all."""
        if not missing:
            return None
        self._all_known &= failed is NOTHING_NEW
        self._failed(stage, missing, failed)
        return Failure(stage, node.shown, missing, failed.cause, failed.attempts, failed.detail)

    def stays_short(self, unit: Unit, segment: int, stage: str, missing: int, dropped: str) -> None:
        """Notes that a unit's list has too few in the place of items that were `dropped`: on the line of what its
        requests failed for, where they did.

        That is no failed item on the way to a cap: it says nothing of the model, and would be one at every build.
        """
        outcome, rounds = unit.outcomes[segment], unit.goals[stage].rounds if stage in unit.goals else 0
        own = next((row for row in outcome.failures if row["stage"] == stage), None)
        if own is None:
            why = f", and {number_of(rounds, 'rounds')} brought too few others" if rounds else NOT_YET
            failed = Failed("duplicate", 0, dropped + why)  # what was asked for came
            told = Failure(stage, unit.node.shown, missing, failed.cause, failed.attempts, failed.detail).row()
        else:
            failed = HALTED if own["cause"] == HALTED.cause else Failed(own["cause"], own["attempts"], own["detail"])
            told = own | {"missing": own["missing"] + missing}
        self._lacks(stage, missing, failed)
        failures = (told, *(row for row in outcome.failures if row is not own))
        told_in_order = tuple(sorted(failures, key=lambda row: self._order[row["stage"]]))
        unit.short = {**unit.short, segment: told_in_order}

    def list_ended(self, unit: Unit, stage: str, chain: Chain, failed: Failed = NOTHING_NEW) -> None:
        """Notes what a unit's list is short of at its end, if anything.

        One that went on for what was dropped has as many items as were declared: what looks at them need not wait. And
        where it repeats itself, that is told with what it stays short of.
        """
        if stage not in unit.goals:
            failure = self.short_of(stage, unit.node, chain.missing, failed)
            if failure is not None:
                self.leave_out(unit, unit.tag, stage)
        else:
            failure = None if failed is NOTHING_NEW else self.short_of(stage, unit.node, chain.missing, failed)
            unit.work.incomplete |= not chain.complete
        if failure is not None:
            unit.work.failures[self._order[stage],] = failure

    def failed_for(self, unit: Unit, stage: str, row: Row, place: tuple[int, ...], failed: Failed) -> None:
        """Notes that a row lacks a result."""
        self.leave_out(unit, row, stage)
        self._failed(stage, 1, failed)
        column = {self._stages[stage].above_column: row.id}
        unit.work.failures[self._order[stage], *place] = Failure(
            stage, unit.node.shown, 1, failed.cause, failed.attempts, failed.detail, column
        )

    def leave_out(self, unit: Unit, row: Row, stage: str) -> None:
        """Notes that a row lacks what `stage` was to make of it."""
        row.lacking |= {stage}
        unit.work.incomplete = True

    def _failed(self, stage: str, missing: int, failed: Failed) -> None:
        self._lacks(stage, missing, failed)
        if failed is not HALTED:
            self._cap.failed(stage, failed.cause, failed.detail)

    def _lacks(self, stage: str, missing: int, failed: Failed) -> None:
        if failed is not HALTED:  # what was not asked has not failed
            self.tally.stages[stage].missing += missing
