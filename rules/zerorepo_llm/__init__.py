"""Rule set ``llm``: asking models. Rules use ``zerorepo_llm.ask``; tests use ``zerorepo_llm.testing``.

Importing this package imports nothing else; it knows nothing of what is asked for, nor of caching or order.
"""
