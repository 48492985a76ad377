"""Simulated studies in which both arms are the same, or not: entity counts and MLM losses of runs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BASES = 6  # whose continuations follow each other, as in a study
SENTENCES, GOLD, SPURIOUS = 300, 1.2, 0.5  # gold entities a sentence, and how many others one finds at the worst


class World(NamedTuple):
    """Standard deviations of what makes an entity be found, in logits."""

    seed: float = 0.0  # by seed, alike in both arms
    own: float = 0.0  # by seed and arm
    sentence: float = 1.0  # by sentence, alike in both arms
    other: float = 0.0  # by sentence and arm: each arm does well on other sentences
    topic: float = 0.0  # by document of ten sentences and arm
    shift: float = 0.0  # between the arms' means: 0 for the same distribution
    lottery: float = 0.0  # by seed and arm: what the half of the runs that is unlucky lacks
    base: float = 0.0  # by base and arm: what the continuations of a base share


SAME = {
    "sentences alone": World(seed=0.1, sentence=2.0),
    "seeds and sentences": World(seed=0.2, own=0.2, sentence=2.0),
    "seeds prevail": World(seed=0.3, own=0.5),
    "other sentences": World(seed=0.2, own=0.05, other=1.5),
    "all": World(seed=0.2, own=0.3, other=1.0),
    "documents": World(seed=0.2, own=0.2, topic=0.7),
    "lottery": World(seed=0.2, own=0.05, lottery=1.5),  # leaving a plateau of the loss early or late
}


def study(world: World, seeds: int, generator: np.random.Generator) -> np.ndarray:
    """Counts of two arms in one study, `[2, seeds, documents, 2]`; a sentence is a document unless there are topics."""
    logits = np.array([world.shift / 2, -world.shift / 2])[:, None, None]
    for deviation, shape in (
        (world.seed, (1, seeds, 1)),
        (world.own, (2, seeds, 1)),
        (world.sentence, (1, 1, SENTENCES)),
        (world.other, (2, 1, SENTENCES)),
    ):
        logits = logits + generator.normal(0, deviation, shape)
    logits = logits + np.repeat(generator.normal(0, world.topic, (2, 1, SENTENCES // 10)), 10, axis=-1)
    if world.base:
        logits = logits + np.tile(generator.normal(0, world.base, (2, BASES, 1)), (1, seeds // BASES, 1))
    if world.lottery:
        logits = logits - world.lottery * generator.integers(2, size=(2, seeds, 1))
    gold, chance = generator.poisson(GOLD, SENTENCES), 1 / (1 + np.exp(-logits))
    correct = generator.binomial(gold, chance)
    predicted = correct + generator.poisson(SPURIOUS * (1 - chance))
    counts = np.stack([2 * correct, predicted + gold], axis=-1)
    return counts.reshape(2, seeds, -1, 10, 2).sum(axis=3) if world.topic else counts


def losses(
    generator: np.random.Generator, arms: int, bases: int, repeats: int, of_base: float, own: float, lottery: float
) -> np.ndarray:
    """MLM losses `[arms, bases * repeats]`, repeat by repeat; bases interact with arms, and runs are lucky or not."""
    noise = generator.normal(0, of_base, (arms, 1, bases)) + generator.normal(0, own, (arms, repeats, bases))
    return (5 + noise + lottery * generator.integers(2, size=noise.shape)).reshape(arms, -1)
