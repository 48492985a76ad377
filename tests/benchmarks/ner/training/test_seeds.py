from __future__ import annotations

from benchmarks.ner.training.seeds import derived_seed, fine_tuning_seeds


def test_derived_seeds_differ_in_every_argument_and_stay_what_they_are() -> None:
    made = [
        derived_seed(seed, purpose, n) for seed in range(20) for purpose in ("masks", "fine-tuning") for n in (0, 1)
    ]
    assert len(set(made)) == len(made)
    assert all(0 <= seed < 2**32 for seed in made)
    assert derived_seed(0, "masks", 1) == 2015356598


def test_each_fine_tuning_of_each_run_has_its_own_seed() -> None:
    assert fine_tuning_seeds(0, 0) == []
    assert fine_tuning_seeds(7, 2) == fine_tuning_seeds(7, 3)[:2]
    assert len({seed for run in range(10) for seed in fine_tuning_seeds(run, 3)}) == 30
