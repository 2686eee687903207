"""Running code that nobody has read yet: generated tests and build commands, each in a world of its own.

In processing order: ``limits``, ``settings``, ``isolation`` (what a rule asks for), ``run_tests`` and ``run_command`` (the
actions), ``screen`` and ``plain_tests`` (a look at code before it runs), ``archive``, ``service`` with its ``pool``, ``tier`` with
``bubblewrap`` and ``unsafe``, ``resident``, ``environment``, ``process``, ``tree``, ``seccomp``, and ``inside/`` (what runs on the
other side of the wall). Knows nothing of models or of what is tested.
"""
