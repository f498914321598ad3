"""What all requests of one stage share, and what of it is identity.

Whatever is sent is what is hashed: the manifest of a call holds the request's body itself, so an ingredient that
reaches the model cannot be forgotten in the key. Knows nothing of stores, schedulers or HTTP.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distill_build.engine.manifest import SCHEME, digest
from distill_build.models.base import ModelSettings
from distill_build.records import JsonObject, Path
from distill_build.settings import ROLE_OF_STAGE, Settings, Stage

if TYPE_CHECKING:
    from distill_build.replies.parse import Rejection
    from distill_build.stages.prompts import Prompts  # brings jinja2

IDENTITY = {
    "name": "the model that answers; `model` in the body",
    "revision": "said by the user when the weights behind a name change",
    "path": "the digest of the weights file, not where it lies",
    "temperature": "sampling, as sent",
    "top_p": "sampling, as sent",
    "max_tokens": "where a reply is cut, as sent",
    "max_tokens_field": "the field that it is sent in",
    "structured": "the output schema, as sent; prompts may use it",
    "send_seed": "whether the endpoint gets a seed",
    "extra_body": "sent as it is",
    "examples": "only through the prompt that is rendered with it",
}
"""The settings of a model that reach its requests, each with the way it does."""

NOT_IDENTITY = {
    "engine": "where a model runs changes nothing of what it is asked",
    "base_url": "the same model behind another address is the same model",
    "api_key_env": "who pays is no part of the question",
    "api_key_required": "as above",
    "stream": "how a reply is carried, not what is in it",
    "prices": "what a reply costs is no part of the question",
    "limits": "how hard an endpoint is driven changes when, not what",
}
"""The settings of a model that change no request, each with the reason."""

NAMES: dict[Stage, dict[str, str]] = {
    "tags": {"per_request": "per_request.tags"},
    "questions": {"per_request": "per_request.questions"},
    "answers": {"system_prompt": "system_prompt"},
}
"""What a stage's own settings are called where they are typed. Of others that is `stage.<stage>.<setting>`."""
COUNTED_BY: dict[Stage, str] = {
    "tags": "breadth",
    "questions": "questions_per_tag",
    "answers": "answers_per_question",
}
"""The setting that says how many rows of a stage a parent has."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a model, ready to be looked up or sent.

    `path` is the place it works for, topic first. `read` turns a raw response into a JSON value to keep, or says
    why it cannot stand. `body` is what attempt 0 sends.
    """

    stage: Stage
    path: Path
    key: str
    manifest: JsonObject
    read: Callable[[Any], "Rejection | Any"]

    @property
    def body(self) -> JsonObject:
        body: JsonObject = self.manifest["body"]
        return body


class Recipe:
    """Makes the calls of one stage from what differs among them: messages, sample index, output schema."""

    def __init__(self, stage: Stage, settings: Settings, prompts: "Prompts", weights: str | None) -> None:
        """`weights` is the digest of the model's weights file, None for a model behind an address."""
        self.stage = stage
        self.model: ModelSettings = settings.role(stage)
        self.prompts = prompts
        self._settings = settings
        self._weights = weights
        self._sampling = _sampling(self.model)

    def call(
        self,
        path: Path,
        messages: list[dict[str, str]],
        sample: int,
        read: Callable[[Any], "Rejection | Any"],
        response_format: JsonObject | None = None,
    ) -> Call:
        """The call whose attempt 0 sends `messages`. `sample` tells requests apart that are the same otherwise."""
        body: JsonObject = {"model": self.model.name, "messages": messages, **self._sampling}
        if response_format is not None:
            body["response_format"] = response_format
        if self.model.send_seed:
            body["seed"] = derived_seed(self._settings.seed, sample, 0)
        body.update(self.model.extra_body)
        manifest = {
            "scheme": SCHEME,
            "stage": self.stage,
            "body": body,
            "revision": self.model.revision,
            "weights": self._weights,
            "seed": self._settings.seed,
            "sample": sample,
        }
        return Call(self.stage, path, digest(manifest), manifest, read)

    def identity(self) -> JsonObject:
        """All that a request of this stage can depend on besides its place in the tree.

        Finer than the keys: an edited comment in a template changes it and no key. It serves to skip work that
        cannot have changed, and to explain what did; that a request is needed is for its key alone to say.
        """
        settings, model = self._settings, self.model
        role = ROLE_OF_STAGE[self.stage]
        asked = {
            "model": model.name,
            "revision": model.revision,
            "weights": self._weights,
            "sampling": self._sampling,
            "structured": model.structured,
            "examples": model.examples,
            "send_seed": model.send_seed,
            "extra_body": model.extra_body,
        }
        return {
            "role": [role],
            "models": {role: asked},
            "scheme": SCHEME,
            "seed": settings.seed,
            "language": settings.language,
            "prompt": self.prompts.sources(self.stage),
            **_own_settings(self.stage, settings),
            "names": NAMES[self.stage],
            "counted_by": COUNTED_BY[self.stage],
        }


def derived_seed(seed: int, sample: int, attempt: int) -> int:
    """The seed that an endpoint gets: one of its own for each sample and attempt, 31 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{sample}:{attempt}".encode()).digest()[:4], "big") >> 1


def _sampling(model: ModelSettings) -> JsonObject:
    """Sampling parameters as they are sent; what is null is not."""
    named = {
        "temperature": model.temperature,
        "top_p": model.top_p,
        model.max_tokens_field: model.max_tokens,
    }
    return {name: value for name, value in named.items() if value is not None}


def _own_settings(stage: Stage, settings: Settings) -> JsonObject:
    match stage:
        case "tags":
            return {"per_request": settings.per_request.tags}
        case "questions":
            return {"per_request": settings.per_request.questions}
        case "answers":
            return {"system_prompt": settings.system_prompt}
