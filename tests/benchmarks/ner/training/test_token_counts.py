"""What batches held, against counts made by hand."""

from types import SimpleNamespace

import torch

from benchmarks.ner.training.token_counts import TokenCounter, mlm_counts, ner_counts

CLS, SEP, PAD, MASK = range(4)
TOKENIZER = SimpleNamespace(all_special_ids=[CLS, SEP, PAD, MASK], mask_token_id=MASK)
IDS = torch.tensor([[CLS, MASK, 11, 12, SEP], [CLS, 13, SEP, PAD, PAD]])
ATTENDED = (IDS != PAD).long()


def test_in_pre_training_what_has_a_label_is_masked():
    # Of 12, 11 and 13, which could be masked beside the masked one, 12 keeps its id and has a label.
    labels = torch.tensor([[-100, 10, -100, 12, -100], [-100, -100, -100, -100, 99]])
    batch = {"input_ids": IDS, "attention_mask": ATTENDED, "labels": labels}
    assert mlm_counts(TOKENIZER)(batch).tolist() == [8, 4, 2]


def test_in_fine_tuning_what_is_the_mask_token_is_masked():
    batch = {"input_ids": IDS, "attention_mask": ATTENDED, "labels": torch.zeros_like(IDS)}
    assert ner_counts(TOKENIZER)(batch).tolist() == [8, 4, 1]


def _seen(tokens, masked):
    return {"num_input_tokens_seen": tokens, "num_masked_tokens_seen": masked}


def test_tokens_are_told_so_far_and_the_fraction_since_the_last_time():
    observed = TokenCounter()
    observed.add(torch.tensor([10, 8, 2]))
    assert observed.logs(lambda counts: counts) == {**_seen(10, 2), "masked_fraction": 0.25}
    observed.add(torch.tensor([5, 4, 4]))
    observed.add(torch.tensor([5, 4, 0]))
    assert observed.logs(lambda counts: counts) == {**_seen(20, 6), "masked_fraction": 0.5}


def test_counts_are_those_of_all_ranks():
    observed = TokenCounter()
    observed.add(torch.tensor([10, 8, 2]))
    ranks = torch.tensor([10, 8, 6])
    assert observed.logs(lambda counts: counts + ranks) == {**_seen(20, 8), "masked_fraction": 0.5}


def test_nothing_that_could_be_masked_is_no_fraction_of_anything():
    observed = TokenCounter()
    observed.add(torch.tensor([2, 0, 0]))
    assert observed.logs(lambda counts: counts)["masked_fraction"] == 0
