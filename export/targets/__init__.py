"""What people who build an app get beside the files.

    golden     test images, the answers to them, and checkers to prove an app with
    snippets   code that loads an artefact, ready to paste

`checkers/` holds the checkers as they are copied, `snippet_templates/` the code of the snippets.
"""
