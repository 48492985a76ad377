"""Synthetic results: valid, with counts per sentence and a curve that agree with their scores."""

import numpy as np

from benchmarks.ner.experiments.result import KEYS, SCHEMA, configuration, run_id

SENTENCES = 60


def make_result(
    arm,
    seed,
    found=0.6,
    documents=None,
    sentences=SENTENCES,
    rate=0.15,
    budget=(),
    requested=(),
    spurious=0.2,
    **changes,
):
    """Returns a run that finds each of the two entities per sentence with probability `found`, and with probability
    `spurious` predicts a wrong one. Seed and arm determine the draws.
    """
    generator = np.random.default_rng([seed, *arm.encode(errors="replace")])
    correct = generator.binomial(2, found, sentences)
    predicted, gold = correct + generator.binomial(1, spurious, sentences), np.full(sentences, 2)
    result = {
        **dict.fromkeys(KEYS),
        "schema": SCHEMA,
        "status": "ok",
        "arm": {"name": arm, "mlm_probability": rate},
        "seed": seed,
        "dataset": {"name": "tiny", "fingerprint": "0f"},
        "model": {"name": "models/toy"},
        "launch": {"requested": {"num_processes": 1, "mixed_precision": "no", **dict(requested)}, "observed": None},
        "budget": {"mlm_epochs": 12.0, "ner_epochs": 6.5, **dict(budget)},
        "mlm": {"eval_loss": 2.0 + seed, "curve": made_curve(rate, 2.0 + seed)},
        "quality": {
            "dev_f1": 0.5,
            "test_accuracy": 0.9,
            "test_f1": float(2 * correct.sum() / (predicted.sum() + gold.sum())),
            "test_entities_predicted": int(predicted.sum()),
            "test_entities_gold": int(gold.sum()),
            "test_sentences": {
                **{"correct": correct.tolist(), "predicted": predicted.tolist(), "gold": gold.tolist()},
                "documents": documents,
            },
        },
        "speed": {"mlm": made_speed(1000.0), "ner": made_speed(2000.0)},
        "memory": {"mlm": {"peak_bytes_total": 10**9}, "ner": {"peak_bytes_total": 2 * 10**9}},
        "time": {"seconds": 20.0},
        **changes,
    }
    return {**result, "run_id": run_id(configuration(result))}


def made_speed(tokens_per_second):
    return {"tokens_per_second": tokens_per_second, "step_time_median": 0.05, "data_wait_share": 0.01}


def made_curve(rate, last_loss):
    """Returns ten training entries, each followed by an evaluation; the loss decreases by 0.1 per evaluation."""
    curve = []
    for step in range(10, 110, 10):
        seen = {"masked_fraction": rate, "train_seconds": step / 5, "num_input_tokens_seen": 1000 * step}
        curve += [{"step": step, "loss": 3.0, "mask_rate": rate, **seen}]
        curve += [{"step": step, "eval_loss": last_loss + (100 - step) / 100}]
    return curve


def with_scores(result, test_f1, dev_f1=0.5):
    """Returns the result with these scores and without counts per sentence, like older results."""
    quality = {"dev_f1": dev_f1, "test_f1": test_f1, "test_accuracy": None if test_f1 is None else 0.9}
    return {**result, "quality": quality}
