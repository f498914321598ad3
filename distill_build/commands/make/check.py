"""`check`: asks every configured endpoint a few tiny questions and says what it can do.

Neither uses nor fills the cache. Returns 0 where a build can use every role's model as it is configured, else 2.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence

from distill_build.commands.make.examination import Examination, distinct
from distill_build.console.page import print_document, print_lines
from distill_build.console.words import money
from distill_build.console.wrapping import visible
from distill_build.errors import ConfigurationError
from distill_build.models.address import address_in_words
from distill_build.options import Options
from distill_build.records import JsonObject, number_of
from distill_build.settings import Settings

MARKS = {"ok": "ok", "no": "-", "fails": "FAILS"}
MILLION = 1_000_000


def run(settings: Settings, options: Options) -> int:
    """Asks about each model that the roles use, and prints what was found."""
    return check_endpoints([Examination(settings, roles) for roles in distinct(settings).values()], options)


def check_endpoints(examinations: Sequence[Examination], options: Options) -> int:
    """Asks one endpoint after the other, so that no limit of an endpoint is exceeded, and prints what was found."""
    asyncio.run(_examine(examinations))
    people = sys.stderr if options.json else sys.stdout
    print_lines(map(visible, _lines(examinations, quiet=options.quiet)), people)
    if options.json:
        print_document(_document(examinations))
    return 0 if all(each.works for each in examinations) else ConfigurationError.exit_code


async def _examine(examinations: Sequence[Examination]) -> None:
    for examination in examinations:
        await examination.run()


def _lines(examinations: Sequence[Examination], *, quiet: bool) -> Iterator[str]:
    """A list for each endpoint, and what it cost. `quiet` leaves what fails."""
    for each in examinations:
        shown = [finding for finding in each.findings if finding.state == "fails" or not quiet]
        if not shown:
            continue
        yield f"{place(each)}  {each.model.name}  ({', '.join(each.roles)})"
        for finding in shown:
            yield f"  {finding.name:<11}  {MARKS[finding.state]:<5}  {finding.detail}".rstrip()
        yield ""
    if not quiet:
        yield spent(examinations)
    if not all(each.works for each in examinations):
        yield "this configuration does not work for every role: see FAILS above"


def spent(examinations: Sequence[Examination]) -> str:
    """What the check took, in one line."""
    requests = sum(each.requests for each in examinations)
    prompt, completion = _tokens(examinations)
    cost = usd(examinations)
    price = "" if cost is None else f", {money(cost)}"
    return (
        f"{number_of(requests, 'requests')}, {number_of(prompt + completion, 'tokens')} "
        f"({prompt:,} prompt, {completion:,} completion){price}; the cache was not used"
    )


def _document(examinations: Sequence[Examination]) -> JsonObject:
    """The document of `check --json`."""
    prompt, completion = _tokens(examinations)
    return {
        "works": all(each.works for each in examinations),
        "requests": sum(each.requests for each in examinations),
        "tokens": {"prompt": prompt, "completion": completion},
        "usd": usd(examinations),
        "endpoints": [_row(each) for each in examinations],
    }


def _row(each: Examination) -> JsonObject:
    return {
        "address": place(each),
        "model": each.model.name,
        "roles": list(each.roles),
        "works": each.works,
        "requests": each.requests,
        "checks": {finding.name: {"state": finding.state, "detail": finding.detail} for finding in each.findings},
        "rate_limit_headers": each.limit_headers,
    }


def place(each: Examination) -> str:
    """Where a model is."""
    if each.model.engine == "embedded":
        return "embedded"
    return address_in_words((each.model.base_url or "").strip()).rstrip("/")


def _tokens(examinations: Sequence[Examination]) -> tuple[int, int]:
    """Prompt and completion tokens, as the endpoints say them."""
    return sum(each.prompt_tokens for each in examinations), sum(each.completion_tokens for each in examinations)


def usd(examinations: Sequence[Examination]) -> float | None:
    """US dollars; None where a model that was asked has no prices."""
    total = 0.0
    for each in examinations:
        prices = each.model.prices
        if not each.requests:
            continue
        if prices.prompt is None or prices.completion is None:
            return None
        total += (each.prompt_tokens * prices.prompt + each.completion_tokens * prices.completion) / MILLION
    return total
