"""Tags: a topic's tree, grown level by level; each request carries the whole path."""

from collections.abc import Mapping

from distill_build.prompting.known import ANYTHING, NUMBER, TEXT, TEXTS, TRUTH, Known
from distill_build.records import RENAMED_FROM, JsonObject, Path
from distill_build.replies.labels import ListReading
from distill_build.settings import StageSettings
from distill_build.stages.flags import CATCH_ALL, SPECIAL_TOKENS
from distill_build.stages.kinds.list_stage import ListStage


class Builtin(ListStage):
    grows_tree = True
    variables_of = ListStage.variables_of | {"parent", "level"}
    flags = (CATCH_ALL, SPECIAL_TOKENS)
    reading = ListReading(
        name="tags",
        item="tag",
        other_names=("sub_tags", "subtags", "labels", "topics", "subtopics", "sub_topics"),
        text_names=("tag", "label", "name", "title", "topic", "subtopic"),
        shortest=2,
        shortest_cjk=1,
        longest=120,
        one_line=True,
    )

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:  # noqa: ARG003
        texts: dict[str, Known] = dict.fromkeys(("id", "number", "label"), TEXT)
        return texts | {"path": TEXTS, "parent": ANYTHING, "level": NUMBER, "leaf": TRUTH, RENAMED_FROM: ANYTHING}

    def variables(self, path: Path) -> JsonObject:
        return {"parent": path[-1], "level": len(path)}
