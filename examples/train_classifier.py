"""Trains a classifier on the shares of the teacher's votes, from `formats=[labels]`.

    python examples/train_classifier.py student outputs/reviews/dataset

The target of a text is the distribution of its samples' labels, not the winner alone. Needs the extra `trainers`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer
from transformers import TrainingArguments as Arguments


class OnShares(Trainer):
    """Its loss is the cross entropy with the shares, in nats."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        shares = inputs.pop("labels")
        outputs = model(**inputs)
        loss = cross_entropy(outputs.logits.float(), shares.float())
        return (loss, outputs) if return_outputs else loss


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains a classifier on label shares.")
    parser.add_argument("model", help="what it begins from: a folder, or a name on the Hub")
    parser.add_argument(
        "dataset", type=Path, help="the folder with train.labels.jsonl; of validation or test it measures the loss"
    )
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--steps", type=int, default=-1, help="ends after so many batches")
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--output", default="classifier")
    return parser.parse_args()


def rows_of(dataset: Path, side: str) -> Any:
    """The rows of one side; None where it has no file, or an empty one, which no loader takes."""
    path = dataset / f"{side}.labels.jsonl"
    if not path.exists() or path.stat().st_size == 0:
        return None
    return load_dataset("json", data_files=str(path), split="train")


def main() -> None:
    said = arguments()
    train = rows_of(said.dataset, "train")
    if train is None:
        sys.exit(f"{said.dataset} has no row in train.labels.jsonl to train on: build it with recipe=classify")
    held_out = rows_of(said.dataset, "validation") or rows_of(said.dataset, "test")
    names = list(train.features["shares"])
    tokenizer = AutoTokenizer.from_pretrained(said.model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    torch.manual_seed(0)  # its last layer is new
    model = AutoModelForSequenceClassification.from_pretrained(
        said.model,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
        pad_token_id=tokenizer.pad_token_id,
        dtype=torch.float32,
    )

    def prepared(rows: Any) -> Any:
        return rows.map(in_tokens, remove_columns=rows.column_names)

    def in_tokens(row: Any) -> dict[str, Any]:
        return {
            **tokenizer(row["text"], truncation=True, max_length=512),
            "labels": [row["shares"][name] for name in names],
        }

    def agreement(found: Any) -> dict[str, float]:
        logits, shares = map(torch.tensor, (found.predictions, found.label_ids))
        return {"agrees": float((logits.argmax(-1) == shares.argmax(-1)).float().mean())}

    trainer = OnShares(
        model=model,
        args=Arguments(
            output_dir=said.output,
            num_train_epochs=said.epochs,
            max_steps=said.steps,
            learning_rate=said.learning_rate,
            per_device_train_batch_size=8,
            logging_steps=5,
            save_strategy="no",
            report_to="none",
            use_cpu=not torch.cuda.is_available(),
        ),
        train_dataset=prepared(train),
        eval_dataset=held_out and prepared(held_out),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=agreement,
    )
    if held_out:
        print("before:", trainer.evaluate())
    trainer.train()
    if held_out:
        print("after:", trainer.evaluate())
    trainer.save_model(said.output)
    tokenizer.save_pretrained(said.output)


if __name__ == "__main__":
    main()
