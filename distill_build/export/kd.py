"""Rows of tokens with the teacher's distributions, as trainers of knowledge distillation read them.

Of a prompt of P tokens and a reply of M there are N = P + M positions, and **position p holds the distribution of token
p + 1**: what a causal model predicts there. So the first of the reply stands at P - 1, and the last at N - 2. Positions
without one have that of the nearest: what a trainer computes and masks has to be a distribution.

`input_ids`, `labels` (-100 where no loss of the token is taken) and `attention_mask`, and besides

- distillkit: `token_ids`, `top_values` (log probabilities as they are). It takes the loss of a distribution where the
  label at the same position is one, so the last label is none: the end of a reply is learnt from the distribution
  before it. https://github.com/arcee-ai/DistillKit (distillkit/trainer.py: valid_mask)
- axolotl: `target_token_ids`, `target_logprobs` (of the likeliest, so that they add up to 1), `target_mask`.
  https://github.com/axolotl-ai-cloud/axolotl (integrations/kd)
"""

import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from distill_build.export.layout import Layout, TokenSequence, TrainingRow, Write
from distill_build.export.parquet import TokenColumn, TokenRow, open_token_columns
from distill_build.export.soft import write_in_groups
from distill_build.soft_labels import ID_BYTES, LOGPROB_BYTES, SoftLabels

NO_LOSS = -100
FLOAT_BYTES = 4
COMMON = (TokenColumn("input_ids", "int32"), TokenColumn("labels", "int32"), TokenColumn("attention_mask", "int8"))
COLUMNS = {
    "distillkit": (
        *COMMON,
        TokenColumn("token_ids", "int32", nested=True),
        TokenColumn("top_values", "float16", nested=True),
    ),
    "axolotl": (
        *COMMON,
        TokenColumn("target_token_ids", "int32", nested=True),
        TokenColumn("target_logprobs", "float32", nested=True),
        TokenColumn("target_mask", "int8", nested=True),
    ),
}


@contextmanager
def open_kd(path: Path, layout: Layout) -> Iterator[Write]:
    """A new file with the columns of the layout's trainer."""
    trainer = layout.kd.trainer
    with open_token_columns(path, COLUMNS[trainer], with_id=False) as write_group:

        def write(rows: Sequence[TrainingRow]) -> None:
            found = (layout.tokens.token_sequence(row) for row in rows)
            cells = (None if each is None else aligned(each, trainer, layout.kd.length) for each in found)
            write_in_groups(cells, write_group)

        yield write


def aligned(row: TokenSequence, trainer: str, length: int | None) -> TokenRow:
    """The cells of a row, by the columns of a trainer; with a `length` it is filled up to so many positions."""
    before, reply, padding = len(row.prompt), row.reply, (length or len(row)) - len(row)
    no_loss = struct.pack("<i", NO_LOSS)

    def placed(values: bytes, size: int) -> bytes:
        """What stands at each place of the reply, a position earlier; the nearest at all others."""
        wide = size * reply.width
        return values[:wide] * (before - 1) + values + values[-wide:] * (1 + padding)

    labelled = reply.token_ids[:-ID_BYTES] + no_loss if trainer == "distillkit" else reply.token_ids
    cells = [
        struct.pack(f"<{before}i", *row.prompt) + reply.token_ids + struct.pack("<i", 0) * padding,
        no_loss * before + labelled + no_loss * padding,
        b"\1" * len(row) + b"\0" * padding,
        placed(reply.top_ids, ID_BYTES),
    ]
    if trainer == "distillkit":
        return TokenRow("", (*cells, placed(reply.top_logprobs, LOGPROB_BYTES)), reply.width)
    masks = [b"\0" * (before - 1), b"\1" * len(reply), b"\0" * (1 + padding)]
    wide_mask = b"".join(part * reply.width for part in masks)
    return TokenRow("", (*cells, placed(adding_up_to_one(reply), FLOAT_BYTES), wide_mask), reply.width)


def adding_up_to_one(reply: SoftLabels) -> bytes:
    """The log probabilities of the likeliest among themselves, float32 [N x width]."""
    width, found = reply.width, list[float]()
    logprobs = struct.unpack(f"<{len(reply) * width}e", reply.top_logprobs)
    for at in range(0, len(logprobs), width):
        own = logprobs[at : at + width]
        total = own[0] + math.log(sum(math.exp(each - own[0]) for each in own))
        found += (each - total for each in own)
    return struct.pack(f"<{len(found)}f", *found)
