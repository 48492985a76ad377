"""What is tested with random draws must be tested with the same ones every time, and so with the same tokens."""

import pytest
from support.tokenizers_zoo import ZOO


@pytest.mark.parametrize("family", ["bert_cased", "roberta", "xlm_r", "t5", "clip", "openai_gpt"])
def test_a_tokenizer_is_trained_alike_every_time(family) -> None:
    first, again = (ZOO[family].__wrapped__().backend_tokenizer for _ in range(2))
    assert first.to_str() == again.to_str()
