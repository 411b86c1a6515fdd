"""What exports and their proof take where nobody says otherwise: for the options of the commands and for the functions
behind them. Nothing is imported."""

MARGIN = 0.5  # points of accuracy that an artefact may lose
TOLERANCE = 1e-4  # largest difference of a float32 artefact's probabilities
CALIBRATION = 200  # training images that set the ranges of int8
PIXELS = (
    "0..255",
    "0..1",
    "-1..1",
    "imagenet",
    "caffe",
)  # what models from elsewhere take; see `export.runtimes.inputs_outputs.SCALES`
