"""Search, export, proof and report in five lines. Without a network; for good accuracy take weights="imagenet".

python examples/five_lines.py PHOTOS RUN
"""

import sys

import unfreeze

settings = unfreeze.Settings(weights="starter", trials=4)
finished = unfreeze.run(
    sys.argv[1], sys.argv[2], settings=settings, export=unfreeze.ExportSettings(precisions=["float32"])
)
print(f"test accuracy {finished.evaluation.accuracy:.2%}, the report is {finished.page}")
for parity in finished.parities:
    print(parity.artefact.name, parity.verdict)
