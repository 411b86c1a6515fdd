"""Reference against artefact.

parity              the verdict on one artefact, and parity.json
verify              a run's artefacts, each in its own runtime
layers              what each layer adds to the error          (TensorFlow)
locate              the first layer that differs               (TensorFlow)
pixel_sensitivity   accuracy if an app decodes or resizes in another way
"""
