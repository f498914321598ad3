"""Tags: a topic's tree, grown level by level; each request carries the whole path."""

from distill_build.records import JsonObject, Path
from distill_build.replies.labels import ListReading
from distill_build.stages.base import ListStage


class Builtin(ListStage):
    variables_of = ListStage.variables_of | {"parent", "level"}
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

    def variables(self, path: Path) -> JsonObject:
        return {"parent": path[-1], "level": len(path)}
