"""What a build has to send, and what must come of it: worked out stage by stage over the whole dataset.

Knows a declaration, what the endpoint answers, and nothing of keys, files, phases or units. What is remembered from
build to build is which requests were answered, and how often the others were tried.

Three things can be said of how a stage sees a row: it does (True), it does not, for the row was dropped (False), or
that is not decided (None), since something is missing that would decide. Of what is not decided nothing is made.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.e2e.graphs.declared import END, Declared, Stage, has_value, number_of
from tests.e2e.graphs.replies import QUESTIONS, TAGS, Reply, already_there, flaw_of, reply_to, seed_of

Call = tuple[str, float | None, int]
"""Text, temperature, and number of a request."""
Place = tuple[str, ...]
"""Where a row is, in words: the labels of its tag, topic first, the question, and which results down to itself."""
FRUITLESS = 3


@dataclass(eq=False)
class Row:
    """`shown` is its label, question or value; `lacking` are the stages that could not make all they had to of it;
    `earlier` the labels before that of a tag in its list, and `held` says that it is there for a person's own questions
    alone."""

    stage: str
    place: Place
    shown: str
    above: "Row | None" = None
    rank: int = 0
    leaf: bool = True
    below: dict[str, list["Row"]] = field(default_factory=dict)
    verdicts: dict[str, bool] = field(default_factory=dict)
    lacking: set[str] = field(default_factory=set)
    earlier: tuple[str, ...] = ()
    held: bool = False

    @property
    def number(self) -> int:
        return number_of(self.stage, self.shown)

    def upwards(self) -> Iterator["Row"]:
        """Itself, what it hangs on, and so on up to its tag."""
        yield self
        if self.above is not None:
            yield from self.above.upwards()

    def at(self, stage: str) -> "Row":
        """Itself or the row above that is of a stage."""
        return next(row for row in self.upwards() if row.stage == stage)


@dataclass
class Endpoint:
    """What is known of an endpoint's answers from build to build."""

    answered: dict[Call, Reply] = field(default_factory=dict)
    attempts: Counter[Call] = field(default_factory=Counter)


