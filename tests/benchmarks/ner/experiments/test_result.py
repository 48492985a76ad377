"""Result files: whole or absent, and never mistaken for another run's."""

import json

import pytest
from support import made_results

from benchmarks.ner.experiments.result import configuration, result_path, run_id
from benchmarks.ner.experiments.result_reader import RejectedResult, finished_result, read_result, read_results
from benchmarks.ner.experiments.storage import write_result

SCORES = {"dev_f1": 0.5, "test_f1": 0.5, "test_accuracy": 0.9}


def make_result(seed=1, **changes):
    return made_results.make_result("dynamic", seed, **changes)


def stored(folder, result):
    path = result_path(folder, result["arm"]["name"], result["seed"], result["run_id"])
    write_result(path, result)
    return path


def test_a_written_result_is_read_back(tmp_path):
    result = make_result()
    path = stored(tmp_path, result)
    assert path.name == f"dynamic-seed1-{result['run_id'][:12]}.json"
    assert read_result(path, configuration(result)) == result
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_run_id_is_of_the_whole_configuration_in_any_order():
    config = configuration(make_result())
    assert run_id(dict(reversed(config.items()))) == run_id(config)
    changes = [
        {"arm": {"name": "dynamic", "mlm_probability": 0.2}},
        {"seed": 2},
        {"dataset": {"name": "tiny", "fingerprint": "1f"}},
        {"model": {"name": "other"}},
        {"launch": {"num_processes": 2, "mixed_precision": "no"}},
        {"budget": {"mlm_epochs": 11, "ner_epochs": 1.5}},
        {"schema": "hf_dynmask.ner/2"},
    ]
    assert set(config) == {key for change in changes for key in change}
    assert len({run_id(config), *(run_id({**config, **change}) for change in changes)}) == 8


def test_what_was_measured_does_not_change_the_run_id():
    assert make_result(quality={"dev_f1": 0.9})["run_id"] == make_result()["run_id"]


def test_finished(tmp_path):
    result, failed = make_result(), make_result(seed=2, status="failed", reason="launch")
    assert finished_result(tmp_path / "absent.json", configuration(result)) is None
    assert finished_result(stored(tmp_path, result), configuration(result), retry_failed=True) == result
    path = stored(tmp_path, failed)
    assert finished_result(path, configuration(failed)) == failed
    assert finished_result(path, configuration(failed), retry_failed=True) is None
    assert path.exists()
    skipped = make_result(seed=3, status="skipped", reason="no GPU", mlm={"eval_loss": None})
    assert finished_result(stored(tmp_path, skipped), configuration(skipped)) is None


def test_every_half_written_file_is_rejected(tmp_path):
    result = make_result()
    path = stored(tmp_path, result)
    text = path.read_text().rstrip("\n")
    for length in range(0, len(text), 7):
        path.write_text(text[:length])
        with pytest.raises(RejectedResult, match="not valid JSON"):
            finished_result(path, configuration(result))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[]", "not a result of schema"),
        ('{"schema": "other/1"}', "not a result of schema"),
        ('{"schema": "hf_dynmask.ner/1"}', "missing keys: run_id, status"),
        ('{"schema": NaN}', "NaN is not a JSON number"),
        (json.dumps({**make_result(), "status": "running"}), "status must be one of ok, failed, skipped"),
        (json.dumps({**make_result(), "launch": None}), "launch must be an object, but is None"),
        (json.dumps({**make_result(), "seed": 2}), "does not hash to the run_id"),
    ],
)
def test_a_foreign_or_changed_file_is_rejected(tmp_path, content, reason):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(RejectedResult, match=reason):
        finished_result(path, configuration(make_result()))


def test_bytes_that_are_no_text_are_rejected(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RejectedResult, match="not valid JSON"):
        finished_result(path, configuration(make_result()))


def test_a_result_of_another_configuration_is_rejected(tmp_path):
    path = stored(tmp_path, make_result(seed=2))
    with pytest.raises(RejectedResult, match=r"another configuration, which differs in seed$"):
        finished_result(path, configuration(make_result(seed=1)))


def test_read_results_separates_the_rejected(tmp_path):
    written = [make_result(seed=seed) for seed in (1, 2)]
    for result in written:
        stored(tmp_path, result)
    (tmp_path / ".hidden.json").write_text("{")
    (tmp_path / ".a.json.1.tmp").write_text("{")
    (tmp_path / "a.json.rejected").write_text("{")
    (tmp_path / "broken.json").write_text("{")
    results, rejected = read_results(tmp_path)
    assert sorted(results, key=lambda result: result["seed"]) == written
    assert [(path.name, "not valid JSON" in reason) for path, reason in rejected] == [("broken.json", True)]


def test_a_run_counts_once_and_under_its_name(tmp_path):
    path = stored(tmp_path, make_result())
    copy = tmp_path / "copy of it.json"
    copy.write_bytes(path.read_bytes())
    (result,), ((rejected, reason),) = read_results(tmp_path)
    assert (result, rejected) == (make_result(), copy)
    assert reason == f"the file of this result must be named {path.name!r}; rename it, or remove the copy"


