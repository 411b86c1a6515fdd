"""Training: the head with the backbone frozen, then fine-tuning; and the files of a trained model.

sampling      which images an epoch shows, and in which order
batches       what training reads: sources and batches
history       a learning curve, and history.csv
event_files   learning curves and hyperparameters for TensorBoard
answers       a model's probabilities for images               (TensorFlow)
folds         models that take turns in one keras.Model, one for each fold
recipe        loss, optimizer and metrics, the caller's or not   (TensorFlow)
fit           one stage: the step, the epochs, the callbacks   (TensorFlow)
staged_training   the stages of one model's training           (TensorFlow)
train         a whole model on images; a run of one model      (TensorFlow)
held_out      answers to images not trained on, and the temperature fitted on them
model_file    model.keras and model.json                       (TensorFlow)
stored_spec   what model.json says of the model: its size, its backbone
"""
