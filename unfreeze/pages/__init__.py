"""RUN/report.html and RUN/report.md: what a run found, for people who were not there.

    run_facts      a run folder -> Facts, whatever of it was made so far
    effects        which of the three settings the search shows to matter, and which it cannot tell
    recommend      the file for a phone, a browser and a server, and why
    how_to_load    code that loads the files, one file of each format
    reproduce      the commands that make the run again
    pictures       matplotlib figures as SVG that follow the page's colours
    sentences      numbers and verdicts in words
    thumbnails     the worst mistakes, as small pictures
    page           Facts -> report.html
    card           Facts -> report.md, a model card
    write_report   both into the run folder

Only files of the run folder are read, and the test images that were answered wrong: no TensorFlow, no model.
"""
