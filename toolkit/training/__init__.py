"""The head stage with the backbone frozen, then fine-tuning.

batches       what training reads: sources and batches
history       a learning curve, and history.csv
event_files   learning curves and hyperparameters for TensorBoard
answers       what a model answers to images                   (TensorFlow)
fit           one stage: the step, the epochs, the callbacks   (TensorFlow)
course        the stages of one model's training               (TensorFlow)
train         a model trained through its stages; a run of one model (TensorFlow)
model_file    model.keras and model.json                       (TensorFlow)
stored_spec   what model.json says of the model: its size, its backbone
"""
