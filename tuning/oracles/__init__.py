"""Which point of the search space is tried next: KerasTuner's oracles, subclassed so that a search can be resumed.

base        what all oracles share
halving     the default: trains every head, then fine-tunes the better half and the better quarter
bayesian    a Gaussian process
hyperband   several brackets of halving
make        the oracle of a name; random search and grid search
"""
