"""ModelSpec -> keras.Model.

    spec           ModelSpec: all that determines an architecture
    applications   the backbones of keras.applications, with the cut layer of each unfreeze depth
    backbones      a backbone by its name there, or by its file
    choices        a backbone among several that a search tries, as one text
    backbone_file  a Keras model in a file as a backbone       (TensorFlow)
    cuts           where any graph can be cut, and its stages  (TensorFlow)
    layer_weights  weights by the names of their layers        (TensorFlow)
    flatten        models inside a model -> one flat graph     (TensorFlow)
    hub            a preset of KerasHub -> a Keras file of a backbone
    build          ModelSpec -> keras.Model; prefix and suffix   (TensorFlow)
    weights        pre-trained weights into a model              (TensorFlow)

`starter.npz` holds the starter weights; `scripts/pretrain_starter.py` makes them.
"""
