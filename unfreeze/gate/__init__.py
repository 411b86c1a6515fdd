"""Verdicts as continuous integration takes them: what a change of a model changes, shown where the change is reviewed.

outcome      a verdict -> passed, failed, an error or skipped, as the exit code says; its numbers
junit        verdicts -> JUnit XML
github       verdicts -> annotations of GitHub Actions
markdown     verdicts -> a summary that people read
safe_text    names of files and classes -> text that is no markup, whatever is in them
reports      where these are written: checked before the work, and there however it ends
"""