class Build:
    """One build. `sent` are text, temperature and seed of its requests, `calls` what they are for.

    `failures` are stage, place and number of what is missing.
    """

    def __init__(self, declared: Declared, endpoint: Endpoint, illness: str) -> None:
        self.declared = declared
        self.sent: list[tuple[str, float | None, int]] = []
        self.calls: set[Call] = set()
        self.failures: list[tuple[str, Place, int]] = []
        self.rows: dict[str, list[Row]] = {TAGS: []}
        self._endpoint = endpoint
        self._illness = illness
        self._transforms: list[Stage] = []
        self._sights: dict[tuple[Row, str], bool | None] = {}
        self._goals: dict[Row, list[int]] = {}
        self._unfinished: set[Row] = set()
        self._listed: dict[Row, int] = {}
        self._tree(("top",), declared.depth, ())
        for stage in declared.reached:
            self.rows.setdefault(stage.name, [])
            self._work(stage, self._in_turn(stage))
            if stage.kind == "barrier":
                self._refill(stage)

    def _work(self, stage: Stage, rows: list[Row]) -> None:
        for row in rows:
            self._make(stage, row, self.sees(row, stage))
        if stage.judges and stage not in self._transforms:
            self._transforms.append(stage)

    def _refill(self, barrier: Stage) -> None:
        """Has leaves that lost questions go on, where the questions come from no further than the barrier before."""
        names = [stage.name for stage in self.declared.order]
        again = list(self.declared.order[names.index(QUESTIONS) : names.index(barrier.name)])
        if any(stage.kind == "barrier" for stage in again):
            return
        tags = [row for row in self.rows[TAGS] if row.leaf]
        for _ in range(self.declared.refill):
            short = {tag: lost for tag in tags if tag not in self._unfinished and (lost := self._lost(tag, barrier))}
            for tag, lost in short.items():
                self._goals.setdefault(tag, [self._wanted(tag)]).append(self._goal(tag) + lost)
                self._take_back(tag, again)
            if short:
                self._sights.clear()
                self._transforms = [each for each in self._transforms if each not in (*again, barrier)]
            for stage in again if short else ():
                self._work(stage, [row for row in self._in_turn(stage) if row.at(TAGS) in short])
                self._transforms += [stage] if stage.judges and stage not in self._transforms else []
            if short:
                self._in_tree_order(again)
                self._work(barrier, self._in_turn(barrier))
        for tag in tags if self.declared.refill else ():
            self._note_short(tag, barrier)

    def _goal(self, tag: Row) -> int:
        return self._goals.get(tag, [self._wanted(tag)])[-1]

    def _wanted(self, tag: Row) -> int:
        return 0 if tag.held or not tag.leaf else self.declared.wanted(tag.place)

    def _dropped(self, tag: Row, barrier: Stage) -> int:
        """For a person's own none is to come."""
        listed = (row for row in tag.below.get(QUESTIONS, ()) if row.rank >= 0)
        return sum(row.verdicts.get(barrier.name) is False for row in listed)

    def _lost(self, tag: Row, barrier: Stage) -> int:
        """Questions that were dropped and that the leaf has not gone on for."""
        return self._dropped(tag, barrier) - (self._goal(tag) - self._wanted(tag))

    def _take_back(self, tag: Row, stages: list[Stage]) -> None:
        """Forgets what stages made of a leaf, and what they said of it."""
        names = {stage.name for stage in stages}
        for name in names & set(self.rows):
            self.rows[name] = [row for row in self.rows[name] if row.at(TAGS) is not tag]
        for row in [tag, *self._below_all(tag)]:
            row.below = {name: below for name, below in row.below.items() if name not in names}
            row.verdicts = {name: said for name, said in row.verdicts.items() if name not in names}

    def _below_all(self, tag: Row) -> list[Row]:
        return [row for rows in self.rows.values() for row in rows if row is not tag and row.at(TAGS) is tag]

    def _in_tree_order(self, stages: list[Stage]) -> None:
        places = {tag: place for place, tag in enumerate(self.rows[TAGS])}
        for stage in stages:
            self.rows[stage.name].sort(key=lambda row: places[row.at(TAGS)])

    def _note_short(self, tag: Row, barrier: Stage) -> None:
        """A leaf that lost questions has one line for all that it is short of."""
        dropped, made = self._dropped(tag, barrier), self._listed.get(tag, 0)
        if dropped and (missing := self._wanted(tag) + dropped - made):
            self.failures = [each for each in self.failures if each[:2] != (QUESTIONS, tag.place)]
            self.failures.append((QUESTIONS, tag.place, missing))

    def _in_turn(self, stage: Stage) -> list[Row]:
        """The rows that a stage makes something of. One like dedup takes the first rows of all tags first."""
        rows = self.rows[stage.parent]
        if stage.kind == "list":
            return [row for row in rows if row.leaf or self.declared.own_at(row.place)]
        if stage.kind == "group":
            return [row for row in rows if row.leaf or row.stage != TAGS]
        return sorted(rows, key=self._rank) if stage.kind == "barrier" else rows

    def _rank(self, row: Row) -> tuple[int, int]:
        """By round, then by the number in the leaf."""
        goals = self._goals.get(row.at(TAGS), [self._wanted(row.at(TAGS))])
        return sum(goal <= row.rank for goal in goals), row.rank

    def _make(self, stage: Stage, row: Row, seen: bool | None) -> None:
        if seen is False:
            return
        read = self._read(stage, row, stage) if seen else None
        if read is None:
            if stage.kind != "barrier":
                self._unfinished.add(row.at(TAGS))
            if not stage.judges:
                row.lacking.add(stage.name)
            return
        match stage.kind:
            case "list":
                self._questions(row)
            case "map":
                self._results(stage, row, read)
            case "group":
                self._group(stage, row, read)
            case "transform":
                row.verdicts[stage.name] = row.number + read >= stage.least
            case "barrier":
                row.verdicts.pop(stage.name, None)
                equal = (each for each in self.rows[stage.after] if each.shown == row.shown)
                row.verdicts[stage.name] = not any(each.verdicts.get(stage.name) for each in equal)

    # Requests

    def _ask(self, role: str, text: str, sample: int) -> Reply | None:
        """The answer, None where there is none in this build."""
        call, known = (text, self.declared.temperature(role), sample), self._endpoint
        tries = 0 if call in known.answered or call in self.calls else 1 + self.declared.reasks
        for _ in range(tries):
            self.calls.add(call)
            self.sent.append((text, call[1], seed_of(sample, known.attempts[call])))
            flaw = flaw_of(text, sample, self._illness)
            if flaw == "rejects":
                break
            known.attempts[call] += 1
            if flaw in ("", "repeats"):
                known.answered[call] = already_there(text) if flaw else reply_to(*call)
                break
        return known.answered.get(call)

    def _list(
        self, role: str, stage: str, path: Place, elsewhere: tuple[str, ...], wanted: int, taken: set[str]
    ) -> list[str]:
        items: list[str] = []
        ordinal = fruitless = 0
        while len(items) < wanted and fruitless < FRUITLESS:
            text = f"{stage}|{'>'.join(path)}|{';'.join(elsewhere)}|{';'.join(items)}"
            before = len(self.calls)
            found = self._ask(role, text, ordinal)
            if not isinstance(found, list):
                break
            new = [item for item in dict.fromkeys(found) if item not in {*items, *taken}]
            items += new
            fruitless = 0 if new else fruitless + len(self.calls) - before
            ordinal += 1
        if len(items) < wanted:
            self.failures.append((stage, path, wanted - len(items)))
        return items[:wanted]

    # Rows

    def _tree(self, path: Place, depth: int, elsewhere: tuple[str, ...]) -> None:
        if depth:
            wanted = self.declared.breadth[self.declared.depth - depth]
            labels = tuple(self._list("tagger", TAGS, path, elsewhere, wanted, {*path, *elsewhere}))
            for index, label in enumerate(labels):
                self.rows[TAGS].append(Row(TAGS, (*path, label), label, leaf=depth == 1, earlier=labels[:index]))
                self._tree((*path, label), depth - 1, (*elsewhere, *labels[:index]))
            for label in self.declared.own_places if len(path) == 1 else ():
                if label not in labels:
                    self.rows[TAGS].append(Row(TAGS, (*path, label), label, held=True))

    def _questions(self, tag: Row) -> None:
        """A person's own come first; a model's that are the same are none beside them."""
        wanted, own = self._goal(tag), self.declared.own_at(tag.place)
        found = self._list("student", QUESTIONS, tag.place, tag.earlier, wanted, set())
        for index, text in [*enumerate(own, start=-len(own)), *enumerate(found)]:
            if index < 0 or text not in own:
                self._hang(Row(QUESTIONS, (*tag.place, text), text, tag, index))
        self._listed[tag] = len(found)
        if len(found) < wanted:
            self._unfinished.add(tag)
        if len(found) < self._wanted(tag):
            tag.lacking.add(QUESTIONS)

    def _results(self, stage: Stage, row: Row, read: int) -> None:
        for role in stage.roles:
            for sample in range(stage.samples):
                value = self._ask(role, self._prompt(stage, row, read), sample)
                judge = f"{role}:" if len(stage.roles) > 1 else ""
                if value is None:
                    self._unfinished.add(row.at(TAGS))
                    row.lacking.add(stage.name)
                    self.failures.append((stage.name, row.place, 1))
                else:
                    self._hang(Row(stage.name, (*row.place, f"{stage.name}:{judge}{sample}"), str(value), row))

    def _group(self, stage: Stage, row: Row, read: int) -> None:
        found = self._all_below(row, stage.after, stage)
        if found is None:
            row.lacking.add(stage.name)
            return
        value = sum(each.number for each in found) if has_value(stage.after) else len(found)
        self._hang(Row(stage.name, (*row.place, stage.name), str(value + read), row))

    def _hang(self, row: Row) -> None:
        assert row.above is not None
        row.above.below.setdefault(row.stage, []).append(row)
        self.rows[row.stage].append(row)

    def _prompt(self, stage: Stage, row: Row, read: int) -> str:
        if stage.shared:
            return f"{stage.name}|{row.number}|{read}"
        above = [self._shown(each) for each in reversed(list(row.upwards())) if each.stage != TAGS]
        return "|".join([stage.name, ">".join(row.at(TAGS).place), *above, str(read)])

    def _shown(self, row: Row) -> str:
        if row.stage == QUESTIONS or self.declared[row.stage].kind == "group":
            return row.shown
        return f"{row.place[-1].removeprefix(row.stage + ':')}:{row.shown}"

    # Sight

    def sees(self, row: Row, stage: Stage | None) -> bool | None:
        """How a stage sees a row; None for all transforms there are."""
        key = (row, stage.name if stage is not None else END)
        if key not in self._sights:
            order = self.declared.order
            before = [each for each in self._transforms if stage is None or order.index(each) < order.index(stage)]
            said = {self._said(transform, each) for transform in before for each in row.upwards()}
            self._sights[key] = False if False in said else None if None in said else True
        return self._sights[key]

    def _said(self, transform: Stage, row: Row) -> bool | None:
        """What a transform comes to for a row: its verdict on the row, or on the judged rows below it."""
        if row.stage == transform.after:
            return row.verdicts.get(transform.name)
        if row.stage not in self.declared.lineage(transform.after):
            return True
        judged = list(self._below(row, transform.after))
        said = [each.verdicts.get(transform.name) for each in judged if self.sees(each, transform) is not False]
        if True in said:
            return True
        if None in said or self._lacks(row, transform.after, transform):
            return None
        return not judged

    def _below(self, row: Row, stage: str) -> Iterator[Row]:
        """The rows of a stage below a row."""
        for each in self.rows[stage]:
            if each is not row and row in each.upwards():
                yield each

    def _lacks(self, row: Row, stage: str, seer: Stage | None) -> bool:
        """Whether a row of a stage that `seer` would see below a row could not be made."""
        way = set(self.declared.lineage(stage))
        return any(
            each.lacking & way and self.sees(each, seer) is not False
            for name in self.declared.lineage(stage)
            for each in self.rows[name]
            if row in each.upwards()
        )

    def _all_below(self, row: Row, stage: str, seer: Stage | None) -> list[Row] | None:
        """The rows of a stage below a row, as far as `seer` sees them; None where that is not decided."""
        sights = {each: self.sees(each, seer) for each in self._below(row, stage)}
        if None in sights.values() or self._lacks(row, stage, seer):
            return None
        return [each for each, seen in sights.items() if seen]

    def _read(self, stage: Stage, row: Row, seer: Stage | None) -> int | None:
        """The number that `stage` reads for a row of the stage that it names; None where that is not decided."""
        if not stage.named:
            return 0
        transform = next((each for each in self._transforms if each.name == stage.named), None)
        named = transform.after if transform is not None else stage.named
        above, way = self.declared.lineage(row.stage), self.declared.lineage(named)
        if named in above:
            found = row.at(named)
            return found.number if transform is None else int(found.verdicts[transform.name])
        top = row.at([each for each in above if each in way][-1])
        if transform is None:
            below = self._all_below(top, named, seer)
            return None if below is None else len(below)
        judged = self._all_below(top, named, transform)
        if judged is None or any(transform.name not in each.verdicts for each in judged):
            return None
        return len(judged)

    # Exports

    def exports(self) -> list[tuple[str, int, int | None]]:
        """Question, answer and reasoning of each exported row."""
        stage, found = self.declared.exported, []
        for row in self.rows[stage.name] if stage is not None else ():
            assert stage is not None
            read = self._read(stage, row, None) if self.sees(row, None) else None
            if read is not None:
                asked = next((each.shown for each in row.upwards() if each.stage == QUESTIONS), None)
                asked = asked or ">".join(row.at(TAGS).place)
                found.append((asked, row.number, read if stage.named else None))
        return found
