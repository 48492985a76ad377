"""Small models for masked language modeling, of every type."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForMaskedLM

VOCABULARY = 50
SIZES = {
    "vocab_size": VOCABULARY,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_size": 16,
    "intermediate_size": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SQUEEZEBERT_PARTS = ("q", "k", "v", "intermediate", "output", "post_attention")
OTHER_SIZES: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 8},
    "convbert": {"embedding_size": 16, "conv_kernel_size": 3, "head_ratio": 1},
    "distilbert": {"n_layers": 2, "n_heads": 2, "dim": 16, "hidden_dim": 32},
    "electra": {"embedding_size": 8},
    "esm": {"mask_token_id": 4, "position_embedding_type": "absolute", "max_position_embeddings": 32},
    "eurobert": {"num_key_value_heads": 2, "mask_token_id": 4, "max_position_embeddings": 32},
    "mobilebert": {"embedding_size": 8, "intra_bottleneck_size": 8, "true_hidden_size": 8},
    "modernbert": {"cls_token_id": 1, "sep_token_id": 2},
    "nystromformer": {"segment_means_seq_len": 7, "num_landmarks": 7},
    "rembert": {"input_embedding_size": 8, "output_embedding_size": 8},
    "roformer": {"embedding_size": 16},
    "squeezebert": {"embedding_size": 16, **{f"{part}_groups": 1 for part in SQUEEZEBERT_PARTS}},
}


def mlm_model(type_: str = "bert", attention: str | None = None, **sizes: Any) -> Any:
    """A model in training mode, always with the same weights."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(type_, **{**SIZES, **OTHER_SIZES.get(type_, {}), **sizes})
    options = {} if attention is None else {"attn_implementation": attention}
    return AutoModelForMaskedLM.from_config(config, **options).train()
