"""Arguments that no run can have are refused; a run ends with what to look at."""

import pytest

from benchmarks.ner.data.encoding import check_encodable
from benchmarks.ner.data.file_format import DEFAULT
from benchmarks.ner.data.synthetic import embedded_corpus
from benchmarks.ner.experiments.argument_checks import check_values, file_format
from benchmarks.ner.experiments.arguments import check_launch, load_task, next_steps, stages, with_text
from benchmarks.ner.experiments.harness_arguments import HarnessArguments
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
        ({"seeds": [2**32]}, r"`seeds` must be integers from 0 to 2\^32 - 1, but got 4294967296"),
        ({"seeds": [0, 1, 0]}, r"`seeds` must differ from each other, but got 0 twice\. Remove one of them"),
        ({"arms": ["static"] * 2}, r"`arms` must differ from each other, but got 'static' twice"),
        ({"mlm_train_file": ["no.txt[:75%]"]}, r"`mlm_train_file` must be a file, but there is none at 'no\.txt'\."),
        ({"mlm_train_file": ["no.txt[75%:0%]"]}, r"`mlm_train_file` must name a part from 0% to 100%"),
        ({"base": "no/base"}, r"`base` must be a folder, but there is none at 'no/base'\. Check the path"),
        ({"arms": ["static,dynamic"]}, r"but got 'static,dynamic'\. Separate arms with spaces\."),
        ({"train_file": "."}, r"`train_file` must be a file, but '\.' is a folder\. Name a file in it\."),
        ({"train_file": "pyproject.toml"}, r"got no validation_file and no test_file; pass all three files or none"),
        ({"arms": ["statik"]}, r"`arms` must be among anneal, .*, but got 'statik'\. Did you mean 'static'\?"),
        ({"train_file": "no/train.txt"}, r"`train_file` must be a file, but there is none at 'no/train\.txt'\. Check"),
        ({"tag_scheme": "iob"}, r"`tag_scheme` must be among iob2, iob1, bioes, but got 'iob'"),
        ({"report_to": ["tensorbord"]}, r"`report_to` must be among .*tensorboard.*, but got 'tensorbord'"),
    ],
)
def test_arguments_that_no_run_can_have_are_refused(asked, message) -> None:
    with pytest.raises(ValueError, match=message):
        _check(HarnessArguments(**asked), num_processes=2)


def _check(asked: HarnessArguments, num_processes: int) -> None:
    check_values(asked)
    check_launch(asked, num_processes)


def test_files_are_read_in_the_format_that_is_asked_for(tmp_path) -> None:
    (tmp_path / "train.txt").write_bytes("S-LOC x:Köln\n".encode("latin-1"))
    file = str(tmp_path / "train.txt")
    asked = HarnessArguments(
        train_file=file,
        validation_file=file,
        test_file=file,
        mlm_train_file=[f"{file}[:100%]"],
        word_column="2",
        tag_column="1",
        word_pattern="x:(.+)",
        tag_scheme="bioes",
        encoding="latin-1",
    )
    _check(asked, num_processes=1)
    task = with_text(load_task(asked, {"mixed_precision": "no"}, use_cpu=True, num_processes=1), asked)
    assert task.data["test"][0] == {"words": ["Köln"], "tags": ["B-LOC"]}
    assert task.text["words"][:] == [["Köln"]]
    assert task.dataset["name"] == tmp_path.name


def test_the_format_of_files_is_the_default() -> None:
    assert file_format(HarnessArguments()) == DEFAULT


def test_the_defaults_can_be_run() -> None:
    _check(HarnessArguments(report_to=["tensorboard"]), num_processes=2)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "2 epochs of pre-training and 0.5 of fine-tuning"),
        ({"fine_tunings": 0}, "2 epochs of pre-training"),
        ({"mlm_epochs": 1.0}, "1 epoch of pre-training and 0.5 of fine-tuning"),
        (
            {"arms": ["none", "static", "finetune_static"]},
            "2 epochs of pre-training (none for `none` and `finetune_static`) and 0.5 of fine-tuning",
        ),
    ],
)
def test_a_run_begins_with_its_stages(asked, words) -> None:
    assert stages(HarnessArguments(**{"mlm_epochs": 2.0, "ner_epochs": 0.5, **asked})) == words


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
