"""Whether a training row is longer than trainers take it: by the tokenizer that the stages go by, else by estimate."""

from distill_build.errors import ConfigurationError
from distill_build.export import Layout, TrainingRow
from distill_build.models.completion import estimated_tokens
from distill_build.records import JsonObject
from distill_build.stages.measures.tokens import TokenCounter

AROUND = 4
"""Tokens of a chat template around a message."""


class RowLength:
    """Measures rows laid out as `layout` says; `recipe` names the tokenizer. `estimated` says that there is none, or
    that its file is not here, or another one."""

    def __init__(self, layout: Layout, recipe: JsonObject) -> None:
        self._layout = layout
        self._counter = _counter_in(recipe)
        self.estimated = self._counter is None

    def exceeds(self, row: TrainingRow) -> bool:
        """Whether a row has more tokens than the layout lets trainers take."""
        most = self._layout.max_length
        texts = [self._layout.system_prompt or "", row.question, row.answer]
        texts += [text for turn in row.history for text in (turn.question, turn.answer)]
        if self._layout.reasoning != "drop":
            texts.append(row.reasoning or "")
        if self._counter is None:
            return estimated_tokens({"content": text} for text in texts) > most
        if sum(len(text.encode(errors="replace")) for text in texts) + AROUND * len(texts) <= most:
            return False  # no token is shorter than a byte
        return self._counter.count(texts) + AROUND * len(texts) > most


def _counter_in(recipe: JsonObject) -> TokenCounter | None:
    """The tokenizer of a stage, where its file is still the one that the recipe names."""
    for own in recipe.values():
        for file, digest in (own.get("tokenizer") or {}).items() if isinstance(own, dict) else ():
            try:
                counter = TokenCounter(file, "tokenizer")
            except ConfigurationError:
                return None
            return counter if counter.digest == digest else None
    return None
