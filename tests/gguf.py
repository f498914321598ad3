"""The tokenizer and the chat template of the packed model, out of its GGUF file, as files that a student comes with.

Reference: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
import struct
from pathlib import Path
from typing import Any, BinaryIO

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, LIST = 8, 9
CONTROL = 3
"""The type of a token that is no text."""


def metadata(path: Path) -> dict[str, Any]:
    """The key-value pairs at the beginning of a GGUF file."""
    with path.open("rb") as file:
        assert file.read(4) == b"GGUF"
        _, _, pairs = struct.unpack("<IQQ", file.read(20))
        return {_text(file): _value(file, _number(file, "I")) for _ in range(pairs)}


def _number(file: BinaryIO, kind: str) -> Any:
    (value,) = struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))
    return value


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "Q")).decode()


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == TEXT:
        return _text(file)
    if kind == LIST:
        of, length = _number(file, "I"), _number(file, "Q")
        return [_value(file, of) for _ in range(length)]
    return _number(file, NUMBERS[kind])


def write_student_of(path: Path, folder: Path) -> Path:
    """tokenizer.json and tokenizer_config.json of a model of the SmolLM2 family."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    told = metadata(path)
    tokens = told["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in told["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: place for place, token in enumerate(tokens)}, merges=merges))
    pieces = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(pieces)
    tokenizer.decoder = decoders.ByteLevel()
    control = zip(tokens, told["tokenizer.ggml.token_type"], strict=True)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token, kind in control if kind == CONTROL])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"chat_template": told["tokenizer.chat_template"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder
