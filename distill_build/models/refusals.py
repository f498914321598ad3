"""What a reply other than a completion means: status and body, translated at one place.

    retryable (RetryableError)      408 409 425 429 5xx, and what stands for them in a 200's `error`
    for today (EndpointLimitError)  429 of a limit that holds for a day, or for hours
    fatal (EndpointError)           3xx 401 402 403 404 405, used-up quota, unknown model, refused parameter, a web page
                                    with status 200
    of this one item (ModelFailure) 400 413 422 and other 4xx: rejected; a content filter: content_filter

Knows nothing of HTTP's library. A sentence never holds the API key, or another secret of the way to the endpoint, even
where the endpoint quotes it.
"""

import hashlib
import html
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from distill_build.errors import EndpointError, EndpointLimitError
from distill_build.models.base import ModelFailure, ModelSettings, SettingOf, setting_of_model
from distill_build.models.dialect import dialect_of
from distill_build.models.retry import LONGEST_WAIT_S, RetryableError
from distill_build.models.retry_after import retry_after_s
from distill_build.records import JsonObject
from distill_build.soft_labels import asked_for, lack_in

QUOTE_LENGTH = 300
RETRYABLE = frozenset({408, 409, 425, 429})
QUOTA = re.compile(
    r"insufficient[_ ](quota|balance|credits?|funds)|billing_(hard_limit|not_active)"
    r"|exceeded your current quota|arrearage|account.{0,20}(overdue|suspended)",
    re.IGNORECASE,
)
PER_DAY = re.compile(r"per[-_ ]?day|daily[-_ ](limit|quota|requests?|free)", re.IGNORECASE)
GEMINI_PER_DAY = re.compile(r'"quotaId"\s*:\s*"[^"]*PerDay')
"""Gemini's field for it. Its RetryInfo names seconds beside it all the same; such a quota ends at midnight Pacific time
(ai.google.dev/gemini-api/docs/rate-limits)."""
FILTERED = re.compile(
    r"content[_ ]?filter|content[_ ]policy|content management policy|data_?inspection|content exists risk"
    r"|moderation|flagged|sensitive_words|responsibleai",
    re.IGNORECASE,
)
NO_MODEL = re.compile(
    r"model_not_found|model_not_exist|invalid_model|unknown[_ ]model|no such model|not a valid model"
    r"|model.{0,80}?(not (be )?found|n.t exist|not exist|is not (available|supported))",
    re.IGNORECASE,
)
NO_KEY = re.compile(r"api[ _-]?key|invalid_authentication|unauthorized", re.IGNORECASE)
TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
TOO_LONG = re.compile(r"context|input.{0,20}too long|prompt.{0,20}too long", re.IGNORECASE)
SOURCE_LENGTH = 16
"""Characters of the digest that stands for an endpoint where its address is nobody's business."""
GIVERS = "the ids of tokens (llama.cpp's server, vLLM)"
STATUS_OF_CODE = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "invalid_request_error": 400,
    "content_filter": 400,
    "context_length_exceeded": 400,
}


