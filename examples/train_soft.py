"""Trains a student on the teacher's probabilities and on its choice, mixed by alpha, from `formats=[kd]`.

    python examples/train_soft.py student outputs/sports/dataset --alpha 0.5

The loss of a token is alpha · KL(teacher ‖ student) + (1 - alpha) · cross entropy with the token that the teacher chose
(Hinton et al., arXiv:1503.02531). What the teacher did not list among its top k is one more token, for both of them:
without it the student would be told that nothing else is possible. Needs the extra `trainers`.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from pyarrow.parquet import read_metadata
from torch.nn.functional import cross_entropy, kl_div
from transformers import AutoModelForCausalLM, AutoTokenizer

NO_LABEL = -100


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains a student on soft and hard labels.")
    parser.add_argument("model", help="the student: a folder, or a name on the Hub")
    parser.add_argument(
        "dataset", type=Path, help="the folder with train.kd.parquet; of validation or test it measures the losses"
    )
    parser.add_argument("--alpha", type=float, default=0.5, help="the share of the soft labels, 0 to 1")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, help="ends after so many rows")
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--output", default="student-soft")
    return parser.parse_args()


def rows_of(dataset: Path, side: str) -> Any:
    """The rows of one side, as tensors; None where it has no file, or an empty one, which no loader takes."""
    path = dataset / f"{side}.kd.parquet"
    if not path.exists() or read_metadata(path).num_rows == 0:
        return None
    rows = load_dataset("parquet", data_files=str(path), split="train")
    if "top_values" not in rows.column_names:
        sys.exit(f"{path} has the columns of Axolotl: export it with kd.trainer=distillkit")
    return rows.with_format("torch")


def losses(model: Any, row: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Means over the reply's tokens of one row: the divergence from the teacher's distribution, and the cross entropy
    with its choice, in nats. What stands at a position, of soft labels and of logits, is of the token behind it."""
    whole = row["attention_mask"].bool()
    ids, tops, values = (row[name][whole] for name in ("input_ids", "token_ids", "top_values"))
    begins = int((row["labels"] != NO_LABEL).nonzero()[0])  # the first token of the reply
    logits = model(input_ids=ids[None]).logits[0, begins - 1 : -1].float()
    student = torch.log_softmax(logits, dim=-1)
    listed = student.gather(1, tops[begins - 1 : -1].long())
    teacher = values[begins - 1 : -1].float()
    divergence = kl_div(with_rest(listed), with_rest(teacher), log_target=True, reduction="batchmean")
    return divergence, cross_entropy(logits, ids[begins:])


def with_rest(log_probabilities: torch.Tensor) -> torch.Tensor:
    """Log probabilities of some tokens [N, k], and of all others together as one more [N, k + 1]."""
    rest = (1 - log_probabilities.exp().sum(-1, keepdim=True)).clamp_min(1e-6).log()
    return torch.cat([log_probabilities, rest], dim=-1)


def measured(model: Any, rows: Any) -> str:
    """The mean losses over `rows`, which the student has not learnt from."""
    model.eval()
    with torch.no_grad():
        found = torch.tensor([[float(loss) for loss in losses(model, row)] for row in rows])
    model.train()
    soft, hard = found.mean(0).tolist()
    return f"KL {soft:.3f}, cross entropy {hard:.3f}"


def in_epochs(rows: Any, epochs: int, steps: int | None) -> Iterator[Any]:
    for number in range(min(len(rows) * epochs, steps or len(rows) * epochs)):
        if number % len(rows) == 0:
            order = torch.randperm(len(rows))
        yield rows[int(order[number % len(rows)])]


def main() -> None:
    said = arguments()
    torch.manual_seed(0)
    train = rows_of(said.dataset, "train")
    if train is None:
        sys.exit(f"{said.dataset} has no row in train.kd.parquet to train on: build it with formats=[kd]")
    held_out = rows_of(said.dataset, "validation") or rows_of(said.dataset, "test")
    model = AutoModelForCausalLM.from_pretrained(said.model, dtype=torch.float32)
    if held_out:
        print(f"before, on {len(held_out)} held-out answers: {measured(model, held_out)}", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=said.learning_rate)
    started = time.perf_counter()
    for step, row in enumerate(in_epochs(train, said.epochs, said.steps), start=1):
        soft, hard = losses(model, row)
        (said.alpha * soft + (1 - said.alpha) * hard).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 10 == 0:
            seconds = (time.perf_counter() - started) / step
            print(
                f"step {step}: KL {float(soft):.3f}, cross entropy {float(hard):.3f}, {seconds:.2f} s a step",
                flush=True,
            )
    if held_out:
        print(f"after: {measured(model, held_out)}")
    model.save_pretrained(said.output)
    AutoTokenizer.from_pretrained(said.model).save_pretrained(said.output)


if __name__ == "__main__":
    main()
