"""The search over head size, dropout and unfreeze depth, on KerasTuner. All of it loads TensorFlow but `private`.

space      the search space -> KerasTuner's HyperParameters
points     a space's points: listed, drawn, as coordinates
trials     trials on disk: which count, which failed, the seed of each
hardened   what our oracles share: KerasTuner's Oracle, hardened by subclassing
oracles    random, bayesian, hyperband, halving, grid
halving    the fifth: every head, then fine-tuning for the better half and the better quarter
tuner      KerasTuner's Tuner, hardened: silent, repeatable, killed at any moment
checkpoints  weights of a trial on disk
memory     what TensorFlow keeps of each trial, freed
private    the private names of KerasTuner that are used, with the reasons
prefix     the frozen prefix as a function, in the faster runtime
passes     one view through it, written as arrays; cut short, it goes on
cache      activations of the frozen prefix at each cut, memory-mapped
trial      the HyperModel: what one trial builds and trains
board      the trials as TensorBoard sees them
choice     which trials are tied, and which one to take
search     run folder + data -> SearchResult
"""
