"""Reference against artefact.

parity              the verdict on one artefact, and parity.json
compare             the answers of both -> the verdict
evidence            images without labels
verify              a run's artefacts, each in its own runtime
layer_error         the error that a layer adds, and when it stands out
layers              what each layer adds to the error of a Keras model    (TensorFlow)
same_names          the same between two files, by the names of tensors
locate              the first layer that differs
clients             ways in which apps turn files into pixels
pixel_sensitivity   accuracy if an app decodes or resizes in another way
"""
