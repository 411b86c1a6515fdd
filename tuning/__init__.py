"""The search over head size, dropout and unfreeze depth, on KerasTuner.

search                run folder and data -> SearchResult
results               records of the trials and of what was taken; trials.csv   (light)
search_space          the points of the search space, as KerasTuner's HyperParameters
oracles               which point is tried next
activations           activations of the frozen prefix, computed once, shared by all trials
tuner                 KerasTuner's Tuner, hardened: silent, repeatable, may be killed at any moment
trial_model           the HyperModel: what one trial builds and trains
trial_files           what a trial leaves in the run folder
trial_records         KerasTuner's records of the trials: which count, which failed, the seed of each
trial_curves          the trials as TensorBoard shows them
trial_plot            plots/trials.png                                          (light)
selection             which trials are tied, and which one to take              (light)
save_taken            the model of the trial that is taken -> the run's model
checkpoints           weights of a trial on disk
memory                what TensorFlow keeps of each trial, freed
keras_tuner_private   the private names of KerasTuner that are used, with the reasons   (light)

The modules marked as light load neither TensorFlow nor KerasTuner; all others do.
"""
