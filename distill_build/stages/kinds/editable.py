"""What a person may say of the rows of a stage. Pure."""

import msgspec

from distill_build.records import JsonObject
from distill_build.replies.schemas import ObjectSchema


class Editable(msgspec.Struct, frozen=True):
    """What a person may say of a stage's rows: `columns` with their text, none where they are worked out.

    `takes_given` says whether they may stand beside a person's own item in the row above.
    """

    columns: tuple[str, ...] = ()
    schema: ObjectSchema | None = None
    takes_given: bool = False

    def fault(self, text: JsonObject, line: JsonObject) -> str | None:
        """Why a row with the columns of `line` cannot have `text` in some of them; None where it can."""
        if self.schema is not None:
            fields = {name: value for name in self.schema.fields if (value := (line | text).get(name)) is not None}
            return self.schema.fault(fields)
        for column, value in text.items():
            if (column, value) != ("reasoning", None) and (not isinstance(value, str) or not value.strip()):
                return f"{column} is a text, not {value!r}"
        return None
