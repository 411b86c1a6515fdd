"""Which point of the search space is tried next: KerasTuner's oracles, hardened by subclassing.

base      what our oracles share
points    a space's points: listed, drawn, as coordinates
halving   every head, then fine-tuning for the better half and the better quarter
make      random, bayesian, hyperband, grid; the oracle of a name
"""
