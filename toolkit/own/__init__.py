"""Parts of a training that the caller brings from Python: functions and Keras objects.

parts         Own: the parts; what run.json tells of them, and whether a run goes on with the same
function_digest   a digest of a function's source
value_texts   texts for the values that a function names
calls         calls of the caller's functions, whose errors name them
space         hyperparameters of the caller's                          (KerasTuner)
head          a head of the caller's, and whether a file may hold it   (TensorFlow)
augmentation  one view of one image by a function of the caller's
try_out       every part is tried out before anything is trained       (TensorFlow)

Loss, optimizer and metrics of a training, the caller's or not, are `toolkit.training.recipe`; the caller's augmentation
is called by `toolkit.training.batches`.
"""
