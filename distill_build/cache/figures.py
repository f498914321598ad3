"""What stored calls amount to, added up by stage and model: calls, responses, tokens, and what they cost."""

from dataclasses import dataclass, field

from distill_build.engine.entry import Entry
from distill_build.records import JsonObject
from distill_build.replies.reply import read_usage
from distill_build.stages.default import DEFAULT

Place = tuple[str, str]
"""Stage and model's name."""


@dataclass(slots=True)
class Group:
    """Some calls of one stage to one model.

    `attempts` are the responses stored for them; `accepted` calls have one that stands, `open` ones none. Tokens are
    those of all responses, as the endpoints counted them. `priced` responses had cost `dollars`, by the prices of
    their day; of the others nobody knows.
    """

    calls: int = 0
    attempts: int = 0
    accepted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    priced: int = 0
    dollars: float = 0.0

    @property
    def open(self) -> int:
        return self.calls - self.accepted

    @property
    def usd(self) -> float | None:
        """US dollars of the responses that had a price; None where none had."""
        return self.dollars if self.priced or not self.attempts else None

    @property
    def unpriced(self) -> int:
        return self.attempts - self.priced

    def add(self, entry: Entry) -> None:
        """Counts one call."""
        self.calls += 1
        self.attempts += len(entry.attempts)
        self.accepted += entry.accepted is not None
        for attempt in entry.attempts:
            usage = read_usage(attempt.response)
            self.prompt_tokens += usage.prompt_tokens
            self.completion_tokens += usage.completion_tokens
            self.priced += attempt.usd is not None
            self.dollars += attempt.usd or 0.0

    def merge(self, other: "Group") -> None:
        """Counts the calls of another group too."""
        self.calls += other.calls
        self.attempts += other.attempts
        self.accepted += other.accepted
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.priced += other.priced
        self.dollars += other.dollars

    def row(self) -> JsonObject:
        """The figures by name."""
        return {
            "calls": self.calls,
            "attempts": self.attempts,
            "accepted": self.accepted,
            "open": self.open,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "usd": self.usd,
            "unpriced": self.unpriced,
        }


@dataclass(frozen=True, slots=True)
class Figures:
    """Calls by stage and model."""

    groups: dict[Place, Group] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Counts one call."""
        self.groups.setdefault(place_of(entry), Group()).add(entry)

    def merge(self, place: Place, group: Group) -> None:
        """Counts the calls of a group."""
        self.groups.setdefault(place, Group()).merge(group)

    @property
    def total(self) -> Group:
        """All groups together."""
        whole = Group()
        for group in self.groups.values():
            whole.merge(group)
        return whole

    def rows(self) -> list[JsonObject]:
        """The figures by name, stages as they follow each other."""
        return [{"stage": stage, "model": model, **self.groups[stage, model].row()} for stage, model in self.in_order()]

    def in_order(self) -> list[Place]:
        """Stages as they follow each other, a user's own after ours; then models by name."""
        ranks = {stage: rank for rank, stage in enumerate(DEFAULT.names)}
        return sorted(self.groups, key=lambda place: (ranks.get(place[0], len(ranks)), place))


def place_of(entry: Entry) -> Place:
    """Stage and model's name of a call."""
    return str(entry.manifest["stage"]), str(entry.manifest["body"]["model"])
