"""The search over head size, dropout, unfreeze depth and what else the user varies, on KerasTuner.

search                run folder and data -> SearchResult
results               records of the trials and of the search's result; trials.csv   (light)
search_space          the points of the search space, as KerasTuner's HyperParameters
oracles               which point is tried next
activations           activations of the frozen prefix, computed once, shared by all trials
tuner                 KerasTuner's Tuner, made resumable, exactly repeatable and silent
time_limit            ends the search in time
trial_costs           what a trial will take
left_out              what a search with a time limit did not do, in words
device                what the device that a model is for changes of a search
base_model            a backbone at an image size: what trials start from, and share
trial_model           the HyperModel: what one trial builds and trains
trial_files           what a trial leaves in the run folder
trial_records         KerasTuner's records of the trials: which completed, which failed, the seed of each
trial_curves          the trials as TensorBoard shows them
trial_plot            plots/trials.png                                          (light)
selection             which trials are tied with the best one, and which is taken   (light)
retrain               the model of a trial with folds, trained anew on all of their images
save_taken            the model of the trial that is taken -> the run's model
checkpoints           weights of a trial on disk
memory                frees what TensorFlow keeps of each trial
keras_tuner_private   the private names of KerasTuner that are used, with the reasons   (light)

The modules marked as light load neither TensorFlow nor KerasTuner; all others do.
"""
