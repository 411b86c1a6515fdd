"""The search over head size, dropout and unfreeze depth, on KerasTuner. All of it but keras_tuner_private loads it.

search                run folder and data -> SearchResult
space                 the search space -> KerasTuner's HyperParameters
oracles               which point is tried next
activations           activations of the frozen prefix, computed once, shared by all trials
tuner                 KerasTuner's Tuner, hardened: silent, repeatable, killed at any moment
trial_model           the HyperModel: what one trial builds and trains
trial_records         trials on disk: which count, which failed, the seed of each
trial_curves          the trials as TensorBoard shows them
selection             which trials are tied, and which one to take
checkpoints           weights of a trial on disk
memory                what TensorFlow keeps of each trial, freed
keras_tuner_private   the private names of KerasTuner that are used, with the reasons
"""
