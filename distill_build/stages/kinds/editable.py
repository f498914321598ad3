"""What a person may say of the rows of a stage. Pure."""

from collections.abc import Iterable

import msgspec

from distill_build.records import JsonObject
from distill_build.replies.forms import FieldsForm, ReplyForm, TextForm


class Editable(msgspec.Struct, frozen=True):
    """What a person may say of a stage's rows: `columns` with their text, none where they are worked out; `form` is
    what they have to be.

    `takes_given` says whether they may stand beside a person's own item in the row above.
    """

    columns: tuple[str, ...] = ()
    form: ReplyForm = TextForm()
    takes_given: bool = False

    def whole(self, text: JsonObject, *, alone: bool) -> JsonObject | None:
        """All columns by an edit that need not know what a model would say: it says each, or enough where it stands
        `alone`, since what it hangs on was edited too. None where a reply has to be there."""
        whole = dict.fromkeys(self.columns) | text
        says_all = bool(text) and (alone or text.keys() >= set(self.columns))
        return whole if says_all and self.fault(whole, {}) is None else None

    def fault(self, text: JsonObject, line: JsonObject) -> str | None:
        """Why a row with the columns of `line` cannot have `text` in some of them; None where it can."""
        return self.form.fault(text, line)

    def fault_alone(self, text: JsonObject) -> str | None:
        """The same without the row, as far as `text` tells by itself."""
        says_part = isinstance(self.form, FieldsForm) and not text.keys() >= set(self.columns)
        return None if says_part else self.form.fault(text, {})


def fault_of_given(behind: Iterable[Editable], given: JsonObject) -> str | None:
    """Why a person's own item cannot have that beside it; `behind` are the stages that come after its own."""
    faults = (each.fault_alone(given) for each in behind if given and each.takes_given)
    return next((fault for fault in faults if fault is not None), None)
