"""The text of --help: commands by what they are for, and examples. Imports nothing that takes time."""

from collections.abc import Iterable, Iterator, Mapping

from distill_build.cli.grammar import (
    CACHE_VERBS,
    COMMANDS,
    FLAGS,
    GROUPS,
    HYDRA_FLAGS,
    Flag,
    knows_flag,
    spellings,
)
from distill_build.console.page import HANG, Line
from distill_build.console.wrapping import cells

USAGE = "distill-build [COMMAND] [FLAG ...] [key=value ...]"
WIDE = 60
"""Cells of a command line behind which there is still room in a terminal."""
GENERAL_EXAMPLES = (
    ("topic=sports depth=3", "a dataset under outputs/sports"),
    ("plan topic=sports", "what that would send, and cost"),
    ("topic=体育 language=zh model=deepseek", "in Chinese, by another model"),
    ('topic="C++ (basics), part 1" model@teacher=deepseek_reasoner', "answers by a model of their own"),
)
EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "build": (
        ("topic=sports depth=3", "a dataset under outputs/sports"),
        ("topic=sports model=deepseek model@teacher=deepseek_reasoner budget.usd=5", "by an endpoint, for 5 dollars"),
        ("-m topic=sports breadth=5,10", "one dataset for each value"),
        ("--rebuild 'answers:sports/Tennis/*' topic=sports", "other answers below one tag"),
        ("--frozen", "the locked version from stored responses, or exit 4: for CI"),
    ),
    "plan": (
        ("plan topic=sports depth=3", "requests, tokens, dollars and time"),
        ("plan topic=sports --until questions", "without the answers"),
        ("plan -m topic=sports breadth=5,10", "what each value would cost, and all together"),
    ),
    "explain": (
        ("explain topic=sports teacher.temperature=0", "which stages that setting reaches"),
        ("explain q_4416eb17e9117147 topic=sports", "what changed behind one item, by its id"),
    ),
    "tree": (
        ("tree", "of the only dataset, or of that of the working directory"),
        ("tree sports --yaml", "a tree.yaml to start from"),
        ("tree --from contents.md", "one made of a list"),
    ),
    "sample": (
        ("sample", "three rows"),
        ("sample 10 sports --seed 1", "ten others"),
    ),
    "report": (
        ("report sports", "outputs/sports/report.html"),
        ("report sports --to page.html --against latest~1", "with what differs from the version before"),
        ("report outputs/sports/sweeps/c3dbbd9fab06", "the jobs of a sweep side by side"),
    ),
    "show": (
        ("show 1.2", "a tag, by its number"),
        ("show a_bf098210d291fd47 sports", "an answer, by its id"),
    ),
    "log": (("log a_bf098210d291fd47", "its tag, question, prompts, settings, response and versions"),),
    "view": (
        ("view", "the only dataset, in a browser, until Ctrl-C"),
        ("view sports --port 8123 --no-browser", "its address is the first line"),
    ),
    "edit": (
        ("edit", "what was changed in the rows of the only dataset goes into curate/"),
        ("edit sports --json", "of one of several, for programs"),
    ),
    "export": (
        ("export sports formats=[csv,alpaca]", "two formats more"),
        ("export -o outputs/sports formats=[messages] format.reasoning=field", "reasoning in a field of its own"),
    ),
    "publish": (
        ("publish ../sports-for-all", "a folder that loads with `datasets`"),
        ("publish hf://datasets/ada/sports sports --private", "one of several, to the Hub, by HF_TOKEN"),
    ),
    "diff": (
        ("diff", "the version before with the latest one"),
        ("diff git:HEAD~1 latest -v", "the lock of a commit with the latest one, row by row"),
        ("diff latest~1 latest a_bf098210d291fd47", "one item, word by word"),
    ),
    "history": (("history sports", "when each version was made, and what changed"),),
    "checkout": (("checkout latest~1 sports", "the files of the version before"),),
    "verify": (("verify sports", "0, or 4 where a file is not what the lock says"),),
    "cache": (
        ("cache stats", "what it holds, and what it cost"),
        ("cache export cache.bundle", "one file, for another machine"),
    ),
    "cache stats": (("cache stats --json", "for programs"),),
    "cache gc": (
        ("cache gc --keep-last 3 --dry-run", "what that would remove, and what it had cost"),
        ("cache gc --keep-last 3 --older-than 30d --max-size 2GB", "oldest first, down to a size"),
    ),
    "cache fsck": (("cache fsck", "0, or 5 where something is damaged"),),
    "cache export": (
        ("cache export cache.bundle", "all of it"),
        ("cache export sports.bundle -o outputs/sports", "what one dataset needs"),
    ),
    "cache import": (("cache import cache.bundle", "what stands here is never displaced"),),
    "cache push": (("cache push s3://my-bucket/distill-cache", "what the bucket lacks"),),
    "cache pull": (("cache pull s3://my-bucket/distill-cache", "what the cache lacks"),),
    "init": (
        ("init my-dataset", "conf/, prompts/, .gitignore and a workflow in a new folder"),
        ("init", "in the working directory"),
    ),
    "check": (
        ("check model=deepseek model@teacher=deepseek_reasoner", "two models"),
        (
            "check model=openai_compatible model.base_url=http://127.0.0.1:8000/v1 model.name=my-model",
            "an endpoint of your own",
        ),
    ),
}
"""Command, with a verb or without → command lines that work, and what each is for."""
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
    ("model@teacher=same", "who answers, where that is another model"),
    ("model@student=same", "who asks the questions: the small model that is to be trained"),
    ("model@tagger=same", "who makes the tags"),
    ("recipe=basic", "which stages there are, and what belongs to them"),
    ("stages=[tags,…]", "the stages in force, in order; a stage of your own is a file conf/stage/NAME.yaml"),
    ("stage.NAME.samples=…", "one stage's settings"),
    ("teacher.temperature=…", "one role's sampling; null is not sent"),
    ("limits.concurrency=…", "requests in flight at once, else as the model's file says; also rpm, tpm, …"),
    ("budget.usd=null", "a hard cap; also budget.tokens, budget.calls"),
    ("cache.dir=.distill-cache", "the responses that have been paid for"),
    ("formats=[messages]", "messages, prompt_completion, alpaca, sharegpt, preference, labels, csv, parquet"),
)


