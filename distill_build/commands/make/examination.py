"""What `check` asks one model, and what it makes of the replies.

Every request is made by the code that makes a build's own, with a lower limit on the reply's length. At most
six are sent: a word, a list as it is configured, the other response format where that one is refused, the
word again, log probabilities with the ids of tokens, and without where that is refused. Knows nothing of HTTP.
What replies mean is in `findings`.
"""

from collections.abc import Iterable
from functools import partial
from typing import Literal

import msgspec

from distill_build.commands.make.findings import (
    TINY,
    Finding,
    FindingState,
    access,
    finish_reason,
    judged_list,
    limit_headers,
    logprobs,
    own_words,
    reasoning,
    same_seed_sentence,
    streaming,
    usage,
)
from distill_build.models.base import ModelSettings
from distill_build.models.probe import Probe, ProbeResult
from distill_build.records import JsonObject
from distill_build.replies.parse import read_usage, response_format
from distill_build.settings import Settings
from distill_build.soft_labels import asked_for
from distill_build.stages.classes import replies_in_json, tree_reading
from distill_build.stages.kinds.declared import roles_in_use
from distill_build.stages.kinds.recipe import Recipe

WORD = "Write one English word of your choice, and nothing else."
LIST = 'Name 2 drinks. Reply with a JSON object and nothing else: {"%s": ["…", "…"]}'
LISTED = 2
OTHER: dict[str, Literal["json_schema", "json_object"]] = {"json_schema": "json_object", "json_object": "json_schema"}


class Examination:
    """One model as some of the roles use it, what was found so far, and what that took."""

    def __init__(self, settings: Settings, roles: tuple[str, ...]) -> None:
        """`roles` are some of those in use, all played by one model."""
        in_use = roles_in_use(settings)
        self.roles = roles
        self.model: ModelSettings = settings.models[roles[0]]
        self.needs_json = needs_json(settings, roles)
        self._list = tree_reading(settings)
        self._plays_all = len(roles) == len(in_use)
        self.findings: list[Finding] = []
        self.prompt_tokens = self.completion_tokens = 0
        self.limit_headers: dict[str, str] = {}
        self._probe = Probe(self.model, settings.limits_for(self.model), partial(settings.setting, roles[0]))
        self._recipe = Recipe(in_use[roles[0]][0].name, roles[0], self.model, settings.seed, None)

    @property
    def works(self) -> bool:
        """Whether a build can use this model as it is configured."""
        return all(finding.state != "fails" for finding in self.findings)

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self._probe.requests

    async def run(self) -> None:
        """Asks, what a build needs first. After a refused key or a busy endpoint nothing more is asked."""
        try:
            await self._ask_all()
        finally:
            await self._probe.close()
        limits = ", ".join(f"{name}={value}" for name, value in self.limit_headers.items())
        if any(finding.name == "answer" for finding in self.findings):
            self._find("rate limits", "ok" if limits else "no", limits or "no headers tell them")

    async def _ask_all(self) -> None:
        first = await self._ask(self._body(WORD))
        self.findings += access(first, self.model, sends_key=self._probe.sends_key)
        if first.raw is None:
            return
        if self.model.engine == "openai_embeddings":
            self.findings.append(usage(first.raw))
            return
        self.findings += [
            streaming(first, self.model),
            finish_reason(first.raw),
            reasoning(first.raw, self.model),
            usage(first.raw),
        ]
        if not self.needs_json:
            self._find("structured", "no", f"not asked: {' and '.join(self.roles)} can do without")
        elif not await self._ask_list():
            return
        if await self._ask_seed(first.raw):
            await self._ask_logprobs()

    async def _ask_list(self) -> bool:
        """Whether there is sense in asking on."""
        kind = self.model.structured
        outcome = await self._ask(self._body(LIST % self._list.name, kind))
        if outcome.raw is not None:
            self._find("structured", "ok", f"{kind}: {judged_list(outcome.raw, self._list)}")
            return True
        if outcome.passing or kind == "none":
            self._find("structured", "fails", outcome.refusal)
            return False
        other = await self._ask(self._body(LIST % self._list.name, OTHER[kind]))
        instead = OTHER[kind] if other.raw is not None else "none"
        settings = " ".join(self.setting(f"structured={instead}"))
        self._find("structured", "fails", f"{kind} is refused; set {settings} ({own_words(outcome.refusal)})")
        return not other.passing

    async def _ask_seed(self, first: JsonObject) -> bool:
        """Whether there is sense in asking on. The first request had the seed already."""
        if not self.model.send_seed:
            self._find("seed", "no", "not sent: send_seed=false")
            return True
        outcome = await self._ask(self._body(WORD))
        if outcome.raw is None:
            self._find("seed", "ok", f"taken; asked for a second time: {outcome.refusal}")
        else:
            self._find("seed", "ok", same_seed_sentence(first, outcome.raw, self.model))
        return not outcome.passing

    async def _ask_logprobs(self) -> None:
        """With ids of tokens, and where that is refused without: some do not know vLLM's parameter for it."""
        if (kept := self.model.logprobs) is not None:  # else the first reply would have been refused
            self._find("logprobs", "ok", f"the likeliest {kept} at each token, with their ids")
            return
        outcome = await self._ask({**self._body(WORD), **asked_for(1)})
        if outcome.raw is None and not outcome.passing:
            outcome = await self._ask({**self._body(WORD), "logprobs": True})
        self.findings.append(logprobs(outcome, self.setting("logprobs=K")))

    async def _ask(self, body: JsonObject) -> ProbeResult:
        outcome = await self._probe.ask(body)
        usage = read_usage(outcome.raw)
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        if outcome.heard is not None:
            self.limit_headers |= limit_headers(outcome.heard.headers)
        return outcome

    def _body(self, text: str, structured: Literal["json_schema", "json_object", "none"] = "none") -> JsonObject:
        """What a build would send, but for the length. A limit that is null stays unsaid, as in a build."""
        schema = response_format(self._list.name, LISTED, structured)
        body = self._recipe.call((), [{"role": "user", "content": text}], 0, lambda raw: raw, schema).body
        field = self.model.max_tokens_field
        return {**body, field: min(body[field], TINY)} if isinstance(body.get(field), int) else body

    def setting(self, assignment: str) -> list[str]:
        """`assignment` for the roles that use this model: of `model`, where that is all of them."""
        nodes = ("model",) if self._plays_all else self.roles
        return [f"{node}.{assignment}" for node in nodes]

    def _find(self, name: str, state: FindingState, detail: str) -> None:
        self.findings.append(Finding(name, state, detail))


def needs_json(settings: Settings, roles: Iterable[str]) -> bool:
    """Whether any stage that one of the roles works for wants replies with a schema."""
    in_use = roles_in_use(settings)
    return any(replies_in_json(settings, shape, role) for role in roles for shape in in_use[role])


def distinct(settings: Settings) -> dict[bytes, tuple[str, ...]]:
    """The roles in use, those together whose requests go to one place and look alike, by what is alike."""
    groups: dict[bytes, tuple[str, ...]] = {}
    for role in roles_in_use(settings):
        alike = msgspec.json.encode(tiny(settings.models[role]))
        groups[alike] = (*groups.get(alike, ()), role)
    return groups


def tiny(model: ModelSettings) -> JsonObject:
    """What of a model's settings reaches a tiny request, or decides where it goes."""
    fields: JsonObject = msgspec.to_builtins(model)
    for field in ("prices", "limits", "revision", "examples"):
        del fields[field]
    length = model.max_tokens
    return {**fields, "max_tokens": length if length is None else min(length, TINY)}
