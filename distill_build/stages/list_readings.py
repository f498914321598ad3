"""How the lists of our stages are read: the names that models give to them and to what is in them."""

from distill_build.replies.labels import ListReading

TAGS = ListReading(
    name="tags",
    item="tag",
    other_names=("sub_tags", "subtags", "labels", "topics", "subtopics", "sub_topics"),
    text_names=("tag", "label", "name", "title", "topic", "subtopic"),
    shortest=2,
    shortest_cjk=1,
    longest=120,
    one_line=True,
)
QUESTIONS = ListReading(
    name="questions",
    item="question",
    other_names=("prompts", "instructions"),
    text_names=("question", "q"),
    shortest=10,
    shortest_cjk=4,
)
