"""What people who build an app get beside the files.

    golden     test images, the answers to them, and checkers to prove an app with
    snippets   code that loads an artefact, ready to paste
    probe_folder  untrained files and the scripts that measure them on a device

`checkers/` holds the checkers and `device_scripts/` the scripts as they are copied, `snippet_templates/` the code of
the snippets.
"""
