"""Draws are uniform, and independent of whatever they could depend on.

All p-values of this file together lie above the threshold but for once in 1,000 sets of seeds (Bonferroni). The seeds
are fixed, so that a test passes always or never.
"""

from __future__ import annotations

import pytest
from support.generators import OURS, WEAK
from support.uniformity_checks import AXES, Size, collisions, fine_uniformity, joint, neighbours

from hf_dynmask.core.draws import Purpose

FALSE_ALARM = 1e-3
MOST_CHANCES = 1000
THRESHOLD = FALSE_ALARM / MOST_CHANCES


@pytest.fixture(scope="module")
def size(stress) -> Size:
    return Size(chunks=5, rows=1024) if stress else Size(chunks=1, rows=48)


@pytest.fixture(scope="module")
def chances(size, report_figure):
    """All p-values of the file."""
    seen: list[float] = []
    yield seen
    assert len(seen) <= MOST_CHANCES
    if seen:
        report_figure("smallest p-value of draws", f"{min(seen):.2g} among {len(seen)}, at least {THRESHOLD:.0e}")


@pytest.fixture(scope="module")
def drawn(report_figure):
    """How many draws each test has made."""
    counts: list[int] = []
    yield counts
    report_figure("draws tested", f"{sum(counts):,}")


@pytest.mark.parametrize("purpose", Purpose, ids=lambda purpose: purpose.name)
@pytest.mark.parametrize("axis", AXES)
def test_neighbours_are_unrelated(axis, purpose, size, chances, drawn) -> None:
    found = neighbours(OURS, axis, purpose, size)
    chances.extend(found)
    drawn.append(size.chunks * size.rows * 128 * (1 if axis == "positions" else 2))
    assert min(found) > THRESHOLD


@pytest.mark.parametrize("purpose", Purpose, ids=lambda purpose: purpose.name)
def test_draws_are_uniform_in_65536_bins(purpose, size, chances, drawn) -> None:
    found = fine_uniformity(OURS, purpose, size)
    chances.extend(found)
    drawn.append(size.chunks * 8 * size.rows * 128)
    assert min(found) > THRESHOLD


def test_selection_replacement_and_random_id_are_independent(size, chances, drawn) -> None:
    found = joint(OURS, size)
    chances.extend(found)
    drawn.append(3 * size.chunks * 8 * size.rows * 128)
    assert min(found) > THRESHOLD


def test_no_two_streams_have_one_key(stress, report_figure) -> None:
    """Of n streams with keys of 64 bits, n^2 / 2 / 2^64 pairs collide by chance: 3e-6 of 10^7, 3e-8 of 10^6."""
    streams, collided = collisions(OURS, 1_000_000 if stress else 100_000, range(2), range(5))
    assert streams >= (10**7 if stress else 10**6)
    report_figure("streams without a collision", f"{streams:,}")
    assert collided == 0


SMALL = Size(chunks=1, rows=48)
REJECTED_BY = {
    "(seed, epoch, index) modulo 10^6, as in fairseq": "streams",
    "seed + epoch + index, as in Megatron and grain": "a seed higher, an epoch lower",
    "the sum of the ids": "streams",
    "seeds of 32 bits": "seeds 2^32 apart",
    "no epoch": "epochs",
    "no example": "examples that differ in one token",
    "no seed": "neighbouring seeds",
    "positions through a linear congruence": "positions",
    "draws of 16 bits": "65536 bins",
    "one stream for every purpose": "joint",
}


@pytest.mark.parametrize("name", WEAK)
def test_weak_generators_are_rejected(name) -> None:
    weak, check = WEAK[name], REJECTED_BY[name]
    if check == "streams":
        assert collisions(weak, 20_000, range(1), range(1))[1] > 0
    elif check == "65536 bins":
        assert min(fine_uniformity(weak, Purpose.SELECTION, SMALL)) < THRESHOLD
    elif check == "joint":
        assert min(joint(weak, SMALL)) < THRESHOLD
    else:
        assert min(neighbours(weak, check, Purpose.SELECTION, SMALL)) < THRESHOLD


def test_the_sum_of_examples_and_seeds_is_rejected_along_either() -> None:
    weak = WEAK["seed + epoch + index, as in Megatron and grain"]
    assert min(neighbours(weak, "a seed higher, an example lower", Purpose.SELECTION, SMALL)) < THRESHOLD
    assert collisions(weak, 20_000, range(1), range(2))[1] > 10_000
