"""Follow-ups: what the student, as a reader of the dialogue so far, asks next."""

from distill_build.stages.kinds.dialogue_stage import DialogueStage


class Builtin(DialogueStage):
    reads = frozenset({"question", "answer"})
