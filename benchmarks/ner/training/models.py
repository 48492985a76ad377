"""Builds the models of a cell: the initial encoder, and the classifier around the pre-trained encoder."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from benchmarks.ner.data.hub_or_path import check_hub_or_path
from benchmarks.ner.training.tiny_bert import tiny_config, tiny_tokenizer

TINY = "tiny"


def load_tokenizer(model: str, train: Dataset) -> PreTrainedTokenizerBase:
    """Loads the model's tokenizer; for `tiny`, trains one on the training split."""
    if model == TINY:
        return tiny_tokenizer(train)
    check_hub_or_path("model", model, TINY)
    return AutoTokenizer.from_pretrained(model, add_prefix_space=True)


def model_identity(model: str, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Identifies an encoder in a result by a name, without paths of this machine, and a fingerprint."""
    digest = hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode())
    folder = Path(model)
    if model == TINY:
        config = tiny_config(tokenizer).to_dict()
        config.pop("transformers_version")
        digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    elif folder.is_dir():
        for path in sorted(path for path in folder.iterdir() if path.suffix in {".safetensors", ".bin"}):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    else:
        digest.update(str(getattr(AutoConfig.from_pretrained(model), "_commit_hash", None)).encode())
    return {"name": folder.name if folder.is_dir() else model, "fingerprint": digest.hexdigest()}


def initial_model(
    model: str, tokenizer: PreTrainedTokenizerBase, seed: int, checkpoint: Path | None = None
) -> PreTrainedModel:
    """Returns the masked language model before training, the same for every arm of a seed.

    Args:
        checkpoint: the folder of a model that was pre-trained before. None to begin with `model`.
    """
    set_seed(seed)  # the head of a pre-trained encoder without one is initialized at random
    if checkpoint is not None:
        return AutoModelForMaskedLM.from_pretrained(checkpoint).float()
    if model == TINY:
        return AutoModelForMaskedLM.from_config(tiny_config(tokenizer))
    return AutoModelForMaskedLM.from_pretrained(model)


def classifier(
    encoder: PreTrainedModel, model: str, tokenizer: PreTrainedTokenizerBase, names: Sequence[str], seed: int
) -> PreTrainedModel:
    """Builds a token classifier around the encoder of a masked language model.

    Its head is the same for every arm of a seed."""
    set_seed(seed)
    classifier = AutoModelForTokenClassification.from_config(_labeled_config(model, tokenizer, names))
    loaded = classifier.base_model.load_state_dict(encoder.base_model.state_dict(), strict=False)
    mismatched = [key for key in (*loaded.missing_keys, *loaded.unexpected_keys) if not key.startswith("pooler.")]
    if mismatched:
        raise ValueError(
            f"the encoder of {model!r} must match its token classifier, but these weights do not: {mismatched}"
        )
    return classifier


def _labeled_config(model: str, tokenizer: PreTrainedTokenizerBase, names: Sequence[str]) -> Any:
    config = tiny_config(tokenizer) if model == TINY else AutoConfig.from_pretrained(model)
    config.id2label = dict(enumerate(names))
    config.label2id = {name: number for number, name in enumerate(names)}
    return config
