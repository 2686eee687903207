"""Tests of asking models (rules/zerorepo_llm). A package, so that test files may share names with other folders."""