def test_read_results_needs_a_folder(tmp_path):
    with pytest.raises(NotADirectoryError, match="`directory` must be a folder of results"):
        read_results(tmp_path / "absent")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quality": {**SCORES, "test_f1": None}}, "quality.test_f1 must be a number from 0 to 1, but is None"),
        ({"quality": {**SCORES, "dev_f1": 50}}, "quality.dev_f1 must be a number from 0 to 1, but is 50"),
        ({"speed": {"ner": None}}, "speed.mlm is missing"),
        (
            {"requested": {"num_processes": 0}},
            "launch.requested.num_processes must be an integer from 1 to 10^15, but is 0",
        ),
        (
            {"budget": {"mlm_epochs": "10"}, "mlm": {}},
            "budget.mlm_epochs must be a number, but is '10'; mlm.eval_loss is missing",
        ),
        ({"mlm": {"eval_loss": 1e30}}, "mlm.eval_loss must be a number from 0 to 10^15, but is 1e+30"),
        ({"mlm": {"eval_loss": 2.0, "curve": {}}}, "mlm.curve must be a list"),
        ({"mlm": {"eval_loss": 2.0, "curve": [{}]}}, "mlm.curve.0.step is missing"),
        ({"mlm": {"eval_loss": 2.0, "curve": [{"step": 1}, 7]}}, "mlm.curve.1 must be an object, but is 7"),
        (
            {"mlm": {"eval_loss": 2.0, "curve": [{"step": 1, "mask_rate": None}]}},
            "mlm.curve.0.mask_rate must be a number from 0 to 10^15, but is None",
        ),
        ({"time": None}, "time must be an object, but is None"),
    ],
)
def test_a_result_that_no_table_could_be_made_of_is_rejected(tmp_path, changes, reason):
    path = stored(tmp_path, make_result(**changes))
    assert read_results(tmp_path) == ([], [(path, reason)])


def counted(**changes):
    """The quality of a result with counts of three sentences in two documents."""
    sentences = {"correct": [1, 0, 1], "predicted": [1, 1, 2], "gold": [3, 0, 1], "documents": [2, 1], **changes}
    return {
        **SCORES,
        "test_entities_predicted": 4,
        "test_entities_gold": 4,
        "test_sentences": sentences,
    }


@pytest.mark.parametrize("documents", [None, [2, 1], [1, 1, 1], [3]])
def test_counts_by_sentence_are_kept_in_a_line_each(tmp_path, documents):
    result = make_result(quality=counted(documents=documents))
    path = stored(tmp_path, result)
    assert read_results(tmp_path) == ([result], [])
    assert '"correct": [1,0,1],\n' in path.read_text()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"correct": [2, 0, 0]}, "quality.test_sentences.correct must not exceed predicted or gold"),
        ({"correct": [0, 1, 1]}, "quality.test_sentences.correct must not exceed predicted or gold"),
        ({"correct": [1, 0, 0]}, "quality.test_sentences must agree with test_f1, but gives 0.25"),
        (
            {"predicted": [1, 2, 2]},
            "predicted must add up to test_entities_predicted, but adds up to 5",
        ),
        ({"gold": [2, 0, 1]}, "quality.test_sentences.gold must add up to test_entities_gold, but adds up to 3"),
        ({"gold": [3, 1]}, "got 3, 3, 2, 3"),
        ({"documents": [2]}, "got 3, 3, 3, 2"),
        ({"documents": [2, 1, 0]}, "got 3, 3, 3, 3"),
        ({"correct": [], "predicted": [], "gold": [], "documents": []}, "got 0, 0, 0, 0"),
        ({"correct": [1.0, 0, 1]}, "quality.test_sentences.correct must be a list of counts, but is a list of 3"),
        ({"correct": [True, 0, 1]}, "quality.test_sentences.correct must be a list of counts, but is a list of 3"),
        ({"gold": [5, -1, 0]}, "quality.test_sentences.gold must be a list of counts, but is a list of 3"),
        ({"gold": [10**30, 0, 1]}, "quality.test_sentences.gold must be a list of counts, but is a list of 3"),
        ({"predicted": None}, "quality.test_sentences.predicted must be a list of counts, but is None"),
        ({"documents": 2}, "quality.test_sentences.documents must be a list of counts, but is 2"),
    ],
)
def test_counts_that_are_not_those_of_the_scores_are_rejected(tmp_path, changes, reason):
    path = stored(tmp_path, make_result(quality=counted(**changes)))
    results, ((rejected, found),) = read_results(tmp_path)
    assert (results, rejected) == ([], path)
    assert reason in found


def test_counts_are_whole_or_not_there(tmp_path):
    quality = {**counted(), "test_sentences": {"correct": [1]}}
    stored(tmp_path, make_result(quality=quality))
    assert "quality.test_sentences.predicted is missing" in read_results(tmp_path)[1][0][1]
    stored(tmp_path, make_result(quality={**quality, "test_sentences": [1]}))
    assert "quality.test_sentences must be an object" in read_results(tmp_path)[1][0][1]


def test_a_failed_result_may_lack_its_numbers(tmp_path):
    result = make_result(status="failed", quality=dict.fromkeys(SCORES), mlm={"eval_loss": None})
    stored(tmp_path, result)
    assert read_results(tmp_path) == ([result], [])


def test_a_run_that_diverged_may_have_nulls_in_its_curve(tmp_path):
    mlm = {"eval_loss": None, "curve": [{"step": 1, "loss": 3.0}, {"step": 1, "eval_loss": None}]}
    result = make_result(status="failed", mlm=mlm)
    stored(tmp_path, result)
    assert read_results(tmp_path) == ([result], [])