def general_help() -> Iterator[str | Line]:
    """Commands, main settings and flags."""
    yield "Builds distillation datasets: tags, questions, answers. What is there is not asked for again."
    yield from ("", f"Usage: {USAGE}")
    yield from examples(GENERAL_EXAMPLES)
    width = max(len(words) for words, _ in map(command_row, COMMANDS))
    for group, title in GROUPS.items():
        yield from section(title, [command_row(name) for name in COMMANDS if COMMANDS[name].group == group], width)
    yield from ("", "distill-build COMMAND --help says more, with examples.")
    yield from section("Settings (distill-build --cfg job topic=x prints them all)", SETTINGS)
    yield from section("Flags", flag_rows(flag for flag in FLAGS if flag.whose.split()[0] not in COMMANDS))
    hydras = ", ".join("/".join(reversed(spellings(flag))) for flag in HYDRA_FLAGS)
    yield from ("", f"Hydra's flags (distill-build build --help explains them): {hydras}")


def command_row(name: str) -> tuple[str, str]:
    """A command with the words it takes, and what it does."""
    return f"{name} {COMMANDS[name].words}".strip(), COMMANDS[name].help


def command_help(name: str) -> Iterator[str | Line]:
    """What one command does, with a verb or without, and its flags."""
    command, _, verb = name.partition(" ")
    does = CACHE_VERBS[verb] if verb else COMMANDS[command]
    yield f"distill-build {name}: {does.help}"
    words = [name, *does.words.split(), "[FLAG ...]", *["[key=value ...]"] * COMMANDS[command].composes]
    yield from ("", f"Usage: distill-build {' '.join(words)}")
    yield from examples(EXAMPLES.get(name, ()))
    if name == "cache":
        verbs = [(f"{name} {verb.words}".strip(), verb.help) for name, verb in CACHE_VERBS.items()]
        yield from section("Verbs (distill-build cache VERB --help says more)", verbs)
    yield from section(
        "Flags", flag_rows((flag for flag in FLAGS if knows_flag(name, flag) and flag.name != "version"), name)
    )
    if COMMANDS[command].composes:
        yield from section("Hydra's flags", flag_rows(flag for flag in HYDRA_FLAGS if knows_flag(name, flag)))
        yield from section("Settings (distill-build --cfg job topic=x prints them all)", SETTINGS)


def examples(lines: Iterable[tuple[str, str]]) -> Iterator[str | Line]:
    """Command lines, each with what it is for. A long one pushes that to the right for itself alone."""
    rows = [(f"  distill-build {words}  ", purpose) for words, purpose in lines]
    width = max((cells(words) for words, _ in rows if cells(words) <= WIDE), default=0)
    yield ""
    for words, purpose in rows:
        yield (words + " " * (width - cells(words)), "plain"), HANG, (f"# {purpose}", "quiet")


def flag_rows(flags: Iterable[Flag], name: str = "") -> Iterator[tuple[str, str]]:
    """Spellings and help of flags. One that a verb alone knows says so, except on the page of that verb, `name`."""
    for flag in flags:
        whose = f"{flag.whose}: " if " " in flag.whose and flag.whose != name else ""
        yield ", ".join(reversed(spellings(flag))) + f" {flag.value}".rstrip(), whose + flag.help


def section(title: str, rows: Iterable[tuple[str, str]], least: int = 0) -> Iterator[str | Line]:
    """A titled table of two columns, the first of which is `least` characters wide."""
    table = list(rows)
    width = max(least, *(len(left) for left, _ in table))
    yield from ("", f"{title}:")
    for left, right in table:
        yield (f"  {left:<{width}}  ", "plain"), HANG, (right, "plain")
