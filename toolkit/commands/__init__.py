"""The commands: each parses, calls its function of `toolkit.api`, shows what came, and says what to type next.

    answer     how each ends: the result as text or as JSON, exit 1 where an artefact does not hold
    run        all in one go
    data       scan
    search     tune, train
    adopt      a model from elsewhere
    evaluate
    export
    verify     of a run; of a model from elsewhere
    predict
    backbones

None imports a heavy module; `toolkit.cli` puts them together.
"""
