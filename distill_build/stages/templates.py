"""The prompt templates of our stages: what each may use."""

from distill_build.prompting.prompts import OF_LIST, OF_ROW, TemplateVariables

TEMPLATES = {
    "tags": TemplateVariables(OF_LIST | {"parent", "level"}),
    "questions": TemplateVariables(OF_LIST | {"tag"}),
    "answers": TemplateVariables(OF_ROW | {"question"}),
}
