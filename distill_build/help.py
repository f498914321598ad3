"""The text of --help. Imports nothing that takes time."""

from distill_build.command_line import COMMANDS, FLAGS, HYDRA_FLAGS, Flag, fits, spellings

USAGE = "distill-build [COMMAND] [FLAG ...] [key=value ...]"
EXAMPLES = """\
  distill-build topic=sports depth=3            a dataset under outputs/sports
  distill-build plan topic=sports               what that would send, and cost
  distill-build topic=体育 language=zh model=deepseek
  distill-build topic="C++ (basics), part 1" model@teacher=deepseek_reasoner"""
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
    ("teacher.temperature=…", "one role's sampling; null is not sent"),
    ("limits.concurrency=32", "requests in flight at once; also rpm, tpm, timeout_s, retries, reasks"),
    ("budget.usd=null", "a hard cap; also budget.tokens, budget.calls"),
    ("cache.dir=.distill-cache", "the responses that have been paid for"),
    ("formats=[messages]", "messages, alpaca, sharegpt, csv, parquet"),
)


def general_help() -> str:
    """Commands, main settings and flags."""
    commands = [(f"{name} {command.words}".strip(), command.help) for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Builds distillation datasets: tags, questions, answers. What is there is not asked for again.",
            f"\nUsage: {USAGE}\n",
            EXAMPLES,
            *section("Commands (distill-build COMMAND --help says more)", commands),
            *section("Settings (distill-build --cfg job prints them all)", SETTINGS),
            *section("Flags", flag_rows(FLAGS)),
            *section("Hydra's flags", flag_rows(HYDRA_FLAGS)),
        ]
    )


def command_help(name: str) -> str:
    """What one command does, and its flags."""
    command = COMMANDS[name]
    settings = " [key=value ...]" if command.composes else ""
    words = f" {command.words}" if command.words else ""
    flags = [flag for flag in FLAGS if fits(name, flag) and flag.name != "version"]
    hydra = [flag for flag in HYDRA_FLAGS if fits(name, flag)]
    return "\n".join(
        [
            f"distill-build {name}: {command.help}",
            f"\nUsage: distill-build {name}{words} [FLAG ...]{settings}",
            *section("Flags", flag_rows(flags)),
            *(section("Hydra's flags", flag_rows(hydra)) if hydra else ()),
            *(section("Settings (distill-build --cfg job prints them all)", SETTINGS) if command.composes else ()),
        ]
    )


def flag_rows(flags: "tuple[Flag, ...] | list[Flag]") -> list[tuple[str, str]]:
    """Spellings and help of flags."""
    return [(", ".join(reversed(spellings(flag))) + f" {flag.value}".rstrip(), flag.help) for flag in flags]


def section(title: str, rows: "tuple[tuple[str, str], ...] | list[tuple[str, str]]") -> list[str]:
    """A titled table of two columns."""
    width = max(len(left) for left, _ in rows)
    return [f"\n{title}:", *(f"  {left:<{width}}  {right}" for left, right in rows)]
