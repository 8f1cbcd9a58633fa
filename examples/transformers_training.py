"""A small training with Transformers. Needs ``pip install transformers accelerate torch``.

Run it as ``python examples/transformers_training.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.transformers import RigorousCallback

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

torch.manual_seed(0)
words = torch.randint(0, 30, (32, 8))
data = [{"input_ids": each, "labels": int(each[0] > 15)} for each in words]
sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
trainer = Trainer(
    model=BertForSequenceClassification(BertConfig(vocab_size=30, **sizes)),
    args=TrainingArguments(
        output_dir=str(FOLDER / "checkpoints"),
        num_train_epochs=3,
        per_device_train_batch_size=8,
        logging_steps=1,
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    ),
    train_dataset=data,
    eval_dataset=data,
    callbacks=[RigorousCallback(FOLDER / "words")],
)
trainer.train()
with ExperimentCollection.open(FOLDER / "words", quiet=True) as collection:
    counts = "SELECT training, count(loss), count(eval_loss), max(step) FROM records GROUP BY ALL"
    print(collection.sql(counts).fetchall())
