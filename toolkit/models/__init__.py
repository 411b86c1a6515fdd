"""ModelSpec -> keras.Model.

    spec           ModelSpec: all that determines an architecture
    applications   the backbones of keras.applications, with the cut layer of each unfreeze depth
    build          ModelSpec -> keras.Model; prefix and suffix   (TensorFlow)
    weights        pre-trained weights into a model              (TensorFlow)

`starter.npz` holds the starter weights; `scripts/pretrain_starter.py` makes them.
"""
