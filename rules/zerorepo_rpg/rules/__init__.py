"""The rules of the pipeline, one file per stage, in the order that data flows through them.

Nothing here knows how anything is cached, ordered or resumed.
"""
