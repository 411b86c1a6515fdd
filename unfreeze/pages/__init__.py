"""RUN/report.html and RUN/report.md: what a run found, for people who were not there.

    run_facts        a run folder -> RunFacts, also of an unfinished run
    exported_file    one of its exported files, with the verdict
    effects          which of the three settings matter, as far as the search can tell
    recommend        the file for a phone, a browser and a server, and why
    how_to_load      code that loads the files, one file of each format
    reproduce        the commands that make the run again
    sentences        numbers and verdicts in words
    unsure           how far the probabilities can be believed, and what a threshold leaves unanswered
    templating       the Jinja environment of both
    svg_picture      matplotlib figures as SVG that follow the page's colours
    search_pictures  pictures of the search
    front_picture    accuracy against latency and size, of every file that was measured
    result_pictures  pictures of the model that was kept
    thumbnails       the worst mistakes, as small pictures
    pair_sheet       a picture of the copies in DATA
    page             RunFacts -> report.html
    card             RunFacts -> report.md, a model card
    write_report     both into the run folder

Only files of the run folder are read, and the test images that were answered wrongly. TensorFlow and the model are not
loaded.
"""
