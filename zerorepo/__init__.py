"""ZeroRepo: an incremental build engine for repositories that models write.

This package is the engine. It knows labels, targets, actions, digests, caches and order. It knows nothing of language
models, prompts, sandboxes or the repositories to be generated: those are rule sets, loaded as plugins (see
``zerorepo.plugins``). Importing this package imports nothing heavy.
"""

__version__ = "0.1.0"
