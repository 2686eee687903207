"""What software can do: a feature ontology mined from the public APIs of real libraries, its vectors, and selection from it.

In processing order: ``starter`` (the pinned packages and their places), ``fetch``, ``wheel`` and ``modules`` (a distribution, read
and never run), ``public_api`` and ``wording`` (symbols and what they are said to do), ``mining`` and ``other_sources`` (actions),
``entries`` (what is mined), ``tree`` with ``merging`` (the hierarchy), ``minilm_weights``, ``minilm_graph``, ``engines`` and
``embed`` (vectors), ``artifact`` (one file with it all), ``words`` and ``searching``, ``store`` (Chroma), ``selecting`` with
``sampling`` and ``coverage``, ``rules`` and the commands. Knows nothing of plans, tests or code.
"""
