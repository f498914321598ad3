"""What all requests of one stage to one model share, and what of a model's settings is identity.

Whatever is sent is what is hashed: the manifest of a call holds the request's body itself, so an ingredient that
reaches the model cannot be forgotten in the key. Knows nothing of stores, schedulers or HTTP.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from distill_build.calls.call import Call, derived_seed
from distill_build.engine.manifest import SCHEME, digest
from distill_build.models.base import ModelSettings
from distill_build.records import JsonObject, Path
from distill_build.replies.reasoning import Thoughts
from distill_build.soft_labels import asked_for

if TYPE_CHECKING:
    from distill_build.replies.parse import Rejection

IDENTITY = {
    "name": "the model that answers; `model` in the body",
    "revision": "said by the user when the weights behind a name change",
    "path": "the digest of the weights file, not where it lies",
    "temperature": "sampling, as sent",
    "top_p": "sampling, as sent",
    "max_tokens": "where a reply is cut, as sent",
    "max_tokens_field": "the field that it is sent in",
    "logprobs": "how many alternatives a reply tells of each token, as sent",
    "structured": "the output schema, as sent; prompts may use it",
    "send_seed": "whether the endpoint gets a seed",
    "extra_body": "sent as it is",
    "examples": "only through the prompt that is rendered with it",
    "reasoning": "prompted: through the prompt that asks for it, and no schema is sent; else how a reply is read",
}
"""The settings of a model that reach its requests, each with the way it does."""

NOT_IDENTITY = {
    "engine": "where a model runs changes nothing of what it is asked",
    "base_url": "the same model behind another address is the same model",
    "api_key_env": "who pays is no part of the question",
    "api_key_required": "as above",
    "stream": "how a reply is carried, not what is in it",
    "prices": "what a reply costs is no part of the question",
    "reasoning_marks": "how a reply is read, which asks nothing: what is stored is read again",
    "assumed_tokens": "what an estimate goes by is no part of the question",
    "limits": "how hard an endpoint is driven changes when, not what",
}
"""The settings of a model that change no request, each with the reason."""


READING = frozenset({"reasoning_marks", "reasoning"})
"""Those that change what is read of a reply which is stored."""


class Recipe:
    """Makes the calls of one stage to one model from what differs among them: messages, sample, output schema."""

    def __init__(
        self,
        stage: str,
        role: str,
        model: ModelSettings,
        seed: int,
        weights: str | None,
        read_by: JsonObject | None = None,
        *,
        has_reasoning: bool = False,
    ) -> None:
        """`weights` is the digest of the model's weights file, None for a model behind an address; `read_by` are
        settings of the stage that a reply is read by; `has_reasoning` says whether its rows have a column for that."""
        self.stage = stage
        self.role = role
        self.model = model
        self._seed = seed
        self._weights = weights
        self._sampling = sampling_of(model)
        self.thoughts = Thoughts(model.reasoning_marks, model.reasoning if has_reasoning else "native")
        self._reading = reading_of(self.thoughts, read_by)

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
            body["seed"] = derived_seed(self._seed, sample, 0)
        if self.model.logprobs is not None:
            body.update(asked_for(self.model.logprobs))
        body.update(self.model.extra_body)
        manifest = {
            "scheme": SCHEME,
            "stage": self.stage,
            "body": body,
            "revision": self.model.revision,
            "weights": self._weights,
            "seed": self._seed,
            "sample": sample,
        }
        return Call(self.stage, path, digest(manifest), manifest, read, self.role, self._reading)

    def identity(self) -> JsonObject:
        """All of the model that a request, or the reading of a reply, can depend on.

        Finer than the keys: it serves to skip work that cannot have changed, and to explain what did; that a request
        is needed is for its key alone to say.
        """
        model = self.model
        return {
            "model": model.name,
            "revision": model.revision,
            "weights": self._weights,
            "sampling": self._sampling,
            "structured": model.structured,
            "examples": model.examples,
            "send_seed": model.send_seed,
            "extra_body": model.extra_body,
            **({} if model.logprobs is None else {"logprobs": model.logprobs}),
            **(
                {}
                if model.reasoning_marks is None
                else {"reasoning_marks": [list(each) for each in model.reasoning_marks]}
            ),
            **({} if self.thoughts.mode == "native" else {"reasoning": self.thoughts.mode}),
        }

    def asks_as(self, other: "Recipe") -> bool:
        """Whether the requests of both are the same."""
        asked = [{key: value for key, value in each.identity().items() if key not in READING} for each in (self, other)]
        return asked[0] == asked[1] and self.thoughts.asked == other.thoughts.asked


def reading_of(thoughts: Thoughts, read_by: JsonObject | None = None) -> str:
    """What stands for the settings that a reply is read by, as `engine.entry.Accepted` has it; empty for the usual."""
    marks, mode = thoughts.marks, () if thoughts.mode == "native" else (thoughts.mode,)
    if read_by is not None or mode:
        return digest([marks, *([] if read_by is None else [read_by]), *mode])
    return "" if marks is None else digest(marks)


def sampling_of(model: ModelSettings) -> JsonObject:
    """Sampling parameters as they are sent; what is null is not."""
    named = {
        "temperature": model.temperature,
        "top_p": model.top_p,
        model.max_tokens_field: model.max_tokens,
    }
    return {name: value for name, value in named.items() if value is not None}