class ErrorReply(msgspec.Struct, frozen=True):
    """A reply that is not a completion. Header names are looked up in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


class Complaint(msgspec.Struct, frozen=True):
    """What the body of a reply says: its sentence, codes and the parameter that it blames."""

    message: str
    codes: str
    parameter: str


Refusal = RetryableError | ModelFailure | EndpointError | EndpointLimitError


class Endpoint(msgspec.Struct, frozen=True):
    """The endpoint that replies are judged for; `key` is known so that it can be kept out of sentences.

    `setting` names the settings of the model in them; `secrets` are what else is kept out.
    """

    model: ModelSettings
    address: str
    key: str | None
    setting: SettingOf = setting_of_model
    secrets: Collection[str] = ()

    def refusal(self, reply: ErrorReply, sent: Mapping[str, Any], now: float) -> Refusal:
        """The exception to raise. `sent` is the request's body; `now` is in seconds since 1970."""
        complaint = complaint_of(reply.text)
        said = f"{reply.status}: {self.quote(complaint.message or 'no explanation')}"
        everything = f"{complaint.codes} {complaint.message}"
        wait_s = retry_after_s(reply.headers, reply.text if reply.status == 429 else "", now)
        passing = reply.status in RETRYABLE or reply.status >= 500
        when = self._end_of_limit(reply, complaint, wait_s) if passing else None
        if when is not None:
            return self._for_today(said, when)
        if self._is_used_up(reply.status, complaint, wait_s):
            return self._fatal(f"the account is used up ({said}). Top it up, or use another key or model")
        if passing:
            cause = "rate_limited" if reply.status == 429 else "server_error"
            return RetryableError(cause, said, retry_after_s=wait_s)
        if reply.status in (400, 403, 422) and FILTERED.search(everything):
            return ModelFailure("content_filter", said)
        if 300 <= reply.status < 400:
            return self._moved(reply)
        return self._client_error(reply.status, complaint, everything, said, sent)

    def _is_used_up(self, status: int, complaint: Complaint, wait_s: float | None) -> bool:
        """What a code says counts, then a time to wait: Gemini writes of a used-up quota for a limit of a minute."""
        if status == 402:
            return True
        if status not in (403, 429):
            return False
        return bool(QUOTA.search(complaint.codes) or (wait_s is None and QUOTA.search(complaint.message)))

    def _end_of_limit(self, reply: ErrorReply, complaint: Complaint, wait_s: float | None) -> str | None:
        """When a limit ends that is not worth waiting for; None for any other refusal.

        Fields decide, then a time to wait, and only then the sentence: Groq and OpenAI write "per day" of limits that
        roll, and name some minutes.
        """
        if reply.status == 429 and GEMINI_PER_DAY.search(reply.text):
            return "at midnight Pacific time"
        if wait_s is not None:
            return f"in {wait_s / 3600:.1f} hours" if wait_s > LONGEST_WAIT_S else None
        said = reply.status == 429 and not QUOTA.search(complaint.codes) and PER_DAY.search(reply.text)
        return "when its day ends: it does not say at what time" if said else None

    def _for_today(self, said: str, when: str) -> EndpointLimitError:
        return EndpointLimitError(
            f"{self.address}: what it allows for now is used up ({said}); it goes on {when}. Run the same command "
            "again then: what has arrived is kept"
        )

    def _client_error(
        self, status: int, complaint: Complaint, everything: str, said: str, sent: Mapping[str, Any]
    ) -> Refusal:
        if status in (401, 403) or (status == 400 and NO_KEY.search(everything)):
            return self._fatal(f"access is denied ({said}). {self._key_advice()}")
        if status in (400, 404, 422) and (NO_MODEL.search(everything) or complaint.parameter == "model"):
            return self._fatal(f"the model {self.model.name!r} is unknown there ({said}). Set {self.setting('name')}")
        if status in (404, 405) or status < 300:
            return self._fatal(
                f"there are no {dialect_of(self.model).replies} at that address ({said}). "
                f"Set {self.setting('base_url')}; most end in /v1"
            )
        if status in (400, 422):
            parameter = blamed_parameter(complaint, sent)
            if parameter:
                return self._fatal(f"{self.advice(parameter, sent)} ({said})")
        return ModelFailure("rejected", said)

    def advice(self, parameter: str, sent: Mapping[str, Any]) -> str:
        """Which setting to change, for a parameter that the endpoint refuses."""
        if parameter == "response_format":
            kind = sent.get("response_format", {}).get("type", "")
            other = "json_object or none" if kind == "json_schema" else "none"
            return f"it refuses response_format {kind}: set {self.setting('structured')}={other}"
        if parameter == self.model.max_tokens_field:
            fields = ("max_tokens", "max_completion_tokens")
            other = fields[0] if parameter == fields[1] else fields[1]
            return (
                f"it refuses {parameter}={sent[parameter]}: set {self.setting('max_tokens_field')}={other}, "
                f"or {self.setting('max_tokens')} to a number that it takes"
            )
        if self.model.logprobs is not None and parameter in asked_for(1):
            return f"it refuses {parameter}={_shown(sent.get(parameter))}: {self._without_soft_labels(parameter)}"
        return f"it refuses {parameter}={_shown(sent.get(parameter))}: set {self._assignment(parameter)}"

    def _without_soft_labels(self, parameter: str) -> str:
        """Some endpoints blame the one parameter for the number in the other."""
        fewer = " or to a lower number" if parameter.endswith("logprobs") else ""
        return f"set {self.setting('logprobs')} to null{fewer}, or take an endpoint that gives {GIVERS}"

    @property
    def source(self) -> str:
        """What stands for it, and for how it is asked, in replies that are kept."""
        return hashlib.sha256(f"{self.address} {self.model.stream}".encode()).hexdigest()[:SOURCE_LENGTH]

    def fault_of(self, raw: JsonObject) -> EndpointError | None:
        """What to raise of a stored reply of its whose log probabilities are of no use, since no other reply will be
        better; None of all others."""
        lack = lack_in(raw)
        if lack is None or lack.source != self.source:
            return None
        if lack.lost:
            return self._fatal(f"{lack.why}: set {self.setting('stream')}=false, which asks for such replies again")
        return self._fatal(
            f"{lack.why}; which tokens they were no text says for sure: set {self.setting('logprobs')}=null, or take "
            f"an endpoint that gives {GIVERS}"
        )

    def _assignment(self, parameter: str) -> str:
        if parameter in self.model.extra_body:
            return f"{self.setting('extra_body')} without {parameter}"
        if parameter == "seed":
            return f"{self.setting('send_seed')}=false"
        if parameter.startswith("stream"):
            return f"{self.setting('stream')}=false"
        return f"{self.setting(parameter)}=null"

    def _key_advice(self) -> str:
        variable = self.model.api_key_env
        if not variable:
            return f"It wants a key: set {self.setting('api_key_env')} to the name of the variable that holds it"
        state = f"holds a key for {self.model.name!r}" if self.key else "is set: it is empty"
        return f"See that the environment variable {variable} {state}"

    def _moved(self, reply: ErrorReply) -> EndpointError:
        target = self.quote(reply.headers.get("location", "an address that it does not name"))
        new = target.replace(dialect_of(self.model).path, "")
        return self._fatal(f"the address has moved ({reply.status}) to {target}. Set {self.setting('base_url')}={new}")

    def _fatal(self, sentence: str) -> EndpointError:
        return EndpointError(f"{self.address}: {sentence}")

    def quote(self, text: str) -> str:
        """Words of the endpoint, or of the way there, on one line, cut, and without the key and other secrets."""
        for secret in sorted(filter(None, (self.key, *self.secrets)), key=len, reverse=True):
            text = text.replace(secret, "***")
        line = " ".join(text.split())
        return line if len(line) <= QUOTE_LENGTH else line[:QUOTE_LENGTH] + "…"


