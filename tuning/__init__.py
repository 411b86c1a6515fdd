"""The search over head size, dropout and unfreeze depth, on KerasTuner.

space      the search space -> KerasTuner's HyperParameters
oracles    KerasTuner's oracles and tuner, hardened by subclassing
trial      the HyperModel: what one trial builds and trains
choice     which trials are tied, and which one to take
search     run folder + data -> SearchResult
"""
