"""The commands: each parses its options, calls its function of `unfreeze.api`, prints the result and the next command.

    finish       how each ends: the result as text or as JSON, exit 1 if an artefact does not hold
    run          `unfreeze run`, all in one go; `unfreeze demo`
    scan         `unfreeze scan`
    tune_train   `unfreeze tune` and `unfreeze train`
    probe        `unfreeze probe`, files to measure on a device
    adopt        `unfreeze adopt`, a model from elsewhere
    evaluate     `unfreeze evaluate`
    pick         `unfreeze pick`, another trial of a search
    export       `unfreeze export`
    verify       `unfreeze verify`, of a run or of a model from elsewhere
    inspect      `unfreeze inspect`
    predict      `unfreeze predict`
    report       `unfreeze report`
    backbones    `unfreeze backbones`

None imports a heavy module; `unfreeze.cli` puts them together.
"""