def complaint_of(text: str) -> Complaint:
    """Reads an error body: OpenAI's, Gemini's list, FastAPI's `detail`, plain text, or the title of a web page."""
    if text.lstrip().startswith("<"):
        title = TITLE.search(text)
        return Complaint(f"a web page, {html.unescape(title[1]).strip()!r}" if title else "a web page", "", "")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return Complaint(text, "", "")
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return Complaint(text, "", "")
    error = body.get("error") or body.get("detail") or body
    if isinstance(error, list) and error and isinstance(error[0], dict):
        return of_validation(error[0])
    if not isinstance(error, dict):
        return Complaint(words_in(error), str(body.get("code") or ""), "")
    return of_error(error, text)


def of_error(error: Mapping[str, Any], text: str) -> Complaint:
    """OpenAI's error object; what OpenRouter puts into its metadata counts as said, too."""
    message = words_in(error.get("message") or text)
    metadata = error.get("metadata")
    if isinstance(metadata, dict):
        message = " ".join([message, *map(words_in, metadata.values())])
    codes = " ".join(str(error[key]) for key in ("code", "type", "status") if error.get(key))
    return Complaint(message, codes, root(str(error.get("param") or "")))


def words_in(value: Any) -> str:
    """A value of a body as text for a sentence."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {words_in(part)}" for key, part in value.items())
    return ", ".join(map(words_in, value)) if isinstance(value, list) else str(value)


def of_validation(detail: Mapping[str, Any]) -> Complaint:
    """FastAPI's list of validation errors: the parameter stands in `loc`, after "body"."""
    place = [str(part) for part in detail.get("loc", []) if part != "body"]
    return Complaint(f"{'.'.join(place)}: {detail.get('msg', '')}", "", root(place[0] if place else ""))


def root(parameter: str) -> str:
    """The field of the request's body that a path such as `messages[0].content` is under."""
    return re.split(r"[.\[]", parameter, maxsplit=1)[0]


def blamed_parameter(complaint: Complaint, sent: Mapping[str, Any]) -> str | None:
    """The parameter we sent that the endpoint refuses; None where it speaks of this one request's content."""
    if TOO_LONG.search(complaint.message) or complaint.parameter == "messages":
        return None
    names = [name for name in sent if name not in ("model", "messages")]
    if complaint.parameter in names:
        return complaint.parameter
    prompt = " ".join(str(message.get("content")) for message in sent.get("messages", []))
    for name in sorted(names, key=len, reverse=True):
        if any(names_word(complaint.message, word, prompt) for word in words_for(name)):
            return name
    return None


def words_for(parameter: str) -> tuple[str, ...]:
    """How endpoints write a parameter's name."""
    if parameter == "response_format":
        return ("response_format", "response format", "json_schema", "json_object", "json schema")
    return (parameter,)


def names_word(message: str, word: str, prompt: str) -> bool:
    """Whether a message names a parameter; a word that the prompt has too counts only in quotes."""
    bare = rf"(?<!\w){re.escape(word)}(?!\w)"
    pattern = rf"[`'\"]{re.escape(word)}[`'\"]" if re.search(bare, prompt, re.IGNORECASE) else bare
    return re.search(pattern, message, re.IGNORECASE) is not None


def _shown(value: Any) -> str:
    """A sent value, short."""
    return json.dumps(value, ensure_ascii=False)[:80]


def status_of(error: Any) -> int:
    """The HTTP status that an `error` object inside a 200 stands for."""
    if isinstance(error, dict):
        for key in ("code", "status", "type"):
            value = error.get(key)
            if str(value).isdigit() and 400 <= int(str(value)) < 600:
                return int(str(value))
            if str(value) in STATUS_OF_CODE:
                return STATUS_OF_CODE[str(value)]
    return 500
