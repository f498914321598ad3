"""The text of --help. Imports nothing that takes time."""

from collections.abc import Iterable, Iterator

from distill_build.cli.grammar import CACHE_VERBS, COMMANDS, FLAGS, HYDRA_FLAGS, Flag, knows_flag, spellings
from distill_build.console.page import HANG, Line

USAGE = "distill-build [COMMAND] [FLAG ...] [key=value ...]"
EXAMPLES = (
    "  distill-build topic=sports depth=3            a dataset under outputs/sports",
    "  distill-build plan topic=sports               what that would send, and cost",
    "  distill-build topic=体育 language=zh model=deepseek",
    '  distill-build topic="C++ (basics), part 1" model@teacher=deepseek_reasoner',
)
SETTINGS = (
    ("topic=TEXT", "the root of the tree: any text, in any language (required)"),
    ("name=NAME", "the dataset's folder; from the topic"),
    ("output_dir=outputs", "where datasets go"),
    ("depth=2", "levels of tags below the topic, 1 to 10"),
    ("breadth=10", "tags under each parent; or one number a level: breadth=[10,5,3]"),
    ("questions_per_tag=10", "questions for each leaf tag"),
    ("answers_per_question=1", "answers sampled for each question"),
    ("language=en", "en or zh"),
    ("model=local", "local, openai, deepseek, qwen, ollama, vllm, openai_compatible, …"),
    ("model@teacher=same", "a role's own model; also model@tagger, model@student"),
    ("recipe=basic", "which stages there are, and what belongs to them"),
    ("stages=[tags,…]", "the stages in force, in order; a stage of your own is a file conf/stage/NAME.yaml"),
    ("stage.NAME.samples=…", "one stage's settings"),
    ("teacher.temperature=…", "one role's sampling; null is not sent"),
    ("limits.concurrency=…", "requests in flight at once, else as the model's file says; also rpm, tpm, …"),
    ("budget.usd=null", "a hard cap; also budget.tokens, budget.calls"),
    ("cache.dir=.distill-cache", "the responses that have been paid for"),
    ("formats=[messages]", "messages, alpaca, sharegpt, csv, parquet"),
)


def general_help() -> Iterator[str | Line]:
    """Commands, main settings and flags."""
    commands = [(f"{name} {command.words}".strip(), command.help) for name, command in COMMANDS.items()]
    yield "Builds distillation datasets: tags, questions, answers. What is there is not asked for again."
    yield from ("", f"Usage: {USAGE}", "", *EXAMPLES)
    yield from section("Commands (distill-build COMMAND --help says more)", commands)
    yield from section("Settings (distill-build --cfg job prints them all)", SETTINGS)
    yield from section("Flags", flag_rows(FLAGS))
    yield from section("Hydra's flags", flag_rows(HYDRA_FLAGS))


def command_help(name: str) -> Iterator[str | Line]:
    """What one command does, with a verb or without, and its flags."""
    command, _, verb = name.partition(" ")
    does = CACHE_VERBS[verb] if verb else COMMANDS[command]
    yield f"distill-build {name}: {does.help}"
    words = [name, *does.words.split(), "[FLAG ...]", *["[key=value ...]"] * COMMANDS[command].composes]
    yield from ("", f"Usage: distill-build {' '.join(words)}")
    if name == "cache":
        verbs = [(f"{name} {verb.words}".strip(), verb.help) for name, verb in CACHE_VERBS.items()]
        yield from section("Verbs (distill-build cache VERB --help says more)", verbs)
    yield from section(
        "Flags", flag_rows((flag for flag in FLAGS if knows_flag(name, flag) and flag.name != "version"), name)
    )
    if COMMANDS[command].composes:
        yield from section("Hydra's flags", flag_rows(flag for flag in HYDRA_FLAGS if knows_flag(name, flag)))
        yield from section("Settings (distill-build --cfg job prints them all)", SETTINGS)


def flag_rows(flags: Iterable[Flag], name: str = "") -> Iterator[tuple[str, str]]:
    """Spellings and help of flags. One that a verb alone knows says so, except on the page of that verb, `name`."""
    for flag in flags:
        whose = f"{flag.whose}: " if " " in flag.whose and flag.whose != name else ""
        yield ", ".join(reversed(spellings(flag))) + f" {flag.value}".rstrip(), whose + flag.help


def section(title: str, rows: Iterable[tuple[str, str]]) -> Iterator[str | Line]:
    """A titled table of two columns."""
    table = list(rows)
    width = max(len(left) for left, _ in table)
    yield from ("", f"{title}:")
    for left, right in table:
        yield (f"  {left:<{width}}  ", "plain"), HANG, (right, "plain")
