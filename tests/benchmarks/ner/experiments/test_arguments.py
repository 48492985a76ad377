"""Arguments that no run can have are refused; a run ends with what to look at."""

import pytest

from benchmarks.ner.data.encoding import check_encodable
from benchmarks.ner.data.synthetic import embedded_corpus
from benchmarks.ner.experiments.arguments import HarnessArguments, check_arguments, next_steps
from benchmarks.ner.training.models import load_tokenizer


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"mlm_batch_size": 15},
            r"`mlm_batch_size` must be a multiple of the 2 processes, but got 15\. It is",
        ),
        ({"ner_batch_size": 0}, r"`ner_batch_size` must be an integer >= 1, but got 0\. Change it"),
        ({"ner_epochs": -1.0}, r"`ner_epochs` must be a number >= 0, but got -1\.0"),
        ({"weight_decay": float("nan")}, r"`weight_decay` must be a number >= 0, but got nan"),
        ({"seeds": [0, -1]}, r"`seeds` must be integers from 0 to 2\^32 - 1, but got -1\. Change it"),
        ({"report_to": ["tensorbord"]}, r"`report_to` must be among .*tensorboard.*, but got 'tensorbord'"),
    ],
)
def test_arguments_that_no_run_can_have_are_refused(asked, message) -> None:
    with pytest.raises(ValueError, match=message):
        check_arguments(HarnessArguments(**asked), num_processes=2)


def test_the_defaults_can_be_run() -> None:
    check_arguments(HarnessArguments(report_to=["tensorboard"]), num_processes=2)


def test_a_run_ends_with_what_to_look_at_and_how() -> None:
    asked = HarnessArguments(output_dir="/the runs", report_to=["tensorboard"])
    results, report, curves = next_steps(asked)
    assert results == "Results: /the runs"
    assert report == "Report: python -m benchmarks.ner.report '/the runs'"
    assert curves == "Curves: tensorboard --logdir '/the runs/trainer'"
    assert list(next_steps(HarnessArguments(output_dir="/the runs"))) == [results, report]


def test_lengths_without_room_are_refused_by_the_names_that_users_gave_them() -> None:
    tokenizer = load_tokenizer("tiny", embedded_corpus(sizes={"train": 20})["train"])
    check_encodable(tokenizer, 3, 3)
    for sizes, name in (((2, 3), "mlm_block_size"), ((3, 2), "ner_max_length")):
        with pytest.raises(ValueError, match=f"^{name} must leave room for a subword next to 2 special tokens; got 2;"):
            check_encodable(tokenizer, *sizes)
